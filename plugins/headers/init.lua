-- SPDX-License-Identifier: Apache-2.0
--
-- Sets header fields of requests to the service and of responses to the client, also of responses
-- that the gateway makes itself.
local mg = require("moongate")

local s = mg.schema

local function as_it_is(kind)
  return kind
end

local function secret(kind)
  return kind:secret()
end

-- A mapping of names to texts with variables, or a list where `value` is taken as it stands. `mark`
-- gets the types of the values.
local function fields(mark)
  return s.one_of(
    s.map(s.header_name(), mark(s.template())),
    s.array(s.record({
      name = s.header_name():required(),
      value = mark(s.header_value()),
      template = mark(s.template()),
    }):exactly_one_of({ "value", "template" }))
  )
end

local function names()
  return s.array(s.header_name())
end

local config = s.record({
  -- What the service gets may be what lets the gateway in; what clients get is known to them.
  request = s.record({
    set = fields(secret):description("replaced, or added where they are missing"),
    add = fields(secret):description("appended to what is there"),
    remove = names(),
    host = s.template():description("Host for the service, with variables"),
    connection = s.header_value():description("Connection for the service"),
  }):description("fields that the service gets"),
  response = s.record({
    set = fields(as_it_is),
    add = fields(as_it_is),
    hide = names():description("removed from what the service sends"),
  }):description("fields that the client gets, also with answers of the gateway"),
  hsts = s.header_value():description("Strict-Transport-Security of answers over TLS"),
})

-- Lists of {name, value} or {name, template}.
local function list_of(given)
  if not given then
    return nil
  end
  local list = {}
  for _, header in ipairs(given) do
    list[#list + 1] = header
  end
  if #list == 0 then
    for name, template in pairs(given) do
      list[#list + 1] = { name = name, template = template }
    end
    table.sort(list, function(a, b)
      return a.name < b.name
    end)
  end
  for _, header in ipairs(list) do
    if header.template and mg.template.is_fixed(header.template) then
      header.value = mg.template.text(header.template)
    end
  end
  return list
end

local function prepare(conf)
  for _, head in ipairs({ conf.request or {}, conf.response or {} }) do
    head.set, head.add = list_of(head.set), list_of(head.add)
  end
  local request = conf.request
  if request and request.host and mg.template.is_fixed(request.host) then
    request.fixed_host = mg.template.text(request.host)
  end
  return conf
end

local function value_of(ctx, header)
  return header.value or ctx:template(header.template)
end

local function set_all(ctx, head, list)
  for i = 1, #list do
    head:set_header(list[i].name, value_of(ctx, list[i]))
  end
end

local function add_all(ctx, head, list)
  for i = 1, #list do
    head:add_header(list[i].name, value_of(ctx, list[i]))
  end
end

local function remove_all(head, list)
  for i = 1, #list do
    head:remove_header(list[i])
  end
end

-- Removes first, so that what is set stays.
local function change(ctx, head, what, removed)
  if removed then
    remove_all(head, removed)
  end
  if what.set then
    set_all(ctx, head, what.set)
  end
  if what.add then
    add_all(ctx, head, what.add)
  end
end

local function access(ctx, conf)
  local request = conf.request
  if not request then
    return
  end
  local upstream = ctx.upstream
  change(ctx, upstream, request, request.remove)
  if request.host then
    upstream:set_host_header(request.fixed_host or ctx:template(request.host))
  end
  if request.connection then
    upstream:set_header("Connection", request.connection)
  end
end

local function response(ctx, conf)
  local what = conf.response
  if what then
    local from_upstream = ctx.response.source == "upstream"
    change(ctx, ctx.response, what, from_upstream and what.hide or nil)
  end
  if conf.hsts and ctx.client.secure then
    ctx.response:set_header("Strict-Transport-Security", conf.hsts)
  end
end

return mg.plugin({
  name = "headers",
  version = "1.0.0",
  summary = "Sets, adds and removes header fields of requests and responses",
  stage = "transform",
  config = config,
  prepare = prepare,
  decides = function()
    return false
  end,
  access = access,
  response = response,
})
