-- SPDX-License-Identifier: Apache-2.0
--
-- Refuses clients by their address, and by what they say in User-Agent and Referer.
local mg = require("moongate")

local s = mg.schema

local config = s.record({
  allow = s.array(s.cidr()):description("who may pass; all others may not"),
  deny = s.array(s.cidr()):description("who may not, asked first"),
  source = s.enum("client", "peer"):default("client")
    :description("client: behind trusted proxies; peer: the other end of the connection"),
  user_agents = s.array(s.string()):description("values of User-Agent; ~ and ~* begin patterns"),
  referers = s.array(s.string()):description("values of Referer; ~ and ~* begin patterns"),
  status = s.status_code():default(403),
  message = s.string():default("403 Forbidden\n"),
  alternative = mg.alternatives.field(s),
}):at_least_one_of({ "allow", "deny", "user_agents", "referers" })

local function set_of(list)
  return list and list[1] and mg.ip.cidr_set(list)
end

-- Of an empty list nobody may pass.
local function allowed_of(list)
  return list and mg.ip.cidr_set(list)
end

-- Values as nginx's map has them: "~" begins a pattern, "~*" one of any case, others are whole
-- values of any case.
local function matcher(list)
  if not list or #list == 0 then
    return nil
  end
  local made = { values = {}, patterns = {} }
  for _, text in ipairs(list) do
    local star, pattern = text:match("^~(%*?)(.*)$")
    if not pattern then
      made.values[text:lower()] = true
    else
      local regex, err = mg.regex.compile(pattern, { ignore_case = star == "*" })
      if not regex then
        return nil, ("pattern %q: %s"):format(pattern, err)
      end
      table.insert(made.patterns, regex)
    end
  end
  return made
end

local MAKERS = { allow = allowed_of, deny = set_of, user_agents = matcher, referers = matcher }

local function prepare(conf)
  local made = { status = conf.status, message = conf.message, source = conf.source,
    alternative = conf.alternative }
  for name, make in pairs(MAKERS) do
    local value, err = make(conf[name])
    if err then
      return nil, ("%s: %s"):format(name, err)
    end
    made[name] = value
  end
  return made
end

local function is_listed(made, text)
  if not text then
    return false
  elseif made.values[text:lower()] then
    return true
  end
  for _, regex in ipairs(made.patterns) do
    local matches, err = regex:test(text)
    if matches == nil then
      error(err, 0)
    elseif matches then
      return true
    end
  end
  return false
end

local function is_refused(ctx, conf)
  local address = conf.source == "peer" and ctx.client.peer_ip or ctx.client.ip
  if conf.deny and conf.deny:contains(address) then
    return true
  elseif conf.allow and not conf.allow:contains(address) then
    return true
  end
  local request = ctx.request
  return conf.user_agents and is_listed(conf.user_agents, request:header("user-agent"))
    or conf.referers and is_listed(conf.referers, request:header("referer"))
end

return mg.plugin({
  name = "ip-restriction",
  version = "1.0.0",
  summary = "Refuses clients by address, User-Agent and Referer",
  stage = "cors", -- before all that authenticates, whatever its name
  after = { "concurrency-limit", "cors", "rate-limit" },
  on_error = "fail_closed",
  config = config,
  prepare = prepare,

  access = function(ctx, conf)
    if is_refused(ctx, conf) then
      return mg.alternatives.refuse(ctx, conf, conf.status, conf.message)
    end
    mg.alternatives.pass(ctx, conf)
  end,
})
