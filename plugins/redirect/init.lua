-- SPDX-License-Identifier: Apache-2.0
--
-- Answers with a Location: the root of an application, a fixed URL, the same path with a slash at
-- its end, the same at another host, or by https. The first of them that is configured and applies
-- answers, in that order.
local mg = require("moongate")

local s = mg.schema

local function code(default)
  return s.integer():between(300, 308):default(default)
end

local config = s.record({
  app_root = s.template():description("path for whoever asks for exactly /; may hold variables"),
  url = s.header_value():len(1):description("a fixed Location; the path is not appended"),
  code = code(302):description("status that goes with url"),
  slash = s.record({
    code = code(301),
    relative = s.boolean():default(false):description("Location without scheme and host"),
  }):description("the same path with a slash at its end"),
  host = s.record({
    name = s.host():required(),
    code = code(308),
  }):description("the same path and query at another host"),
  https = s.record({
    code = code(308),
    keep_slash = s.boolean():default(false):description("keeps a slash at the end of the target"),
    port = s.port():description("stands in Location; none unless given"),
  }):description("the same by https, unless the request is secure already"),
}):at_least_one_of({ "app_root", "url", "slash", "host", "https" })

-- What the client asked for, without one slash at its end.
local function cut_slash(target)
  return target:sub(-1) == "/" and target:sub(1, -2) or target
end

local function to_app_root(ctx, template)
  local request = ctx.request
  local root = ctx:template(template)
  return ctx:redirect(request.scheme .. "://" .. request.authority .. root, 302)
end

local function to_slash(ctx, slash)
  local request = ctx.request
  local query = request.query_string
  local target = mg.url.escape_path(request.path) .. "/" .. (query and "?" .. query or "")
  local base = slash.relative and "" or request.scheme .. "://" .. request.host
  return ctx:redirect(base .. target, slash.code)
end

local function to_host(ctx, host)
  local request = ctx.request
  local base = request.scheme .. "://" .. host.name .. ":" .. ctx:var("pass_port")
  return ctx:redirect(base .. cut_slash(request.target), host.code)
end

local function to_https(ctx, https)
  local request = ctx.request
  if request.host == "" or not request.host then
    return ctx:respond(400, "this site is served by https only\n")
  end
  -- What the client calls this site, where a trusted proxy says so.
  local public = request.public_authority
  local host = public == request.authority and request.host or public:gsub(":%d+$", "")
  local base = "https://" .. host .. (https.port and ":" .. https.port or "")
  local target = https.keep_slash and request.target or cut_slash(request.target)
  return ctx:redirect(base .. target, https.code)
end

return mg.plugin({
  name = "redirect",
  version = "1.0.0",
  summary = "Sends clients elsewhere: to a URL, another host, https",
  stage = "redirect",
  on_error = "fail_closed",
  config = config,

  access = function(ctx, conf)
    if conf.app_root then
      return to_app_root(ctx, conf.app_root)
    elseif conf.url then
      return ctx:redirect(conf.url, conf.code)
    elseif conf.slash then
      return to_slash(ctx, conf.slash)
    elseif conf.host then
      return to_host(ctx, conf.host)
    elseif conf.https and ctx.request.scheme ~= "https" then
      return to_https(ctx, conf.https)
    end
  end,
})
