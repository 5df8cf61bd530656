-- SPDX-License-Identifier: Apache-2.0
--
-- Sends responses compressed to clients that take them so, by gzip or brotli (RFC 9110 8.4,
-- 12.5.3).
local mg = require("moongate")

local s = mg.schema

local function coding(least, most, level, min_length)
  return s.record({
    level = s.integer():between(least, most):default(level),
    min_length = s.bytes():default(min_length):description("shorter bodies stay as they are"),
    types = s.array(s.string():len(1)):description("Content-Types; text/html always"),
  })
end

local config = s.record({
  gzip = coding(1, 9, 1, 256),
  brotli = coding(0, 11, 4, 20),
  not_for = s.regex():description("pattern of User-Agents that get gzip never"),
}):at_least_one_of({ "gzip", "brotli" })

local function made_of(name, conf)
  local types = { ["text/html"] = true }
  for _, one in ipairs(conf.types or {}) do
    types[one:lower()] = true
  end
  return { name = name, level = conf.level, min_length = conf.min_length, types = types }
end

local function prepare(conf)
  local made = { codings = {} }
  if conf.brotli then
    table.insert(made.codings, made_of("br", conf.brotli))
  end
  if conf.gzip then
    table.insert(made.codings, made_of("gzip", conf.gzip))
  end
  made.not_for = conf.not_for
  return made
end

-- Statuses whose bodies nginx compresses.
local WITH_BODY = { [200] = true, [403] = true, [404] = true }

local function is_eligible(ctx)
  local response = ctx.response
  return WITH_BODY[response.status]
    and ctx.request.method ~= "HEAD"
    and not response:header("content-encoding")
    and not response:header("content-range")
    and not (response:header("cache-control") or ""):lower():find("no%-transform")
end

-- Whether Accept-Encoding takes a coding: named, or by `*`, with a weight above 0.
local function accepts(text, name)
  local any
  for item in text:lower():gmatch("[^,]+") do
    local token, rest = item:match("^%s*([%w*-]+)(.*)$")
    local weight = rest and tonumber(rest:match(";%s*q%s*=%s*([%d.]+)") or 1) or 0
    if token == name then
      return weight > 0
    elseif token == "*" then
      any = weight > 0
    end
  end
  return any == true
end

local function is_long_enough(response, one)
  local length = tonumber(response:header("content-length") or "")
  return not length or length >= one.min_length
end

local function is_kept_from(ctx, conf, one)
  local agent = one.name == "gzip" and conf.not_for and ctx.request:header("user-agent")
  return agent and conf.not_for:test(agent) or false
end

local function response(ctx, conf)
  if not is_eligible(ctx) then
    return
  end
  local answer = ctx.response
  local kind = (answer:header("content-type") or ""):lower():match("^[^;%s]*")
  local wanted = ctx.request:header("accept-encoding") or ""
  local varies = false
  for _, one in ipairs(conf.codings) do
    if (one.types[kind] or one.types["*"]) and is_long_enough(answer, one) then
      varies = true
      if accepts(wanted, one.name) and not is_kept_from(ctx, conf, one) then
        answer:add_vary("Accept-Encoding")
        return answer:encode(one.name, one.level)
      end
    end
  end
  if varies then
    answer:add_vary("Accept-Encoding")
  end
end

return mg.plugin({
  name = "compress",
  version = "1.0.0",
  summary = "Compresses responses by gzip or brotli",
  stage = "edge", -- last of all that see a response
  config = config,
  prepare = prepare,
  response = response,
})
