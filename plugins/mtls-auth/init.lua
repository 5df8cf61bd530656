-- SPDX-License-Identifier: Apache-2.0
--
-- Judges the certificate that a client has shown. That it is asked for one is said with the host's
-- TLS; here a request without a good one ends, and the service learns who it was.
local mg = require("moongate")

local s = mg.schema

local config = s.record({
  require = s.enum("valid", "optional", "any", "off", "nobody"):default("valid")
    :description("valid: a good one; optional: none, or a good one; any: none, or one of an "
      .. "authority that need not be known; off: whatever comes; nobody: 403 for all"),
  match = s.string():description("pattern that the subject must match, else 403"),
  error_page = s.string():description("URL that a client without a good one is sent to"),
  pass = s.boolean():default(false):description("the service gets the certificate itself"),
})

-- What nginx's answers say, since people search for it.
local NONE = "400 Bad Request: no required SSL certificate was sent\n"
local BAD = "400 Bad Request: the SSL certificate error\n"
local OTHER_HOST = "421 Misdirected Request: the connection is for another host\n"

local HEADERS = {
  "ssl-client-verify",
  "ssl-client-subject-dn",
  "ssl-client-issuer-dn",
  "ssl-client-cert",
}

local function prepare(conf)
  local made = {
    require = conf.require,
    error_page = conf.error_page,
    pass = conf.pass,
  }
  if conf.match then
    local regex, err = mg.regex.compile(conf.match)
    if not regex then
      return nil, ("match %q: %s"):format(conf.match, err)
    end
    made.match = regex
  end
  return made
end

local function refuse(ctx, conf, message)
  if conf.error_page then
    return ctx:redirect(conf.error_page, 302)
  end
  return ctx:respond(400, message)
end

-- A name that is asked for on a connection made under another one was never put to the question.
local function is_elsewhere(ctx, tls)
  return tls.sni ~= ctx.request.host
end

local function judge(ctx, conf, tls)
  local verify, accepted = tls.verify or "NONE", tls.accepted
  if verify == "NONE" then
    return conf.require == "valid" and refuse(ctx, conf, NONE)
  elseif accepted ~= "1" and not (accepted == "any" and conf.require == "any") then
    return refuse(ctx, conf, BAD)
  end
end

local function matches(conf, subject)
  local found, err = conf.match:test(subject)
  if found == nil then
    error(err, 0)
  end
  return found
end

local function tell(ctx, conf, tls)
  local upstream = ctx.upstream
  upstream:set_header("ssl-client-verify", tls.verify or "NONE")
  local function set(name, value)
    if value then
      upstream:set_header(name, value)
    end
  end
  set("ssl-client-subject-dn", tls.subject)
  set("ssl-client-issuer-dn", tls.issuer)
  local certificate = conf.pass and tls.certificate
  if certificate then
    upstream:set_header("ssl-client-cert", mg.url.escape(certificate))
  end
end

-- Nothing can be shown without TLS.
local function judge_plain(ctx, conf)
  if conf.require == "valid" or conf.match then
    return ctx:respond(403, "403 Forbidden\n")
  end
end

local function judge_secure(ctx, conf, tls)
  if is_elsewhere(ctx, tls) then
    return ctx:respond(421, OTHER_HOST)
  end
  judge(ctx, conf, tls)
  if conf.match and not matches(conf, tls.subject or "") then
    return ctx:respond(403, "client certificate unauthorized\n")
  end
end

local function access(ctx, conf)
  for _, name in ipairs(HEADERS) do
    ctx.upstream:remove_header(name)
  end
  -- With `off` nobody was asked for this host: what was shown was shown to another one.
  local tls = conf.require ~= "off" and ctx.client.tls or nil
  if conf.require == "nobody" then
    return ctx:respond(403, "403 Forbidden\n")
  elseif tls then
    judge_secure(ctx, conf, tls)
  else
    judge_plain(ctx, conf)
  end
  tell(ctx, conf, tls or {})
end

return mg.plugin({
  name = "mtls-auth",
  version = "1.0.0",
  summary = "Judges the certificate that a client has shown",
  stage = "authenticate",
  before = { "basic-auth", "forward-auth" },
  on_error = "fail_closed",
  config = config,
  prepare = prepare,
  access = access,
})
