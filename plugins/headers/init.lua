-- SPDX-License-Identifier: Apache-2.0
--
-- Sets header fields of requests to the service and of responses to the client, also of responses
-- that the gateway makes itself.
local mg = require("moongate")

local function set_all(ctx, head, list)
  for i = 1, #list do
    local header = list[i]
    local value = header.value or ctx:template(header.template)
    head:set_header(header.name, value)
  end
end

local function access(ctx, conf)
  local request = conf.request
  if not request then
    return
  end
  local upstream = ctx.upstream
  if request.set then
    set_all(ctx, upstream, request.set)
  end
  if request.host then
    upstream:set_host_header(request.host)
  end
  if request.connection then
    upstream:set_header("Connection", request.connection)
  end
end

local function change_response(ctx, change)
  local response = ctx.response
  if change.hide and response.source == "upstream" then
    for i = 1, #change.hide do
      response:remove_header(change.hide[i])
    end
  end
  if change.set then
    set_all(ctx, response, change.set)
  end
  for i = 1, change.add and #change.add or 0 do
    local header = change.add[i]
    response:add_header(header.name, header.value or ctx:template(header.template))
  end
end

local function response(ctx, conf)
  if conf.response then
    change_response(ctx, conf.response)
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
  access = access,
  response = response,
})
