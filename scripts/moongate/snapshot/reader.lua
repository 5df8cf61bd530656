-- SPDX-License-Identifier: Apache-2.0
--
-- Texts, services and plans out of a snapshot's parts. Nothing here is cached but decoded plans; a
-- cdata is valid as long as the snapshot that it came from is pinned.
local ffi = require("ffi")

local C = require("moongate.api.core")
require("moongate.snapshot.layout")

local M = {}

-- Results in parentheses are no tail calls, with which LuaJIT ends no trace.

local BYTES = ffi.typeof("const char *")
local ENDPOINT = ffi.typeof("const struct mg_endpoint *")
local PLAN = ffi.typeof("const struct mg_plan *")
local SERVICE = ffi.typeof("const struct mg_service *")

--- The text that `span` stands for.
---@param owner ffi.cdata*  what the span counts from: a route for its own, else the part
---@param span ffi.cdata*
---@return string
function M.text(owner, span)
  return (ffi.string(ffi.cast(BYTES, owner) + span.at, span.length))
end

---@return string
function M.route_id(route)
  return M.text(route, route.id)
end

--- What is wrong with a route that answers 503; nil for a sound one.
---@return string?
function M.route_fault(route)
  return route.fault.length > 0 and M.text(route, route.fault) or nil
end

--- JSON text of the object that the route comes from; nil when nothing is known.
---@return string?
function M.route_source(route)
  return route.source.length > 0 and M.text(route, route.source) or nil
end

---@return ffi.cdata*? service  struct mg_service; nil when the id stands for none
function M.service(snapshot, id)
  local bytes = id >= 0 and C.mg_snapshot_service(snapshot, id) or nil
  if bytes == nil then
    return nil
  end
  return (ffi.cast(SERVICE, bytes))
end

--- The service at the start of a part.
---@return ffi.cdata* service
function M.service_at(bytes)
  return (ffi.cast(SERVICE, bytes))
end

--- Endpoints as plain tables, in the model's order.
---@return { address: string, port: integer, weight: integer, zone: string? }[]
function M.endpoints(service)
  local list = {}
  local from = ffi.cast(ENDPOINT, ffi.cast(BYTES, service) + service.endpoints_at)
  for i = 0, service.endpoint_count - 1 do
    local endpoint = from[i]
    list[i + 1] = {
      address = M.text(service, endpoint.address),
      port = endpoint.port,
      weight = endpoint.weight,
      zone = endpoint.zone.length > 0 and M.text(service, endpoint.zone) or nil,
    }
  end
  return list
end

--- JSON text of the model's service without its endpoints.
---@return string
function M.service_rest(service)
  return M.text(service, service.rest)
end

---@class moongate.Plans
local Plans = {}
Plans.__index = Plans

--- A worker's decoded plans. `decode` turns a plan's JSON text into what the hooks run.
---@param decode fun(text: string): any
---@return moongate.Plans
function M.plans(decode)
  return setmetatable({ decode = decode, serials = {}, values = {} }, Plans)
end

--- The decoded plan `id` of `snapshot`: decoded once, as long as its part stays the same.
---@param id integer  of a route
function Plans:get(snapshot, id)
  local bytes = C.mg_snapshot_plan(snapshot, id)
  if bytes == nil then
    return nil
  end
  local plan = ffi.cast(PLAN, bytes)
  if self.serials[id] ~= plan.serial then
    self.values[id] = self.decode(M.text(plan, plan.text))
    self.serials[id] = plan.serial
  end
  return self.values[id]
end

return M
