-- SPDX-License-Identifier: Apache-2.0
--
-- Sends some requests to another version of a service. Who asks by a header comes first, then who
-- has a cookie, then an exact share of the rest.
local mg = require("moongate")

local s = mg.schema

local config = s.record({
  alternative = s.string():required():description("name of the service that gets some requests"),
  main = s.string():description("name of the service that gets the others"),
  header = s.header_name():description('"always" asks for the alternative, "never" for main'),
  header_value = s.string():description("this value of the header asks for the alternative"),
  header_pattern = s.string():description("a pattern for the header's value, without header_value"),
  cookie = s.cookie_name():description('"always" and "never", as of the header'),
  weight = s.integer():min(0):default(0):description("share of the rest, of weight_total"),
  weight_total = s.integer():between(1, 2 ^ 31 - 1):default(100),
  sticky = s.cookie_name():description("affinity cookie: a session stays where it began"),
  sticky_by = s.template():description("equal texts get the same side, such as $remote_addr"),
})

local ALTERNATIVE, MAIN = true, false

local function prepare(conf)
  local total = conf.weight_total
  local made = {
    main = conf.main,
    alternative = conf.alternative,
    header = conf.header,
    header_value = conf.header_value,
    cookie = conf.cookie,
    weight = math.min(conf.weight, total),
    weight_total = total,
    sticky = conf.sticky,
    sticky_by = conf.sticky_by,
  }
  local warning
  if conf.header_pattern and not conf.header_value then
    -- A pattern that is wrong matches nothing, and nothing else is asked: as ingress-nginx does.
    local regex, err = mg.regex.compile(conf.header_pattern)
    made.header_pattern = regex or false
    warning = err and ("header_pattern: %s; whoever sends the header gets main"):format(err)
  end
  made.counter = mg.counter.new(("canary %s %s"):format(conf.main or "", conf.alternative))
  return made, warning
end

local function by_word(value)
  if value == "always" then
    return ALTERNATIVE
  elseif value == "never" then
    return MAIN
  end
end

local function by_pattern(regex, value)
  if not regex then
    return MAIN
  end
  local matches, err = regex:test(value)
  if matches == nil then
    error(err, 0)
  end
  return matches and ALTERNATIVE or nil
end

local function by_header(ctx, conf)
  local value = ctx.request:header(conf.header)
  if not value then
    return nil
  elseif conf.header_value then
    return value == conf.header_value and ALTERNATIVE or nil
  elseif conf.header_pattern ~= nil then
    return by_pattern(conf.header_pattern, value)
  end
  return by_word(value)
end

-- A client stays on its side while the weight stays; another weight moves only the difference.
local function by_point(ctx, conf)
  local key = ctx:template(conf.sticky_by)
  if key ~= "" then
    return mg.counter.point(key) * conf.weight_total < conf.weight
  end
end

local function by_weight(ctx, conf)
  if conf.weight == 0 then
    return MAIN
  end
  local choice = conf.sticky_by and by_point(ctx, conf)
  if choice == nil or not conf.sticky_by then
    choice = conf.counter:share(conf.weight, conf.weight_total)
  end
  return choice
end

local function by_session(ctx, conf)
  if ctx.upstream:has_session(conf.main) then
    return MAIN
  elseif ctx.upstream:has_session(conf.alternative) then
    return ALTERNATIVE
  end
end

local function choose(ctx, conf)
  local choice
  if conf.sticky and conf.main then
    choice = by_session(ctx, conf)
  end
  if choice == nil and conf.header then
    choice = by_header(ctx, conf)
  end
  if choice == nil and conf.cookie then
    choice = by_word(ctx.request:cookie(conf.cookie))
  end
  if choice == nil then
    choice = by_weight(ctx, conf)
  end
  return choice
end

return mg.plugin({
  name = "canary",
  version = "1.0.0",
  summary = "Sends some requests to another version of a service",
  stage = "route",
  config = config,
  prepare = prepare,

  access = function(ctx, conf)
    local upstream = ctx.upstream
    -- Without endpoints the canary leaves everything to main; a main without any gives 503.
    if conf.main and not upstream:has_endpoints(conf.main) then
      return
    elseif not upstream:has_endpoints(conf.alternative) then
      return
    end
    if choose(ctx, conf) then
      upstream:set_service(conf.alternative)
    end
  end,
})
