-- SPDX-License-Identifier: Apache-2.0
--
-- Answers of some statuses come from a service made for that, which is told what happened. It may
-- also stand in for a service that has no endpoints.
local mg = require("moongate")

local s = mg.schema

local config = s.record({
  service = s.string():len(1):required():description("service of the gateway that has the pages"),
  statuses = s.array(s.status_code()):description("answers that are replaced"),
  only_own = s.boolean():default(false):description("those of the gateway alone"),
  stands_in_for = s.string():len(1)
    :description("service whose requests go to this one while it has no endpoints"),
  headers = s.map(s.header_name(), s.header_value():secret())
    :description("what the service is told beside"),
  timeout = s.duration():default("4s"):between("10ms", "5s")
    :description("for the answer; no wait of a hook is longer than 5 s"),
  max_body = s.bytes():default("1m"),
}):at_least_one_of({ "statuses", "stands_in_for" })

-- Fields of the client that would not be true of the question.
local NOT_PASSED = {}
for name in ([[
  connection content-length content-encoding content-type expect host if-match if-modified-since
  if-none-match if-range if-unmodified-since keep-alive proxy-connection range te trailer
  transfer-encoding upgrade x-code x-format x-original-uri x-request-id
]]):gmatch("%S+") do
  NOT_PASSED[name] = true
end

local function prepare(conf)
  local listed = {}
  for _, status in ipairs(conf.statuses or {}) do
    listed[status] = true
  end
  local not_passed = setmetatable({}, { __index = NOT_PASSED })
  for name in pairs(conf.headers or {}) do
    not_passed[name:lower()] = true
  end
  return setmetatable({ listed = listed, not_passed = not_passed }, { __index = conf })
end

local function facts(ctx, conf, status)
  local told = {
    ["X-Code"] = tostring(status),
    ["X-Format"] = ctx.request:header("accept") or "",
    ["X-Original-URI"] = ctx.request.target,
    ["X-Request-ID"] = ctx.request.id,
  }
  for name, value in pairs(conf.headers or {}) do
    told[name] = value
  end
  return told
end

local function question(ctx, conf, status)
  local request = ctx.request
  local headers = facts(ctx, conf, status)
  for _, field in ipairs(request:headers()) do
    local name = field[1]:lower()
    if not conf.not_passed[name] then
      headers[name] = headers[name] or {}
      table.insert(headers[name], field[2])
    end
  end
  local query, authority = request.query_string, request.authority
  if not authority or authority == "" then
    authority = "localhost" -- HTTP/1.0 without Host
  end
  return {
    url = ("http://%s/%s"):format(authority, query and "?" .. query or ""),
    service = conf.service,
    method = request.method,
    headers = headers,
    timeout = conf.timeout,
    max_body = conf.max_body,
  }
end

-- Fields that the gateway writes itself.
local FRAMING = { connection = true, ["content-length"] = true, ["keep-alive"] = true,
  ["transfer-encoding"] = true, trailer = true, upgrade = true }

local function replace(response, page)
  for _, field in ipairs(response:headers()) do
    if not FRAMING[field[1]:lower()] then
      response:remove_header(field[1])
    end
  end
  response:set_status(page.status)
  response:set_body(page.body) -- takes fields off, which the page may have
  for _, field in ipairs(page.fields) do
    if not FRAMING[field[1]:lower()] then
      response:add_header(field[1], field[2])
    end
  end
end

-- Who is not let in hears so from whoever refused it: a page must not hide that.
local function is_replaced(response, conf)
  local status, source = response.status, response.source
  if not conf.listed[status] or (conf.only_own and source == "upstream") then
    return false
  end
  return source ~= "plugin" or (status ~= 401 and status ~= 403)
end

local function access(ctx, conf)
  local main = conf.stands_in_for
  if main and not ctx.upstream:has_endpoints(main) then
    ctx.upstream:set_service(conf.service)
    ctx.upstream:set_headers(facts(ctx, conf, 503))
  end
end

local function response(ctx, conf)
  if not is_replaced(ctx.response, conf) then
    return
  end
  local page, err = mg.http.request(question(ctx, conf, ctx.response.status))
  if page then
    replace(ctx.response, page)
  else
    ctx.log:warn("no_error_page", { error = err, status = ctx.response.status })
  end
end

return mg.plugin({
  name = "error-pages",
  version = "1.0.0",
  summary = "Lets a service answer instead of errors",
  stage = "observe",
  config = config,
  prepare = prepare,
  decides = function(conf)
    return conf.stands_in_for ~= nil
  end,
  access = access,
  response = response,
})
