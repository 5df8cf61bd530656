-- SPDX-License-Identifier: Apache-2.0
--
-- Cross-origin requests (the Fetch standard): answers preflights, and puts the fields on every
-- response, those of the gateway too, in the place of what the service says.
local mg = require("moongate")

local s = mg.schema

local config = s.record({
  origins = s.array(s.string():len(1)):default({ "*" })
    :description("scheme://host[:port]; *. stands for one label; * alone is any origin"),
  methods = s.header_value():default("GET, PUT, POST, DELETE, PATCH, OPTIONS"),
  headers = s.header_value():default(
    "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,"
      .. "Content-Type,Range,Authorization"
  ),
  expose = s.header_value():default(""):description("fields that scripts may read"),
  credentials = s.boolean():default(true),
  max_age = s.integer():default(1728000):between(0, 2147483647)
    :description("seconds that a preflight's answer holds"),
})

-- "https://*.a.test:8443" -> before "https://", after ".a.test:8443".
local function origin_of(text)
  local scheme, host = text:lower():match("^(%a[%w+.-]*://)([^/%s]+)$")
  if text:lower() == "null" then
    return { whole = "null" }
  elseif not scheme then
    return nil
  elseif host:sub(1, 2) == "*." then
    return { before = scheme, after = host:sub(2) }
  end
  return { whole = scheme .. host }
end

-- What an allowed origin gets besides Access-Control-Allow-Origin.
local function fields_of(conf)
  local fields = {}
  local function add(name, value)
    fields[#fields + 1] = { name = name, value = value }
  end
  if conf.credentials then
    add("Access-Control-Allow-Credentials", "true")
  end
  add("Access-Control-Allow-Methods", conf.methods)
  add("Access-Control-Allow-Headers", conf.headers)
  if conf.expose ~= "" then
    add("Access-Control-Expose-Headers", conf.expose)
  end
  add("Access-Control-Max-Age", tostring(conf.max_age))
  return fields
end

local function prepare(conf)
  local made = { fields = fields_of(conf), wholes = {}, wildcards = {} }
  local skipped = {}
  for _, text in ipairs(conf.origins) do
    local origin = origin_of(text)
    if text == "*" then
      made.any = true
    elseif not origin then
      skipped[#skipped + 1] = ("%q"):format(text)
    elseif origin.whole then
      made.wholes[origin.whole] = true
    else
      made.wildcards[#made.wildcards + 1] = origin
    end
  end
  local warning
  if skipped[1] and not made.any then
    warning = ("origins: %s left out: an origin is scheme://host[:port], such as https://a.test")
      :format(table.concat(skipped, ", "))
  end
  return made, warning
end

local function matches(wildcard, origin)
  local before, after = wildcard.before, wildcard.after
  local label = #origin - #before - #after
  return label > 0
    and origin:sub(1, #before) == before
    and origin:sub(-#after) == after
    and origin:sub(#before + 1, #before + label):find("^[%w-]+$") ~= nil
end

local function is_listed(made, origin)
  if made.wholes[origin] then
    return true
  end
  for _, wildcard in ipairs(made.wildcards) do
    if matches(wildcard, origin) then
      return true
    end
  end
  return false
end

-- The value of Access-Control-Allow-Origin; nil: this origin gets nothing.
local function allowed(ctx, made)
  if made.any then
    return "*"
  end
  local origin = ctx.request:header("origin")
  return origin and is_listed(made, origin:lower()) and origin or nil
end

local function access(ctx, made)
  if ctx.request.method == "OPTIONS" and allowed(ctx, made) then
    return ctx:respond(204, "", { ["Content-Type"] = "text/plain charset=UTF-8" })
  end
end

local function response(ctx, made)
  local origin, answer = allowed(ctx, made), ctx.response
  if not made.any then
    answer:add_vary("Origin") -- for caches
  end
  if not origin then
    return
  end
  answer:set_header("Access-Control-Allow-Origin", origin)
  for _, field in ipairs(made.fields) do
    answer:set_header(field.name, field.value)
  end
end

return mg.plugin({
  name = "cors",
  version = "1.0.0",
  summary = "Answers preflights and adds the fields of cross-origin requests",
  stage = "cors",
  before = { "redirect" }, -- a preflight does not follow a redirect
  config = config,
  prepare = prepare,
  access = access,
  response = response,
})
