-- SPDX-License-Identifier: Apache-2.0
--
-- The page /metrics, in the text format of Prometheus: counters of the workers added up, the state
-- of the configuration, the process, what scripts count, and the names of ingress-nginx.
local ffi = require("ffi")

local C = require("moongate.api.core")
local ingress_nginx = require("moongate.admin.ingress_nginx")
local pages = require("moongate.admin.page")
local process = require("moongate.control.process")
local vm = require("moongate.api.vm")
local worker_stats = require("moongate.admin.worker_stats")

local M = {}

local PREFIX = "moongate_"
local BUCKET, SUM = 2, 3
local TYPES = { [0] = "counter", "gauge", "histogram", "histogram" }

local stat = ffi.new("struct mg_stat")

local function text_of(pointer)
  return pointer ~= nil and ffi.string(pointer) or nil
end

-- --- workers -----------------------------------------------------------------

local function labels_of(counted)
  local label, value = text_of(counted.label), text_of(counted.label_value)
  return value and ('%s="%s"'):format(label, value) or label
end

-- Buckets come one by one, the page has each hold those before it.
local function add_histogram(page, name, counted, sum, state)
  if counted.kind == BUCKET then
    state.total = (state.name == name and state.total or 0) + sum
    state.name = name
    page:value(name .. "_bucket", labels_of(counted), state.total)
  else
    page:value(name .. "_sum", "", sum)
    page:value(name .. "_count", "", state.total)
  end
end

local function add_workers(page)
  local histogram = {}
  for _, counted, sum in worker_stats.each() do
    local name = PREFIX .. text_of(counted.name)
    page:head(name, TYPES[counted.kind], text_of(counted.help))
    if counted.kind == BUCKET or counted.kind == SUM then
      add_histogram(page, name, counted, sum, histogram)
    else
      page:value(name, labels_of(counted), sum)
    end
  end
end

-- --- configuration and process -----------------------------------------------

local function add_configuration(page, gateway)
  local summary = gateway and gateway.summary
  page:single(PREFIX .. "script_errors_total", "counter", "Scripts that failed outside a hook.",
    C.mg_script_errors(vm))
  page:single(PREFIX .. "workers", "gauge", "Worker threads.", C.mg_worker_count(vm))
  page:single(PREFIX .. "ready", "gauge", "1 while /readyz says so.", process.is_ready() and 1 or 0)
  page:single(PREFIX .. "snapshot_number", "gauge", "The newest snapshot.", process.published())
  local name = PREFIX .. "worker_snapshot_number"
  page:head(name, "gauge", "The snapshot that a worker serves.")
  for i, served in ipairs(process.serves()) do
    page:value(name, ('worker="%d"'):format(i), served)
  end
  if not summary then
    return
  end
  name = PREFIX .. "config_faults"
  page:head(name, "gauge", "What is wrong with objects and scripts, as in /snapshot.")
  page:value(name, 'severity="error"', summary.errors)
  page:value(name, 'severity="warning"', summary.warnings)
  for _, what in ipairs({ "hosts", "routes", "services", "certificates" }) do
    page:single(PREFIX .. "config_" .. what, "gauge", "Of the newest snapshot.", summary[what])
  end
  page:single(PREFIX .. "config_last_reload_successful", "gauge",
    "0 when the last change was not taken over: its scripts failed, or no snapshot could be built.",
    gateway.failed and 0 or 1)
  page:single(PREFIX .. "config_last_reload_success_timestamp_seconds", "gauge",
    "When a change was taken over last.", gateway.published_at or 0)
end

local label = pages.label

local function add_ends(page, name, help, certificates, field)
  for _, one in ipairs(certificates) do
    for _, host in ipairs(one[field] and one.names or {}) do
      page:head(name, "gauge", help)
      page:value(name, ('host="%s",source="%s"'):format(label(host), label(one.source)), one[field])
    end
  end
end

local function add_certificates(page, gateway)
  local certificates = gateway and gateway.publisher:certificates() or {}
  add_ends(page, PREFIX .. "ssl_expire_time_seconds",
    "When the certificate of a host ends, in seconds since 1970.", certificates, "ends")
  add_ends(page, PREFIX .. "ssl_ocsp_expire_time_seconds",
    "When the OCSP response that is sent with it ends.", certificates, "response_ends")
end

local function add_health(page, gateway)
  local name = PREFIX .. "endpoint_healthy"
  for _, state in ipairs(gateway and gateway.health:states() or {}) do
    page:head(name, "gauge", "0 for an endpoint that its active health check takes out.")
    local service, endpoint = label(state.service), label(state.endpoint)
    local labels = ('service="%s",endpoint="%s"'):format(service, endpoint)
    page:value(name, labels, state.healthy and 1 or 0)
  end
end

local PROCESS = {
  { "cpu_seconds_total", "counter", "CPU time of the process." },
  { "resident_memory_bytes", "gauge", "Resident memory." },
  { "open_fds", "gauge", "Open files and sockets." },
  { "start_time_seconds", "gauge", "Start of the process." },
  { "max_fds", "gauge", "Files and sockets that it may open." },
}

local function add_process(page)
  for i, entry in ipairs(PROCESS) do
    page:single("process_" .. entry[1], entry[2], entry[3], C.mg_process_stat(i - 1))
  end
end

-- --- scripts -----------------------------------------------------------------

local HISTOGRAM_ENDS = { "_bucket$", "_sum$", "_count$" }

local function by_name(a, b)
  if a.name ~= b.name then
    return a.name < b.name
  end
  return a.labels < b.labels
end

-- The name of the histogram that a series is part of, when there are buckets of it.
local function histogram_of(name, names)
  for _, ending in ipairs(HISTOGRAM_ENDS) do
    local base = name:gsub(ending, "")
    if base ~= name and names[base .. "_bucket"] then
      return base
    end
  end
end

local function add_scripts(page)
  local list, names = {}, {}
  local metric = C.mg_metric_next(vm, nil)
  while metric ~= nil do
    C.mg_metric_describe(metric, stat)
    local name = text_of(stat.name)
    names[name] = true
    list[#list + 1] = {
      name = name,
      labels = text_of(stat.label),
      help = text_of(stat.help),
      kind = TYPES[stat.kind],
      value = C.mg_metric_value(metric),
    }
    metric = C.mg_metric_next(vm, metric)
  end
  table.sort(list, by_name)
  for _, one in ipairs(list) do
    local histogram = histogram_of(one.name, names)
    page:head(histogram or one.name, histogram and "histogram" or one.kind, one.help)
    page:value(one.name, one.labels, one.value)
  end
end

--- The whole page.
---@param gateway table?  moongate.control.gateway, once there is one
---@return string
function M.page(gateway)
  local page = pages.new()
  add_workers(page)
  add_configuration(page, gateway)
  add_certificates(page, gateway)
  add_health(page, gateway)
  add_process(page)
  add_scripts(page)
  ingress_nginx.add(page, gateway)
  return page:text()
end

return M
