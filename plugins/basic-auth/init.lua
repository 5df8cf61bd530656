-- SPDX-License-Identifier: Apache-2.0
--
-- Asks for a user's name and password (RFC 7617). Hashes are those of htpasswd; they are slow on
-- purpose, so what came out of a comparison is remembered, by a fingerprint of the credentials.
local mg = require("moongate")

local s = mg.schema

local config = s.record({
  users = s.array(s.string()):required():secret():description("lines of htpasswd: name:hash"),
  realm = s.header_value():default(""):description("what the browser shows when it asks"),
  hide_credentials = s.boolean():default(true)
    :description("the service does not get the Authorization field"),
  alternative = mg.alternatives.field(s),
})

-- Each of the two halves of a cache; when one is full the older one goes.
local REMEMBERED = 1024

local function cache()
  return { now = {}, count = 0, older = {} }
end

local function remembered(self, key)
  local value = self.now[key]
  if value == nil then
    value = self.older[key]
  end
  return value
end

local function remember(self, key, value)
  if self.count >= REMEMBERED then
    self.older, self.now, self.count = self.now, {}, 0
  end
  self.now[key] = value
  self.count = self.count + 1
end

local function prepare(conf)
  local users, refused, decoy = {}, {}, nil
  for _, line in ipairs(conf.users) do
    local name, hash = line:match("^([^:]+):([^:]*)")
    if not name or not mg.password.is_known(hash) then
      refused[#refused + 1] = ("%q"):format(name or "?")
    elseif not users[name] then
      users[name] = hash
      decoy = decoy or hash
    end
  end
  local warning
  if refused[1] then
    warning = ("the password of user %s is not stored in a form that is accepted, so they cannot "
      .. "log in; make it anew with htpasswd -B"):format(table.concat(refused, ", "))
  end
  local realm = conf.realm:gsub('[\\"]', "\\%0")
  return {
    users = users,
    decoy = decoy,
    challenge = { ["WWW-Authenticate"] = ('Basic realm="%s"'):format(realm) },
    hide_credentials = conf.hide_credentials,
    alternative = conf.alternative,
    good = cache(),
    bad = cache(),
  }, warning
end

local function credentials_of(ctx)
  local values = ctx.request:header_values("authorization")
  if #values ~= 1 then
    return nil
  end
  local encoded = values[1]:match("^[Bb][Aa][Ss][Ii][Cc] +([%w+/=]+) *$")
  local text = encoded and mg.base64.decode(encoded)
  return text, text and text:match("^([^:]*):")
end

-- An unknown name takes as long as a known one.
local function compare(conf, name, text)
  local hash = conf.users[name] or conf.decoy
  if not hash then
    return false
  end
  local matches, err, code = mg.password.check(text:sub(#name + 2), hash)
  if matches == nil then
    return nil, err, code
  end
  return matches and conf.users[name] ~= nil
end

local function verify(conf, name, text)
  local key = mg.password.fingerprint(text)
  if remembered(conf.good, key) then
    return true
  elseif remembered(conf.bad, key) then
    return false
  end
  local is_right, err, code = compare(conf, name, text)
  if is_right ~= nil then
    remember(is_right and conf.good or conf.bad, key, true)
  end
  return is_right, err, code
end

local function access(ctx, conf)
  if mg.alternatives.is_passed(ctx, conf) then
    return
  end
  local text, name = credentials_of(ctx)
  if not name then
    return mg.alternatives.refuse(ctx, conf, 401, "401 Unauthorized\n", conf.challenge)
  end
  local is_right, err, code = verify(conf, name, text)
  if is_right == nil then
    ctx.log:warn("password_unchecked", { error = err })
    local status = code == "limit" and 503 or 500
    return ctx:respond(status, status == 503 and "503 Service Unavailable\n" or nil)
  elseif not is_right then
    return mg.alternatives.refuse(ctx, conf, 401, "401 Unauthorized\n", conf.challenge)
  end
  mg.alternatives.pass(ctx, conf)
  ctx:authenticate({ id = name, username = name })
  if conf.hide_credentials then
    ctx.upstream:remove_header("Authorization")
  end
end

return mg.plugin({
  name = "basic-auth",
  version = "1.0.0",
  summary = "Asks for a name and a password",
  stage = "authenticate",
  on_error = "fail_closed",
  config = config,
  prepare = prepare,
  access = access,
})
