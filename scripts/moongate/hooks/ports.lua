-- SPDX-License-Identifier: Apache-2.0
--
-- Where C enters for each attempt of a connection of a TCP service or a session of a UDP service:
-- the balancer of its service says which endpoint comes next. Nothing waits here.
local ffi = require("ffi")

local errors = require("moongate.api.errors")
local reader = require("moongate.snapshot.reader")
local upstreams = require("moongate.hooks.upstreams")

local M = {}

local CHOICE = ffi.typeof("struct mg_choice *")
local IP_MAX = ffi.sizeof("struct mg_place") - ffi.sizeof("uint16_t") - 1

-- Those of the balancer's endpoints that C names.
local function tried_of(balancer, choice)
  if choice.tried_count == 0 then
    return nil
  end
  local tried = {}
  for i = 0, choice.tried_count - 1 do
    local place = choice.tried[i]
    local ip = ffi.string(place.ip)
    for _, endpoint in ipairs(balancer.endpoints) do
      if endpoint.address == ip and endpoint.port == place.port then
        tried[endpoint] = true
      end
    end
  end
  return tried
end

--- Fills in what C asks for.
---
--- Errors: `no_endpoint` when there is none that has not failed already.
---@param pointer userdata  struct mg_choice *
---@return integer  0, or an error
function M.choose(pointer)
  local choice = ffi.cast(CHOICE, pointer)
  local id = tonumber(choice.service)
  local service = reader.service(choice.snapshot, id)
  if not service then
    return errors.NO_ENDPOINT
  end
  local balancer = upstreams.balancers:of(service, id)
  local tried = tried_of(balancer, choice)
  local endpoint = balancer:pick(nil, 0, tried)
  if not endpoint or tried and tried[endpoint] or #endpoint.address > IP_MAX then
    return errors.NO_ENDPOINT
  end
  ffi.copy(choice.chosen.ip, endpoint.address)
  choice.chosen.port = endpoint.port
  return 0
end

return M
