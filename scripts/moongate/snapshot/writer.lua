-- SPDX-License-Identifier: Apache-2.0
--
-- Turns the model into a snapshot. What has not changed keeps its part: a host or service that is
-- the same table as last time is not looked into; one that is another table of
-- equal content is found out by comparison. Control thread only.
local ffi = require("ffi")

local C = require("moongate.api.core")
local block = require("moongate.snapshot.block")
local host_layout = require("moongate.snapshot.host")
local interner = require("moongate.snapshot.interner")
local ports = require("moongate.snapshot.ports")
local same = require("moongate.same")
local secure = require("moongate.snapshot.secure")

require("moongate.snapshot.layout")

local M = {}

local Writer = {}
Writer.__index = Writer

local SERVICE = ffi.typeof("struct mg_service *")
local ENDPOINT = ffi.typeof("struct mg_endpoint *")
local PLAN = ffi.typeof("struct mg_plan *")

---@class moongate.WriterOptions
---@field encode fun(value: any): string  JSON text with sorted keys
---@field serial? integer  where the numbers of parts begin; a second writer of one process goes on
---  from the first one's `serial`
---@field certificate? fun(entry: table): ffi.cdata*?, string?  loads a certificate of the model: a
---  `struct mg_certificate *` of which the writer owns one reference, or nil and why not
---@field certificate_free? fun(certificate: ffi.cdata*)
---@field client_auth? fun(entry: table): ffi.cdata*?, string?  the same for `struct mg_client_auth`
---@field client_auth_free? fun(auth: ffi.cdata*)
---@field suites? fun(entry: table): ffi.cdata*  the same for `struct mg_suites`
---@field suites_free? fun(suites: ffi.cdata*)
---@field port? fun(entry: table, closing: ffi.cdata*?): ffi.cdata*?, string?  opens a port of the
---  model, `struct mg_port *`, in the same way; `closing`: that number's last, if some worker may
---  have it still

---@param options moongate.WriterOptions
---@return moongate.Writer
function M.new(options)
  return setmetatable({
    encode = options.encode,
    secure = secure.new(options),
    ports = ports.new(options),
    serial = options.serial or 0,
    block = block.new(),
    plan_block = block.new(), -- plans are met while a host is being laid out
    hosts = {}, -- name -> record {entry, part, faults, services, plans, uses}
    services = interner.new(), -- records have {service, part}
    plans = interner.new(), -- records have {part}
    series = interner.new(), -- what metrics tell routes by; records have {serial, labels}
    labels = {}, -- of metrics, by that serial
  }, Writer)
end

local function check(result)
  if result == nil or type(result) == "number" and result < 0 then
    error("out of memory while a snapshot is built", 0)
  end
  return result
end

local function part_of(self)
  return check(C.mg_part_new(self.block.data, self.block.used))
end

local function next_serial(self)
  self.serial = self.serial + 1
  return self.serial
end

-- --- services and plans ------------------------------------------------------

local function without_endpoints(service)
  local rest = {}
  for key, value in pairs(service) do
    if key ~= "endpoints" then
      rest[key] = value
    end
  end
  return rest
end

