-- SPDX-License-Identifier: Apache-2.0
--
-- Host names of upstreams as the control thread knows them: asked of the system's resolver when
-- they are first needed, and again from time to time. What was known stays while the resolver has
-- no answer.
local dns = require("moongate.api.dns")
local log = require("moongate.api.log")
local task = require("moongate.api.task")

local M = {}

local AGAIN_SECONDS = 30

local Resolver = {}
Resolver.__index = Resolver

function M.new()
  return setmetatable({ names = {} }, Resolver)
end

local function is_loopback(address)
  return address:match("^127%.") ~= nil or address == "::1"
end

local function ask(entry, name)
  local addresses, err = dns.resolve(name)
  if addresses then
    table.sort(addresses)
    local text = table.concat(addresses, " ")
    local changed = text ~= entry.text
    entry.addresses, entry.text, entry.err = addresses, text, nil
    return changed
  end
  if entry.err ~= err then
    log.warn("name_not_resolved", { name = name, error = err, kept = entry.text })
  end
  entry.err = err
  return false
end

--- Addresses of a name, sorted.
---@param name string
---@return string[]? addresses
---@return string? err
function Resolver:resolve(name)
  local entry = self.names[name]
  if not entry then
    entry = {}
    self.names[name] = entry
    ask(entry, name)
  end
  entry.used = true
  return entry.addresses, entry.err
end

--- Fills in the endpoints of services that are given by name (ExternalName). A name that leads to
--- this machine itself is refused: it would open what listens on loopback to everybody.
---@param services table<string, table>  of the model; those with names are replaced
function Resolver:fill(services)
  for key, service in pairs(services) do
    local first = service.endpoints and service.endpoints[1]
    if first and first.resolve then
      local filled = {}
      for name, value in pairs(service) do
        filled[name] = value
      end
      filled.endpoints = {}
      for _, address in ipairs(self:resolve(first.address) or {}) do
        if not is_loopback(address) then
          table.insert(filled.endpoints, { address = address, port = first.port, weight = 1 })
        end
      end
      services[key] = filled
    end
  end
end

--- Asks again for ever; calls `on_change` when some answer differs. A name that no model has used
--- since the last round is forgotten.
---@param on_change fun()
function Resolver:run(on_change)
  while true do
    task.sleep(AGAIN_SECONDS)
    local changed = false
    for name, entry in pairs(self.names) do
      if not entry.used then
        self.names[name] = nil
      else
        changed = ask(entry, name) or changed
      end
    end
    if changed then
      on_change()
    end
  end
end

--- A new model is about to ask for the names that it uses.
function Resolver:begin()
  for _, entry in pairs(self.names) do
    entry.used = false
  end
end

return M
