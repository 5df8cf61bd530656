-- SPDX-License-Identifier: Apache-2.0
--
-- Asks a service whether a request may pass: 2xx lets it, 401 and 403 refuse it, anything else is
-- an error of ours (500). Nothing but an answer opens the way.
local mg = require("moongate")

local s = mg.schema

local config = s.record({
  url = s.template():required():description("what is asked; may hold variables"),
  service = s.string():len(1):description("service of the gateway behind the host of the URL"),
  method = s.http_method():default("GET"),
  timeout = s.duration():default("4s"):between("10ms", "5s")
    :description("for the answer; no wait of a hook is longer than 5 s"),
  tells_uri = s.boolean():default(false):description("send X-Original-URI and X-Scheme too"),
  headers = s.array(s.record({
    name = s.header_name():required(),
    value = s.template():required():secret(),
  })):description("further fields of the question"),
  redirect = s.template():description("X-Auth-Request-Redirect; the request's target by default"),
  response_headers = s.array(s.header_name())
    :description("fields of the answer that the service gets, never those of the client"),
  signin = s.template():description("where a browser is sent instead of 401"),
  signin_param = s.string():len(1):default("rd"):description("its parameter: where it came from"),
  always_set_cookie = s.boolean():default(false):description("cookies of the answer on errors too"),
  cache = s.record({
    key = s.template():required():description("what an answer depends on"),
    scope = s.string()
      :description("answers are shared within it; by default where the question is equal"),
    durations = s.array(s.record({
      status = s.array(s.status_code()):required(),
      time = s.duration():required(),
    })):default({ { status = { 200, 202, 401 }, time = "5m" } }),
  }),
  alternative = mg.alternatives.field(s),
})

-- Fields of the client that say something of its connection or of a body that is not sent, and
-- those that the gateway says itself.
local NOT_PASSED = {}
for name in ([[
  connection content-length content-encoding expect host keep-alive proxy-authenticate
  proxy-connection te trailer transfer-encoding upgrade x-auth-request-redirect x-forwarded-for
  x-forwarded-proto x-original-method x-original-uri x-original-url x-real-ip x-request-id x-scheme
  x-sent-from
]]):gmatch("%S+") do
  NOT_PASSED[name] = true
end

-- Statuses on which nginx adds fields without `always`.
local WITH_COOKIES = {}
for _, status in ipairs({ 200, 201, 204, 206, 301, 302, 303, 304, 307, 308 }) do
  WITH_COOKIES[status] = true
end

local function cache()
  return mg.shared("forward-auth", { size = "10m" })
end

