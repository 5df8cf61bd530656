-- SPDX-License-Identifier: Apache-2.0
--
-- Gives the service another path than the client asked for, made of what a pattern finds in it.
-- Comes before the redirect to https, because a replacement that is a URL is a redirect itself.
local mg = require("moongate")

local s = mg.schema

local config = s.record({
  pattern = s.regex({ ignore_case = true }):required()
    :description("searched in the decoded path, without case"),
  replacement = s.header_value():required()
    :description("the whole new path, with $0 to $9 for what the pattern's groups hold"),
  redirect = s.boolean():default(false):description("replacement is a URL: answers 302 with it"),
  forwarded_prefix = s.header_value()
    :description("X-Forwarded-Prefix for the service, with groups as the replacement"),
})

-- "a/$1$x" becomes { "a/", 1, "$x" }: only $0 to $9 stand for groups.
local function pieces(text)
  local list, at = {}, 1
  while at <= #text do
    local dollar = text:find("%$%d", at)
    if dollar ~= at then
      list[#list + 1] = text:sub(at, (dollar or #text + 1) - 1)
    end
    if not dollar then
      break
    end
    list[#list + 1] = tonumber(text:sub(dollar + 1, dollar + 1))
    at = dollar + 2
  end
  return list
end

local function as_it_is(text)
  return text
end

local function put_together(list, groups, escape)
  local out = {}
  for i, piece in ipairs(list) do
    out[i] = type(piece) == "string" and piece or escape(groups[piece] or "")
  end
  return table.concat(out)
end

-- The query that the replacement brings comes first; a '?' at its end leaves out the client's.
local function query_of(ctx, conf, groups)
  local given = conf.query and put_together(conf.query, groups, mg.url.escape)
  local own = not conf.drops_query and ctx.request.query_string or nil
  if given and given ~= "" and own and own ~= "" then
    return given .. "&" .. own
  elseif given and given ~= "" then
    return given
  end
  return own
end

local function prepare(conf)
  local path, query = conf.replacement:match("^([^?]*)%??(.*)$")
  return {
    regex = conf.pattern,
    path = pieces(path),
    query = query ~= "" and pieces(query) or nil,
    drops_query = conf.replacement:sub(-1) == "?",
    redirect = conf.redirect,
    forwarded_prefix = conf.forwarded_prefix and pieces(conf.forwarded_prefix),
  }
end

local function access(ctx, conf)
  local groups, err = conf.regex:match(ctx.request.path)
  if err then
    error(err, 0)
  elseif not groups then
    return
  end
  local query = query_of(ctx, conf, groups)
  if conf.redirect then
    local url = put_together(conf.path, groups, mg.url.escape_path)
    return ctx:redirect(query and query ~= "" and url .. "?" .. query or url, 302)
  end
  local path = put_together(conf.path, groups, as_it_is)
  if path:sub(1, 1) ~= "/" then
    path = "/" .. path
  end
  path = mg.url.escape_path(path)
  ctx.upstream:set_target(query and path .. "?" .. query or path)
  if conf.forwarded_prefix then
    ctx.upstream:set_header("X-Forwarded-Prefix",
      put_together(conf.forwarded_prefix, groups, mg.url.escape_path))
  end
end

return mg.plugin({
  name = "rewrite",
  version = "1.0.0",
  summary = "Gives the service another path, by a pattern",
  stage = "redirect",
  before = { "redirect" },
  on_error = "fail_closed",
  config = config,
  prepare = prepare,
  decides = function(conf)
    return conf.redirect
  end,
  access = access,
})
