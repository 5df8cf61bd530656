-- SPDX-License-Identifier: Apache-2.0
--
-- The names and labels that dashboards and alerts for ingress-nginx ask for, on the page /metrics
-- when --enable-metrics says so.
local bit = require("bit")
local ffi = require("ffi")

local C = require("moongate.api.core")
local model = require("moongate.control.model")
local pages = require("moongate.admin.page")
local version = require("moongate.version")
local vm = require("moongate.api.vm")
local worker_stats = require("moongate.admin.worker_stats")

local M = {}

local PREFIX = "nginx_ingress_controller_"
local PROCESS = PREFIX .. "nginx_process_"
local CONTROLLER = { "controller_class", "controller_namespace", "controller_pod" }
local FACT_BYTES = 256
local ORGANIZATION, COMMON_NAME, ISSUER_SERIAL, SERIAL, ALGORITHM = 0, 1, 2, 3, 4

local label, labels_of = pages.label, pages.labels

-- What `setup` was told; nil: nobody asks for these metrics.
local asked

--- Turns the page's part on, before the workers start.
---@param options { class: string, namespace: string, pod: string, by_host: boolean }
function M.setup(options)
  asked = {
    by_host = options.by_host,
    class = options.class,
    controller = labels_of(CONTROLLER, {
      controller_class = options.class,
      controller_namespace = options.namespace,
      controller_pod = options.pod,
    }),
  }
end

-- --- requests ----------------------------------------------------------------

local series = ffi.new("struct mg_series")
local stat = ffi.new("struct mg_stat")
local text = ffi.new("struct mg_text[1]")
local NAMES = { "canary", "ingress", "method", "namespace", "path", "service", "status" }
local NO_ROUTE = { namespace = "", ingress = "", service = "", path = "" }

local function text_of(span)
  return span.length > 0 and ffi.string(span.data, span.length) or ""
end

-- What one series is told by; nil when its route is no more.
local function labels_of_series(routes)
  local route = series.route == 0 and NO_ROUTE or routes[series.route]
  if not route then
    return nil
  end
  local status = tonumber(series.status)
  local labels = labels_of(NAMES, {
    canary = text_of(series.alternative),
    ingress = route.ingress,
    method = ffi.string(series.method),
    namespace = route.namespace,
    path = route.path,
    service = route.service,
    status = status > 0 and status < 10 and status .. "xx" or ("%03d"):format(status),
  })
  if asked.by_host then
    labels = ('%s,host="%s"'):format(labels, label(text_of(series.host)))
  end
  return asked.controller .. "," .. labels
end

-- position -> labels
local function read_series(count, routes)
  local list = {}
  for position = 0, count - 1 do
    if C.mg_series_at(vm, position, series) == 1 then
      local labels = labels_of_series(routes)
      if labels then
        list[position] = labels
      else
        C.mg_series_drop(vm, position)
      end
    end
  end
  return list
end

local function check(result)
  if result < 0 then
    error("out of memory while metrics are put together", 0)
  end
  return result
end

local function add_metrics(page, list)
  local metric = 0
  while C.mg_series_metric(metric, stat) == 1 do
    for position, labels in pairs(list) do
      check(C.mg_series_print(vm, position, metric, labels))
    end
    C.mg_series_take(vm, text[0])
    if text[0].length > 0 then
      page:head(ffi.string(stat.name), stat.kind == 0 and "counter" or "histogram",
        ffi.string(stat.help))
      page:line(ffi.string(text[0].data, text[0].length - 1))
    end
    metric = metric + 1
  end
end

local function add_requests(page, gateway)
  local count = check(C.mg_series_begin(vm))
  if count == 0 then
    return
  end
  local ok, err = pcall(function()
    add_metrics(page, read_series(count, gateway.publisher:labels()))
  end)
  C.mg_series_end(vm)
  if not ok then
    error(err, 0)
  end
end

-- --- configuration -----------------------------------------------------------