-- All that an answer depends on besides the key, and what is kept of it.
local function default_scope(conf)
  local parts = {
    conf.method,
    mg.template.text(conf.url),
    conf.service or "",
    mg.template.text(conf.redirect or {}),
    tostring(conf.tells_uri),
    table.concat(conf.response_headers or {}, ","),
  }
  for _, header in ipairs(conf.headers or {}) do
    parts[#parts + 1] = header.name .. ":" .. mg.template.text(header.value)
  end
  return mg.json.encode(parts)
end

local function prepare(conf)
  local seconds = {}
  for _, one in ipairs(conf.cache and conf.cache.durations or {}) do
    for _, status in ipairs(one.status) do
      seconds[status] = seconds[status] or one.time
    end
  end
  local claims = {}
  for i, name in ipairs(conf.response_headers or {}) do
    claims[i] = name:lower()
  end
  local not_passed = setmetatable({}, { __index = NOT_PASSED })
  for _, header in ipairs(conf.headers or {}) do
    not_passed[header.name:lower()] = true
  end
  return setmetatable({
    seconds = seconds,
    claims = claims,
    not_passed = not_passed,
    scope = conf.cache and (conf.cache.scope or default_scope(conf)) .. "\0",
  }, { __index = conf })
end

-- --- the question --------------------------------------------------------------

local function own_headers(ctx, conf)
  local request = ctx.request
  local headers = {
    ["X-Original-URL"] = ("%s://%s%s"):format(request.scheme, request.authority, request.target),
    ["X-Original-Method"] = request.method,
    ["X-Sent-From"] = "nginx-ingress-controller",
    ["X-Real-IP"] = ctx.client.ip,
    ["X-Forwarded-For"] = ctx.client.ip,
    ["X-Request-ID"] = request.id,
    ["X-Auth-Request-Redirect"] = conf.redirect and ctx:template(conf.redirect) or request.target,
    ["X-Original-URI"] = conf.tells_uri and request.target or nil,
    ["X-Scheme"] = conf.tells_uri and request.scheme or nil,
  }
  for _, header in ipairs(conf.headers or {}) do
    headers[header.name] = ctx:template(header.value)
  end
  return headers
end

local function question(ctx, conf)
  local headers = own_headers(ctx, conf)
  for _, field in ipairs(ctx.request:headers()) do
    local name = field[1]:lower()
    if not conf.not_passed[name] then
      headers[name] = headers[name] or {}
      table.insert(headers[name], field[2])
    end
  end
  return {
    url = ctx:template(conf.url),
    service = conf.service,
    method = conf.method,
    headers = headers,
    timeout = conf.timeout,
  }
end

-- What is kept of an answer.
local function verdict_of(conf, response)
  local copied = {}
  for _, name in ipairs(conf.response_headers or {}) do
    copied[name] = response:header_values(name)
  end
  return {
    status = response.status,
    challenge = response:header("www-authenticate"),
    cookies = response:header_values("set-cookie"),
    copied = copied,
  }
end

local function ask(ctx, conf)
  local asked = question(ctx, conf)
  local response, err = mg.http.request(asked)
  if not response then
    ctx.log:error("auth_failed", { error = err, url = asked.url:match("^[^?]*") })
    return nil
  end
  return verdict_of(conf, response)
end

-- --- what is remembered ----------------------------------------------------------

-- A field may hold bytes that JSON has no text for.
local function texts(verdict, change)
  local copied = {}
  for name, values in pairs(verdict.copied) do
    copied[name] = {}
    for i, value in ipairs(values) do
      copied[name][i] = change(value)
    end
  end
  return {
    status = verdict.status,
    challenge = verdict.challenge and change(verdict.challenge),
    cookies = {},
    copied = copied,
  }
end

local function sealed(verdict)
  return texts(verdict, mg.base64.encode)
end

local function opened(verdict)
  return texts(verdict, mg.base64.decode)
end

local function ask_once(ctx, conf)
  if not conf.cache then
    return ask(ctx, conf)
  end
  local key = mg.crypto.digest("SHA256", conf.scope .. ctx:template(conf.cache.key))
  local known = cache():get(key)
  if known then
    return opened(mg.json.decode(known))
  end
  local verdict = ask(ctx, conf)
  local seconds = verdict and conf.seconds[verdict.status]
  if seconds and #verdict.cookies == 0 then
    cache():set(key, mg.json.encode(sealed(verdict)), seconds)
  end
  return verdict
end

-- --- the answer ------------------------------------------------------------------

local function signin_url(ctx, conf)
  local location = ctx:template(conf.signin)
  local query = location:match("%?(.*)$")
  if query and ("&" .. query):find("&" .. conf.signin_param .. "=", 1, true) then
    return location
  end
  local from = ctx.request.scheme .. "://" .. ctx.request.authority
  return ("%s%s%s=%s%s"):format(location, query and "&" or "?", conf.signin_param, from,
    mg.url.escape(ctx.request.target))
end

local function refuse(ctx, conf, verdict)
  local status = verdict and verdict.status
  if status == 401 and conf.signin then
    return mg.alternatives.refuse(ctx, conf, 302, "", { Location = signin_url(ctx, conf) })
  elseif status == 401 then
    return mg.alternatives.refuse(ctx, conf, 401, "401 Unauthorized\n",
      { ["WWW-Authenticate"] = verdict.challenge })
  elseif status == 403 then
    return mg.alternatives.refuse(ctx, conf, 403, "403 Forbidden\n")
  elseif status then
    ctx.log:error("auth_unexpected_status", { status = status })
  end
  return mg.alternatives.refuse(ctx, conf, 500, "500 Internal Server Error\n")
end

local function pass(ctx, conf, verdict)
  for name, values in pairs(verdict.copied) do
    ctx.upstream:remove_header(name)
    for _, value in ipairs(values) do
      ctx.upstream:add_header(name, value)
    end
  end
  return mg.alternatives.pass(ctx, conf)
end

-- What a client says in fields that the answer fills never passes, whichever check lets it pass;
-- what another instance has copied stays.
local function drop_claims(ctx, conf)
  local dropped = ctx.shared.auth_dropped or {}
  ctx.shared.auth_dropped = dropped
  for _, name in ipairs(conf.claims) do
    if not dropped[name] then
      dropped[name] = true
      ctx.upstream:remove_header(name)
    end
  end
end

local function access(ctx, conf)
  drop_claims(ctx, conf)
  if mg.alternatives.is_passed(ctx, conf) then
    return
  end
  local verdict = ask_once(ctx, conf)
  if verdict then
    ctx.shared.auth_cookies = verdict.cookies
  end
  if verdict and verdict.status >= 200 and verdict.status < 300 then
    return pass(ctx, conf, verdict)
  end
  return refuse(ctx, conf, verdict)
end

local function response(ctx, conf)
  if not conf.always_set_cookie and not WITH_COOKIES[ctx.response.status] then
    return
  end
  for _, cookie in ipairs(ctx.shared.auth_cookies or {}) do
    ctx.response:add_header("Set-Cookie", cookie)
  end
end

return mg.plugin({
  name = "forward-auth",
  version = "1.0.0",
  summary = "Asks a service whether a request may pass",
  stage = "authenticate",
  after = { "basic-auth" },
  on_error = "fail_closed",
  config = config,
  prepare = prepare,
  access = access,
  response = response,
})
