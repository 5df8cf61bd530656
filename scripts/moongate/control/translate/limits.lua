-- SPDX-License-Identifier: Apache-2.0
-- Limits of an Ingress, one count for all its paths, as configuration of the plugins rate-limit,
-- concurrency-limit and throttle.
local model = require("moongate.control.model")
local template = require("moongate.api.template")

local M = {}

local KIB = 1024
local WHOLE_ADDRESS = 128
local ADDRESS = "${remote_addr}"

-- Annotation and the time that it counts in.
local RATES = { { "limit-rps", "1s" }, { "limit-rpm", "1m" } }

-- What is counted, where that is not the address.
local function put_key(config, context)
  local key = context.settings["limit-conn-zone-variable"]
  if template.text(key) ~= ADDRESS then
    config.key, config.count_empty = key, false -- as nginx, which does not count what is empty
  end
  return config
end

local function add_rates(list, context, values, scope)
  for _, rate in ipairs(RATES) do
    local name, per = rate[1], rate[2]
    local number = values[name]
    if number > 0 then
      list[#list + 1] = { name = "rate-limit", id = name, config = put_key({
        scope = scope .. " " .. name,
        rate = number,
        per = per,
        burst = number * values["limit-burst-multiplier"],
        ipv6_prefix = WHOLE_ADDRESS,
        exempt = values["limit-allowlist"],
        status = context.settings["limit-req-status-code"],
      }, context) }
    end
  end
end

local function add_connections(list, context, values, scope)
  if values["limit-connections"] > 0 then
    local status = context.settings["limit-conn-status-code"]
    list[#list + 1] = { name = "concurrency-limit", config = put_key({
      scope = scope,
      max = values["limit-connections"],
      exempt = values["limit-allowlist"],
      status = status,
    }, context) }
  end
end

-- As nginx, which slows down only what it buffers.
local function add_speed(list, context, ingress)
  local values = ingress.notes.values
  if values["limit-rate"] == 0 then
    return
  elseif values["proxy-buffering"] then
    list[#list + 1] = { name = "throttle", config = {
      rate = values["limit-rate"] * KIB,
      after = values["limit-rate-after"] * KIB,
    } }
  elseif ingress.notes.given["limit-rate"] then
    local path = { "metadata", "annotations", context.notes.prefix .. "limit-rate" }
    model.fault(context.faults, ingress.object, "warning", path,
      "has no effect without proxy-buffering; set that to on").code = "no_effect"
  end
end

--- What is to be attached to each route of an Ingress.
---@param context table
---@param ingress moongate.Ingress
---@return { name: string, config: table, id: string? }[]
function M.of(context, ingress)
  local values, object = ingress.notes.values, ingress.object
  local scope = object.namespace .. "/" .. object.name
  local list = {}
  add_rates(list, context, values, scope)
  add_connections(list, context, values, scope)
  add_speed(list, context, ingress)
  return list
end

return M