-- Of names and texts of all files, the same wherever they lie: two pods that hold the same agree.
local function hash_of(...)
  local high, low = 1, 1 -- 0 means a failure
  for _, files in ipairs({ ... }) do
    local by_name = {}
    for _, file in pairs(files) do
      by_name[file.name .. "\0" .. (file.text or "")] = true
    end
    for _, content in ipairs(model.keys(by_name)) do
      high = C.mg_hash(content, #content, high)
      low = C.mg_hash(content, #content, bit.bxor(low, 1))
    end
  end
  return high % 2 ^ 21 * 2 ^ 32 + low
end

-- Worked out when it is first asked for after a change.
local hashed = setmetatable({}, { __mode = "k" })

local function config_hash(gateway)
  local known = gateway.source.known
  local manifests = known.manifests
  if gateway.failed or not manifests then
    return 0
  end
  hashed[manifests] = hashed[manifests] or hash_of(manifests, known.scripts)
  return hashed[manifests]
end

local function add_configuration(page, gateway)
  local function single(name, kind, help, value)
    page:head(PREFIX .. name, kind, help)
    page:value(PREFIX .. name, asked.controller, value)
  end
  page:head(PREFIX .. "build_info", "gauge", "1, with what runs here.")
  page:value(PREFIX .. "build_info", asked.controller .. "," .. labels_of(
    { "build", "release", "repository" }, { release = version, repository = "moongate" }), 1)
  single("config_hash", "gauge", "Hash of the configuration that is served; 0 after a failure.",
    config_hash(gateway))
  single("config_last_reload_successful", "gauge", "0 when the last change was not taken over.",
    gateway.failed and 0 or 1)
  single("config_last_reload_successful_timestamp_seconds", "gauge",
    "When a change was taken over last.", math.floor(gateway.taken_at or 0))
  single("success", "counter", "Changes of the configuration that were taken over.", gateway.taken)
  single("errors", "counter", "Changes of the configuration that were not.", gateway.refused)
end

local function fact(certificate, which)
  local bytes = ffi.new("char[?]", FACT_BYTES)
  return ffi.string(bytes, C.mg_certificate_fact(certificate, which, bytes, FACT_BYTES))
end

-- One list for each metric, since the lines of one stand together.
local function certificate_labels(gateway)
  local expiry, info = {}, {}
  for _, one in ipairs(gateway.publisher:certificates()) do
    local namespace, secret = one.source:match("^Secret ([^/]+)/(.+)$")
    local serial = fact(one.certificate, SERIAL)
    local values = {
      class = asked.class,
      namespace = namespace,
      secret_name = secret,
      identifier = fact(one.certificate, ISSUER_SERIAL) .. "-" .. serial,
      issuer_common_name = fact(one.certificate, COMMON_NAME),
      issuer_organization = fact(one.certificate, ORGANIZATION),
      public_key_algorithm = fact(one.certificate, ALGORITHM),
      serial_number = serial,
    }
    for _, host in ipairs(one.names) do
      values.host = host == "" and "_" or host
      expiry[#expiry + 1] = { one.ends, labels_of(
        { "class", "host", "identifier", "namespace", "secret_name" }, values) }
      info[#info + 1] = { 1, labels_of({ "class", "host", "identifier", "issuer_common_name",
        "issuer_organization", "namespace", "public_key_algorithm", "secret_name",
        "serial_number" }, values) }
    end
  end
  return expiry, info
end

local function add_list(page, name, help, list)
  for _, entry in ipairs(list) do
    page:head(PREFIX .. name, "gauge", help)
    page:value(PREFIX .. name, entry[2], entry[1])
  end
end

local function add_certificates(page, gateway)
  local expiry, info = certificate_labels(gateway)
  add_list(page, "ssl_expire_time_seconds", "When the certificate of a host ends.", expiry)
  add_list(page, "ssl_certificate_info", "1, with what a certificate says.", info)
end

-- --- Ingresses without a backend ---------------------------------------------

local function is_missing(gateway, source)
  return gateway.store.objects.Service[source.namespace .. "/" .. source.name] == nil
end

