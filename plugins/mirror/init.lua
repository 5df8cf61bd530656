-- SPDX-License-Identifier: Apache-2.0
--
-- Sends a copy of each request that passes to another service, and drops the answer. The request
-- itself never waits for it: a body is kept as it passes, and its copy is sent when all is over.
local mg = require("moongate")

local s = mg.schema

local config = s.record({
  url = s.template():required():description("where copies go; may hold variables"),
  service = s.string():len(1):description("service of the gateway behind the host of the URL"),
  host = s.header_value():len(1):description("Host of the copy; that of the URL by default"),
  body = s.boolean():default(true):description("copy the body too"),
  max_body = s.bytes():default("1m"):max("64m"):description("a longer body: no copy"),
  max_copies = s.integer():default(100):between(1, 100000)
    :description("copies under way in one worker; further requests: no copy"),
  sample = s.percent():default(100):description("share of the requests"),
  timeout = s.duration():default("10s"):between("10ms", "10m"),
})

-- Of a connection, or said anew for the copy.
local NOT_COPIED = {
  connection = true,
  ["content-length"] = true,
  expect = true,
  host = true,
  ["transfer-encoding"] = true,
}

local ANSWER_BYTES = "1m"

local copies = mg.metrics.counter("moongate_mirror_copies_total", {
  help = "Copies of requests: answered, failed, or skipped because of a bound.",
  labels = { "result" },
})
local ANSWERED, FAILED, SKIPPED =
  { result = "answered" }, { result = "failed" }, { result = "skipped" }

local under_way = 0

local function prepare(conf)
  return setmetatable({ is_fixed = mg.template.is_fixed(conf.url) }, { __index = conf })
end

-- --- sending ---------------------------------------------------------------------

local function finish(result)
  under_way = under_way - 1
  copies:add(1, result)
end

local function run(copy)
  local ok, response, _, code = pcall(mg.http.request, copy)
  local answered = ok and (response or code == "body_too_large")
  finish(answered and ANSWERED or FAILED)
end

local function send(copy)
  if not pcall(mg.task.spawn, run, copy) then
    finish(FAILED)
  end
end

-- --- what is sent ----------------------------------------------------------------

-- As nginx: a URL without variables gets the query of the request.
local function url_of(ctx, conf)
  local url = ctx:template(conf.url)
  local query = conf.is_fixed and ctx.request.query_string
  if query and query ~= "" then
    return url .. (url:find("?", 1, true) and "&" or "?") .. query
  end
  return url
end

local function headers_of(ctx, conf)
  local headers = { Host = conf.host }
  for _, field in ipairs(ctx.upstream:headers()) do
    local name = field[1]:lower()
    if not NOT_COPIED[name] then
      headers[name] = headers[name] or {}
      table.insert(headers[name], field[2])
    end
  end
  return headers
end

local function copy_of(ctx, conf)
  return {
    url = url_of(ctx, conf),
    service = conf.service,
    method = ctx.request.method,
    headers = headers_of(ctx, conf),
    timeout = conf.timeout,
    max_body = ANSWER_BYTES,
  }
end

-- --- hooks -----------------------------------------------------------------------

local function is_chosen(conf)
  return conf.sample >= 100 or math.random() * 100 < conf.sample
end

-- What is no request with an answer: a tunnel, a stream of gRPC.
local function is_other(request)
  local kind = request:header("content-type")
  return request.is_upgrade or (kind and kind:find("^application/grpc") ~= nil)
end

local function access(ctx, conf)
  local request = ctx.request
  if is_other(request) or not is_chosen(conf) then
    return
  elseif under_way >= conf.max_copies then
    copies:add(1, SKIPPED)
    return
  end
  local copy = copy_of(ctx, conf)
  if not conf.body or request:body_size() == 0 then
    under_way = under_way + 1
    return send(copy)
  end
  request:keep_body(conf.max_body)
  ctx.shared.mirror = ctx.shared.mirror or {}
  ctx.shared.mirror[conf] = copy
  under_way = under_way + 1 -- from here on the log hook ends it
end

-- A plugin behind this one may have refused the request.
local function log(ctx, conf)
  local kept = ctx.shared.mirror
  local copy = kept and kept[conf]
  if not copy then
    return
  end
  kept[conf] = nil
  copy.body = ctx.upstream:attempts() > 0 and ctx.request:kept_body() or nil
  if copy.body then
    send(copy)
  else
    finish(SKIPPED)
  end
end

return mg.plugin({
  name = "mirror",
  version = "1.0.0",
  summary = "Sends a copy of each request to another service",
  stage = "route",
  releases = true,
  config = config,
  prepare = prepare,
  needs = function(hook, conf)
    return hook ~= "log" or conf.body
  end,
  decides = function()
    return false
  end,
  access = access,
  log = log,
})