local function write_endpoints(out, endpoints)
  local at = out:take(#endpoints * ffi.sizeof("struct mg_endpoint"))
  for i, endpoint in ipairs(endpoints) do
    local zone = endpoint.zone or ""
    local address_at, zone_at = out:put(endpoint.address), out:put(zone)
    local into = ffi.cast(ENDPOINT, out.data + at)[i - 1]
    into.address.at, into.address.length = address_at, #endpoint.address
    into.zone.at, into.zone.length = zone_at, #zone
    into.port, into.weight = endpoint.port, endpoint.weight or 1
  end
  return at
end

local function service_part(self, name, service)
  local out = self.block
  out:clear()
  local endpoints = service.endpoints or {}
  out:take(ffi.sizeof("struct mg_service"))
  local endpoints_at = write_endpoints(out, endpoints)
  local rest = self.encode(without_endpoints(service))
  local name_at, rest_at = out:put(name), out:put(rest)
  local upstream = host_layout.upstream_name(name, service.source)
  local upstream_at = out:put(upstream)
  local into = ffi.cast(SERVICE, out.data)
  into.serial = next_serial(self)
  into.endpoint_count, into.endpoints_at = #endpoints, endpoints_at
  into.name.at, into.name.length = name_at, #name
  into.rest.at, into.rest.length = rest_at, #rest
  into.upstream.at, into.upstream.length = upstream_at, #upstream
  return part_of(self)
end

local function drop_part(record)
  if record.part then
    C.mg_part_unref(record.part)
  end
  record.part, record.service = nil, nil
end

-- The model itself holds each service once, so that its id stays while no route refers to it.
local function update_services(self, services)
  for name, service in pairs(services) do
    local record = self.services:get(name)
    if not record or not record.service then
      record = self.services:hold(name)
    end
    if not same(record.service, service) then
      drop_part(record)
      record.part = service_part(self, name, service)
    end
    record.service = service
  end
  for name, record in self.services:each() do
    if record.service and not services[name] then
      drop_part(record)
      self.services:release(name)
    end
  end
end

local function plan_text(self, route)
  return self.encode({ plugins = route.plugins, settings = route.settings })
end

local function plan_record(self, text)
  local record = self.plans:hold(text)
  if not record.part then
    local out = self.plan_block
    out:clear()
    out:take(ffi.sizeof("struct mg_plan"))
    local text_at = out:put(text)
    local into = ffi.cast(PLAN, out.data)
    into.serial = next_serial(self)
    into.text.at, into.text.length = text_at, #text
    record.part = check(C.mg_part_new(out.data, out.used))
  end
  return record
end

-- A number is never used again: workers may still count by one whose routes have gone.
local function series_record(self, key, names, route)
  local record = self.series:hold(key)
  if not record.serial then
    record.serial = next_serial(self)
    self.labels[record.serial] = { namespace = names.space, ingress = names.ingress,
      service = names.service, path = route.path.value }
  end
  return record
end

-- --- hosts -------------------------------------------------------------------

-- What a host refers to is held once for each host, however many of its routes do.
local function hold(list, seen, name, take)
  local record = seen[name]
  if not record then
    record = take(name)
    seen[name] = record
    list[#list + 1] = name
  end
  return record
end

local function host_record(self, entry)
  local record = { entry = entry, services = {}, plans = {}, series = {}, uses = 0 }
  local seen_services, seen_plans, seen_series = {}, {}, {}
  local job = { encode = self.encode }
  function job.service_id(route)
    if not route.service then
      return -1
    end
    return hold(record.services, seen_services, route.service, function(name)
      return self.services:hold(name)
    end).id
  end
  function job.service_source(route)
    local held = route.service and self.services:get(route.service)
    return held and held.service and held.service.source
  end
  function job.plan_id(route)
    return hold(record.plans, seen_plans, plan_text(self, route), function(text)
      return plan_record(self, text)
    end).id
  end
  function job.series_id(names, route)
    local key = table.concat({ names.space, names.ingress, names.service, route.path.value }, "\0")
    return hold(record.series, seen_series, key, function()
      return series_record(self, key, names, route)
    end).serial
  end
  host_layout.write(self.block, entry, job)
  record.aliases = host_layout.aliases(entry, job)
  record.faults = job.faults
  record.part = part_of(self)
  for _, compiled in pairs(job.regexes) do
    if compiled.regex then
      check(C.mg_part_keep_regex(record.part, compiled.regex))
    end
  end
  return record
end

local function release_host(self, record)
  record.uses = record.uses - 1
  if record.uses > 0 then
    return
  end
  for _, name in ipairs(record.services) do
    self.services:release(name)
  end
  for _, text in ipairs(record.plans) do
    self.plans:release(text, drop_part)
  end
  for _, key in ipairs(record.series) do
    self.series:release(key, function(series)
      self.labels[series.serial] = nil
    end)
  end
  C.mg_part_unref(record.part)
end

-- Aliases share a part: entries with one table of routes.
local function shared_record(shared, entry)
  local record = shared[entry.routes]
  if
    record
    and not record.entry.single_label == not entry.single_label
    and not record.entry.fall_through == not entry.fall_through
  then
    return record
  end
end

-- The record of each host; those that are new are listed in `made`, with no use so far.
local function find_records(self, hosts, made)
  local current, shared = {}, {}
  for name, entry in pairs(hosts) do
    local record = self.hosts[name]
    if record and same(record.entry, entry) then
      record.entry = entry
    else
      record = shared_record(shared, entry)
      if not record then
        record = host_record(self, entry)
        made[#made + 1] = record
      end
    end
    shared[entry.routes] = record
    current[name] = record
  end
  return current
end

-- A host that cannot be laid out leaves everything as it was.
local function update_hosts(self, hosts)
  local made = {}
  local ok, current = pcall(find_records, self, hosts, made)
  if not ok then
    for _, record in ipairs(made) do
      record.uses = 1
      release_host(self, record)
    end
    error(current, 0)
  end
  local previous = self.hosts
  self.hosts = current
  for _, record in pairs(current) do
    record.uses = record.uses + 1
  end
  for _, record in pairs(previous) do
    release_host(self, record)
  end
end

-- --- the whole ---------------------------------------------------------------

-- A wildcard is stored without its star: so a worker looks it up in place, in the middle of a name.
local function stored_name(name)
  return name:sub(1, 2) == "*." and name:sub(2) or name
end

local function draft_ports(self, draft, model, faults)
  self.ports:draft(draft, model.ports or {}, function(service)
    return self.services:get(service).id
  end, faults)
end

local function draft_parts(self, draft, faults)
  local reported = {}
  for name, record in pairs(self.hosts) do
    local stored = stored_name(name)
    check(C.mg_draft_host(draft, stored, #stored, record.part))
    for _, regex in ipairs(record.aliases) do
      check(C.mg_draft_alias(draft, regex, record.part))
    end
    if not reported[record] then
      reported[record] = true
      for _, fault in ipairs(record.faults) do
        faults[#faults + 1] = fault
      end
    end
  end
  for _, record in self.services:each() do
    if record.part then
      check(C.mg_draft_service(draft, record.id, record.part))
    end
  end
  for _, entry in ipairs(self.passthroughs) do
    local id = self.services:get(entry.service).id
    for _, name in ipairs(entry.names) do
      check(C.mg_draft_passthrough(draft, name, #name, id))
    end
  end
  for _, record in self.plans:each() do
    check(C.mg_draft_plan(draft, record.id, record.part))
  end
end

--- Builds the snapshot of `model`.
---
--- The model's tables belong to the writer from now on: a changed host or service is a new table.
---@param model table
---@param number integer
---@return ffi.cdata* snapshot  the caller has one reference
---@return table[] faults  what the writer found; the model's own are not among them
function Writer:build(model, number)
  local faults = {}
  update_services(self, model.services or {})
  update_hosts(self, model.hosts or {})
  self.passthroughs = model.passthroughs or {}
  local draft = check(C.mg_draft_new(number))
  local ok, err = pcall(function()
    draft_parts(self, draft, faults)
    self.secure:draft(draft, model, faults)
    draft_ports(self, draft, model, faults)
  end)
  if not ok then
    C.mg_draft_free(draft)
    error(err, 0)
  end
  return C.mg_draft_finish(draft), faults
end

--- Lets go of all parts; snapshots keep theirs.
function Writer:close()
  update_hosts(self, {})
  update_services(self, {})
  self.secure:close()
  self.ports:close()
end

return M
