-- SPDX-License-Identifier: Apache-2.0
--
-- Makes what a service says of its own address fit that of the gateway: Location, Refresh, and the
-- Path and Domain of cookies.
local mg = require("moongate")

local s = mg.schema

local function pair()
  return s.record({
    from = s.string():len(1):required(),
    to = s.template():required(),
  })
end

local config = s.record({
  location = pair():description("what Location and Refresh begin with, and what they get for it"),
  cookie_path = pair():description("what the Path of a cookie begins with"),
  cookie_domain = pair():description("Domain of a cookie, any case, with or without a first dot"),
}):at_least_one_of({ "location", "cookie_path", "cookie_domain" })

local function bare(domain)
  return (domain:lower():gsub("^%.", ""))
end

local function prepare(conf)
  local domain = conf.cookie_domain
  return {
    location = conf.location,
    cookie_path = conf.cookie_path,
    cookie_domain = domain and { from = bare(domain.from), to = domain.to },
  }
end

local function begins(text, beginning)
  return text:sub(1, #beginning) == beginning
end

local function rewrite_location(ctx, change)
  local response = ctx.response
  local location = response:header("location")
  if location and begins(location, change.from) then
    response:set_header("Location", ctx:template(change.to) .. location:sub(#change.from + 1))
  end
  local refresh = response:header("refresh")
  local before, url = (refresh or ""):match("^(.-[uU][rR][lL]=)(.*)$")
  if before and begins(url, change.from) then
    response:set_header("Refresh", before .. ctx:template(change.to) .. url:sub(#change.from + 1))
  end
end

-- The attribute as it is to be, or nil.
local function changed(ctx, conf, name, value)
  name = name:lower()
  if name == "path" and conf.cookie_path and begins(value, conf.cookie_path.from) then
    return ctx:template(conf.cookie_path.to) .. value:sub(#conf.cookie_path.from + 1)
  elseif name == "domain" and conf.cookie_domain
    and bare(value) == conf.cookie_domain.from then
    return ctx:template(conf.cookie_domain.to)
  end
end

-- Name, where the value begins, value, where it has ended.
local ATTRIBUTE = ";%s*(%a+)=()([^;]*)()"

local function rewrite_cookie(ctx, conf, cookie)
  local name, first, value, after = cookie:match(ATTRIBUTE)
  while name do
    local now = changed(ctx, conf, name, value)
    if now then
      cookie = cookie:sub(1, first - 1) .. now .. cookie:sub(after)
      after = first + #now
    end
    name, first, value, after = cookie:match(ATTRIBUTE, after)
  end
  return cookie
end

local function rewrite_cookies(ctx, conf)
  local response = ctx.response
  local cookies = response:header_values("set-cookie")
  if #cookies == 0 then
    return
  end
  response:remove_header("set-cookie")
  for _, cookie in ipairs(cookies) do
    response:set_cookie(rewrite_cookie(ctx, conf, cookie))
  end
end

return mg.plugin({
  name = "response-rewrite",
  version = "1.0.0",
  summary = "Rewrites Location and cookies of a service",
  stage = "transform",
  config = config,
  prepare = prepare,

  response = function(ctx, conf)
    if ctx.response.source ~= "upstream" then
      return
    end
    if conf.location then
      rewrite_location(ctx, conf.location)
    end
    if conf.cookie_path or conf.cookie_domain then
      rewrite_cookies(ctx, conf)
    end
  end,
})
