-- SPDX-License-Identifier: Apache-2.0
--
-- mg.metrics: counters, gauges and histograms of scripts, on the page /metrics beside the gateway's
-- own. Series are process-wide: all workers add to one.
local C = require("moongate.api.core")
local utf8 = require("moongate.api.utf8")
local vm = require("moongate.api.vm")

local M = {}

local COUNTER, GAUGE = 0, 1
local SERIES_MAX = 1000
local BUCKETS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

-- A value may be a client's: one byte that is not of UTF-8, or NUL, and the whole page is refused.
local function quote(value)
  value = tostring(value)
  if value:find("[%z\128-\255]") then
    value = utf8.clean(value:gsub("%z", utf8.REPLACEMENT), utf8.REPLACEMENT)
  end
  return '"' .. value:gsub('[\\"\n]', ESCAPES) .. '"'
end

-- The labels of one series as text, in the order of their declaration.
local function text_of(names, values)
  local parts = {}
  for i, name in ipairs(names) do
    parts[i] = name .. "=" .. quote(values and values[name] or "")
  end
  return table.concat(parts, ",")
end

local function get(kind, name, labels, help)
  local metric = C.mg_metric(vm, kind, name, #name, labels, #labels, help, #help)
  return metric ~= nil and metric or nil
end

local Family = {}
Family.__index = Family

-- The series of some labels. Past the limit all further ones are one, whose labels say so.
local function series(self, values)
  local labels = text_of(self.labels, values)
  local known = self.series[labels]
  if known then
    return known
  end
  if self.count >= SERIES_MAX then
    labels = 'overflow="true"'
    known = self.series[labels]
  else
    self.count = self.count + 1
  end
  known = known or self.make(labels)
  self.series[labels] = known
  return known
end

local function check_labels(labels)
  for _, label in ipairs(labels) do
    if not tostring(label):match("^[%a_][%w_]*$") or label == "le" then
      error(("mg.metrics: %q is no name of a label"):format(tostring(label)), 4)
    end
  end
end

local function family(name, options, make)
  options = options or {}
  if type(name) ~= "string" or not name:match("^[%a_:][%w_:]*$") then
    error(("mg.metrics: %q is no name: letters, digits and _"):format(tostring(name)), 3)
  end
  check_labels(options.labels or {})
  local self = setmetatable({ labels = options.labels or {}, series = {}, count = 0 }, Family)
  local help = options.help or ""
  self.make = function(labels)
    local one = make(labels, help)
    if not one then
      error(("mg.metrics: %s has another kind, or there are too many series"):format(name), 0)
    end
    return one
  end
  return self
end

--- Adds to a counter or gauge.
---@param by number?  1 unless given; at least 0 for a counter
---@param labels table<string, string>?
function Family:add(by, labels)
  C.mg_metric_add(series(self, labels), by or 1)
end

local Counter = setmetatable({}, { __index = Family })
Counter.__index = Counter

function Counter:add(by, labels)
  if by and (by < 0 or by ~= by) then
    error("mg.metrics: a counter only grows", 2)
  end
  Family.add(self, by, labels)
end

local Gauge = setmetatable({}, { __index = Family })
Gauge.__index = Gauge

---@param value number
---@param labels table<string, string>?
function Gauge:set(value, labels)
  C.mg_metric_set(series(self, labels), value)
end

local Histogram = setmetatable({}, { __index = Family })
Histogram.__index = Histogram

--- Counts a value in its bucket; buckets on the page hold all up to their bound.
---@param value number
---@param labels table<string, string>?
function Histogram:observe(value, labels)
  local one = series(self, labels)
  for i, bound in ipairs(self.buckets) do
    if value <= bound then
      C.mg_metric_add(one[i], 1)
    end
  end
  C.mg_metric_add(one.infinite, 1)
  C.mg_metric_add(one.sum, value)
  C.mg_metric_add(one.total, 1)
end

---@class moongate.MetricOptions
---@field help string?
---@field labels string[]?   names; the values come with each call
---@field buckets number[]?  upper bounds of a histogram, rising

---@param name string
---@param options moongate.MetricOptions?
function M.counter(name, options)
  local self = family(name, options, function(labels, help)
    return get(COUNTER, name, labels, help)
  end)
  return setmetatable(self, Counter)
end

---@param name string
---@param options moongate.MetricOptions?
function M.gauge(name, options)
  local self = family(name, options, function(labels, help)
    return get(GAUGE, name, labels, help)
  end)
  return setmetatable(self, Gauge)
end

local function with_bound(labels, bound)
  return labels .. (labels ~= "" and "," or "") .. ('le="%s"'):format(bound)
end

---@param name string
---@param options moongate.MetricOptions?
function M.histogram(name, options)
  local buckets = options and options.buckets or BUCKETS
  local self = family(name, options, function(labels, help)
    local one = {
      infinite = get(COUNTER, name .. "_bucket", with_bound(labels, "+Inf"), help),
      sum = get(COUNTER, name .. "_sum", labels, help),
      total = get(COUNTER, name .. "_count", labels, help),
    }
    for i, bound in ipairs(buckets) do
      one[i] = get(COUNTER, name .. "_bucket", with_bound(labels, bound), help)
    end
    local whole = one.infinite and one.sum and one.total and #one == #buckets
    return whole and one or nil
  end)
  self.buckets = buckets
  return setmetatable(self, Histogram)
end

return M
