-- SPDX-License-Identifier: Apache-2.0
--
-- Flags of the ingress-nginx controller about metrics: what requests are counted by, said once
-- before the workers start.
local bit = require("bit")
local ffi = require("ffi")

local C = require("moongate.api.core")
local ingress_nginx = require("moongate.admin.ingress_nginx")
local log = require("moongate.api.log")
local vm = require("moongate.api.vm")

local M = {}

local BOUNDS_MAX = 64
local PREFIX = "nginx_ingress_controller_"

-- Those of ingress-nginx unless told otherwise, in the order of mg_series_config.
local BUCKETS = {
  { "time-buckets", "0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10" },
  { "length-buckets", "10,20,30,40,50,60,70,80,90,100" },
  { "size-buckets", "10,100,1000,10000,100000,1000000,10000000" },
}

local function words_of(list)
  local words = {}
  for word in list:gmatch("[^,%s]+") do
    words[#words + 1] = word
  end
  return words
end

local function read_bounds(config, index, name, list)
  local words = words_of(list)
  local before = 0
  if #words == 0 or #words > BOUNDS_MAX then
    return ("--%s %s: it is a list of 1 to %d numbers"):format(name, list, BOUNDS_MAX)
  end
  for i, word in ipairs(words) do
    local bound = tonumber(word)
    if not bound or bound <= before or bound >= 1e9 then
      return ("--%s: %q: bounds are numbers above 0 and below 1e9, rising"):format(name, word)
    end
    config.bounds[index][i - 1], before = bound, bound
  end
  config.bound_counts[index] = #words
end

-- The bit of each metric of requests, by its name.
local function bits_by_name()
  local stat, bits, metric = ffi.new("struct mg_stat"), {}, 0
  while C.mg_series_metric(metric, stat) == 1 do
    bits[ffi.string(stat.name)] = bit.lshift(1, metric)
    metric = metric + 1
  end
  return bits
end

-- Names may be given without their prefix.
local function left_out(lists)
  local bits, sum = bits_by_name(), 0
  for _, list in ipairs(lists or {}) do
    for _, word in ipairs(words_of(list)) do
      local one = bits[word] or bits[PREFIX .. word]
      if not one then
        log.warn("flag_without_effect", { flag = "--exclude-socket-metrics", name = word,
          hint = "no metric of requests has that name" })
      end
      sum = bit.bor(sum, one or 0)
    end
  end
  return sum
end

-- Flags that are on or off, and what they are unless told.
local SWITCHES = { ["metrics-per-host"] = true, ["metrics-per-undefined-host"] = false,
  ["report-status-classes"] = false }

local function read_switches(flags)
  local on = {}
  for name, default in pairs(SWITCHES) do
    on[name] = flags[name]
    if on[name] == nil then
      on[name] = default
    end
  end
  return on
end

local function read_config(flags, on)
  local config = ffi.new("struct mg_series_config", {
    on = 1,
    by_host = on["metrics-per-host"],
    any_host = on["metrics-per-undefined-host"],
    classes = on["report-status-classes"],
    left_out = left_out(flags["exclude-socket-metrics"]),
  })
  for index, entry in ipairs(BUCKETS) do
    local err = read_bounds(config, index - 1, entry[1], flags[entry[1]] or entry[2])
    if err then
      return nil, err
    end
  end
  return config
end

--- Reads the flags, and turns metrics on where they say so.
---@param flags table<string, any>
---@return string? err
function M.setup(flags)
  if not flags["enable-metrics"] then
    return nil
  end
  local on = read_switches(flags)
  if on["metrics-per-undefined-host"] and not on["metrics-per-host"] then
    return "--metrics-per-undefined-host goes with --metrics-per-host; leave one of them out"
  end
  local config, err = read_config(flags, on)
  if not config then
    return err
  end
  C.mg_series_setup(vm, config)
  ingress_nginx.setup({
    class = flags["controller-class"] or "k8s.io/ingress-nginx",
    namespace = os.getenv("POD_NAMESPACE") or "default",
    pod = os.getenv("POD_NAME") or "",
    by_host = on["metrics-per-host"],
  })
end

return M