-- "namespace/name" of each Ingress that has a backend -> what it lacks.
local function read_orphans(gateway)
  local found = {}
  for _, host in pairs(gateway.model.hosts) do
    for _, route in ipairs(host.routes) do
      local service = gateway.model.services[route.service or ""]
      if route.source and route.source.kind == "Ingress" and service then
        local key = route.source.namespace .. "/" .. route.source.name
        local one = found[key] or { namespace = route.source.namespace, ingress = route.source.name,
          ["no-service"] = 0, ["no-endpoint"] = 0 }
        found[key] = one
        if service.source and is_missing(gateway, service.source) then
          one["no-service"] = 1
        elseif #service.endpoints == 0 then
          one["no-endpoint"] = 1
        end
      end
    end
  end
  return found
end

local function add_orphans(page, gateway)
  local name = PREFIX .. "orphan_ingress"
  local found = read_orphans(gateway)
  for _, key in ipairs(model.keys(found)) do
    page:head(name, "gauge", "1 where an Ingress names a Service that is not there, or is empty.")
    for _, kind in ipairs({ "no-endpoint", "no-service" }) do
      local labels = labels_of({ "ingress", "namespace" }, found[key])
      labels = ('%s,%s,type="%s"'):format(asked.controller, labels, kind)
      page:value(name, labels, found[key][kind])
    end
  end
end

-- --- the process -------------------------------------------------------------

-- Of all workers, by name; with labels where those tell lines apart.
local function read_workers()
  local found = {}
  for _, counted, sum in worker_stats.each() do
    local name = ffi.string(counted.name)
    found[name] = (found[name] or 0) + sum
  end
  return found
end

local function add_connections(page)
  local found = read_workers()
  local open, reading = found.connections, found.request_heads
  local writing = found.requests_in_flight - reading
  local states = {
    { "active", open },
    { "reading", reading },
    { "writing", writing },
    { "waiting", math.max(0, open - reading - writing) },
  }
  page:head(PROCESS .. "connections", "gauge", "Connections of clients; of HTTP/2, its requests.")
  for _, state in ipairs(states) do
    page:value(PROCESS .. "connections", ('%s,state="%s"'):format(asked.controller, state[1]),
      state[2])
  end
  page:head(PROCESS .. "connections_total", "counter", "Connections of clients so far.")
  local accepted = found.connections_accepted_total
  for _, state in ipairs({ { "accepted", accepted },
    { "handled", accepted - found.connections_refused_total } }) do
    page:value(PROCESS .. "connections_total", ('%s,state="%s"'):format(asked.controller, state[1]),
      state[2])
  end
  page:head(PROCESS .. "requests_total", "counter", "Requests so far.")
  page:value(PROCESS .. "requests_total", asked.controller, found.requests_total)
end

-- Name, kind, help, and the position of mg_process_stat.
local OF_PROCESS = {
  { "cpu_seconds_total", "counter", "CPU time of the process.", 0 },
  { "oldest_start_time_seconds", "gauge", "Start of the process.", 3 },
  { "read_bytes_total", "counter", "Bytes read from storage.", 6 },
  { "resident_memory_bytes", "gauge", "Resident memory.", 1 },
  { "virtual_memory_bytes", "gauge", "Memory that is mapped.", 5 },
  { "write_bytes_total", "counter", "Bytes written to storage.", 7 },
}

local function add_process(page)
  page:head(PROCESS .. "num_procs", "gauge", "Processes.")
  page:value(PROCESS .. "num_procs", asked.controller, 1)
  for _, entry in ipairs(OF_PROCESS) do
    page:head(PROCESS .. entry[1], entry[2], entry[3])
    page:value(PROCESS .. entry[1], asked.controller, C.mg_process_stat(entry[4]))
  end
end

--- Adds what was asked for.
---@param page moongate.Page
---@param gateway table?  moongate.control.gateway, once there is one
function M.add(page, gateway)
  if not asked then
    return
  end
  add_connections(page)
  add_process(page)
  if gateway and gateway.model then
    add_requests(page, gateway)
    add_configuration(page, gateway)
    add_certificates(page, gateway)
    add_orphans(page, gateway)
  end
end

return M
