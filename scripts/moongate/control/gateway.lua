-- SPDX-License-Identifier: Apache-2.0
--
-- A change from its source to the workers: files are read, scripts run, objects translated, a
-- snapshot built and published. One change at a time; what comes meanwhile is the next.
local ffi = require("ffi")

local C = require("moongate.api.core")
local control = require("moongate.control")
local event_log = require("moongate.event_log")
local expiry = require("moongate.control.expiry")
local folder = require("moongate.control.source.folder")
local health = require("moongate.control.health")
local json = require("moongate.api.json")
local judge = require("moongate.control.judge")
local log = require("moongate.api.log")
local memory = require("moongate.control.translate.memory")
local ocsp = require("moongate.control.ocsp")
local process = require("moongate.control.process")
local publish = require("moongate.control.publish")
local report = require("moongate.control.report")
local resolver = require("moongate.control.resolver")
local routes = require("moongate.control.routes")
local scripts = require("moongate.api.scripts")
local secure = require("moongate.control.secure")
local source = require("moongate.control.source")
local task = require("moongate.api.task")
local vm = require("moongate.api.vm")

local M = {}

local Gateway = {}
Gateway.__index = Gateway

---@class moongate.Sources
---@field manifests string[]  folders or files
---@field scripts string[]
---@field routes table[]?     further declarations, as of mg.route
---@field settings table<string, string>?  of --set
---@field flags table<string, any>?
---@field certificates table[]?  of --cert and --key
---@field own_ports table<integer, string>?  that the gateway listens on, and what for
---@field objects table?  by manifest file, as far as they have been read
---@field started table<string, any>?  settings, typed, that took effect at the start and then not

local function reader_of(files)
  local i = 0
  return function()
    i = i + 1
    local file = files[i]
    if file then
      return file.path, file.text, file.err
    end
  end
end

--- Settings of the ConfigMap among the manifests and of the command line, for what is to be known
--- before there are workers. Scripts are not asked. What is wrong is told with the first model.
---@param sources moongate.Sources
---@return table<string, any> typed
---@return table<string, moongate.Fault> wrong  of the ConfigMap's keys
function M.first_settings(sources)
  local manifests = folder.scan(sources.manifests, folder.is_manifest)
  local options = { flags = sources.flags or {}, settings = sources.settings }
  sources.objects = {}
  return control.settings_of_files(reader_of(manifests), options, sources.objects)
end

---@param sources moongate.Sources
function M.new(sources)
  return setmetatable({
    sources = sources,
    publisher = publish.new({ listen = true }),
    source = source.new(sources),
    resolver = resolver.new(),
    ocsp = ocsp.new(),
    health = health.new({ tell = process.health }),
    loaded = { plugins = {}, routes = {}, settings = {} },
    objects = sources.objects or {}, -- by manifest file
    memory = memory.new(),
    reported = {},
    taken = 0, -- changes that were taken over, and that were not
    refused = 0,
  }, Gateway)
end

-- --- scripts -----------------------------------------------------------------

local function texts_of(files)
  local list, err = {}, nil
  for _, file in ipairs(files) do
    if file.text then
      list[#list + 1] = { path = file.path, name = file.name, text = file.text }
    else
      err = err or ("%s: %s"):format(file.path, file.err)
    end
  end
  return list, err
end

-- The old generation goes on when anything is wrong with the new one.
local function load_scripts(self, files)
  local texts, err = texts_of(files)
  local loaded
  if not err then
    loaded, err = scripts.contain(scripts.load, texts)
  end
  if not err then
    local _
    _, err = process.scripts(texts)
  end
  if err then
    self.script_fault = { severity = "error", object = "scripts", message = err }
    local hint = "the scripts that were loaded before go on"
    log.error("scripts_rejected", { error = err, hint = hint })
    return false
  end
  self.script_fault = nil
  self.loaded = loaded
  log.info("scripts_loaded", { files = #texts, plugins = #loaded.plugins })
  return true
end

-- --- the model ---------------------------------------------------------------

--- What scripts and then the command line say of settings, as texts by name.
---@param loaded table  of scripts.load
---@param own table<string, string>?
---@return table<string, string>
function M.settings_of(loaded, own)
  local values = {}
  for _, declared in ipairs(loaded.settings) do
    for name, value in pairs(declared.value) do
      values[name:gsub("_", "-")] = tostring(value)
    end
  end
  for name, value in pairs(own or {}) do
    values[name] = value
  end
  return values
end

-- Where scripts say what counts of settings, by name.
local function places_of(loaded, own)
  local places = {}
  for _, declared in ipairs(loaded.settings) do
    for name in pairs(declared.value) do
      local written = name:gsub("_", "-")
      places[written] = not (own and own[written]) and declared or nil
    end
  end
  return places
end

local text = ffi.new("struct mg_text[2]")

-- A name without a certificate is answered with one that nobody has signed, made at the first need.
local function self_signed(self)
  if not self.made then
    if C.mg_certificate_self_signed("moongate.invalid", text[0], text[1]) < 0 then
      return nil
    end
    self.made = {
      certificate = ffi.string(text[0].data, text[0].length),
      key = ffi.string(text[1].data, text[1].length),
      source = "the gateway itself",
    }
    C.mg_file_free(text[0])
    C.mg_file_free(text[1])
  end
  return self.made
end

local function add_certificates(model, certificates)
  for i, entry in ipairs(certificates or {}) do
    if i == 1 then
      model.default_certificate = entry
    end
    table.insert(model.certificates, 1, entry)
  end
end

-- One judge for each generation of scripts, with the verdicts that it has found.
local judges = setmetatable({}, { __mode = "k" })

local function judge_of(loaded)
  judges[loaded] = judges[loaded] or judge.new(loaded.plugins)
  return judges[loaded]
end

--- Builds the model of the present files. Used by `check` and `explain` as well.
---@param sources moongate.Sources
---@param manifests table[]  files of folder.scan
---@param loaded table       of scripts.load
---@param values table<string, string>
---@param resolve fun(host: string): string[]?, string?
---@param before { objects: table, memory: moongate.Memory, store: moongate.Store?,
---  publisher: moongate.Publisher? }?  what the last model left, and who loads certificates
function M.model(sources, manifests, loaded, values, resolve, before)
  before = before or {}
  local options = { flags = sources.flags or {}, settings = values, memory = before.memory,
    own_ports = sources.own_ports, started = sources.started,
    settings_at = places_of(loaded, sources.settings),
    loads = before.publisher and function(pair)
      return before.publisher:why_not_loaded(pair)
    end }
  local model, store = control.build_files(reader_of(manifests), options, before.objects,
    before.store)
  local declared = {}
  for _, list in ipairs({ sources.routes or {}, loaded.routes }) do
    for _, one in ipairs(list) do
      declared[#declared + 1] = one
    end
  end
  routes.add(model, declared, resolve)
  judge_of(loaded):model(model)
  secure.check(model)
  add_certificates(model, sources.certificates)
  return model, store
end

-- --- one change --------------------------------------------------------------

-- Each fault is one line in the log, once, however often the files are read.
local function report_faults(self, faults)
  local now = {}
  for _, fault in ipairs(faults) do
    local line = report.line(fault)
    now[line] = true
    if not self.reported[line] then
      local level = fault.severity == "warning" and "warn" or "error"
      log[level]("fault", { fault = line })
    end
  end
  self.reported = now
end

local function all_faults(self, model, found)
  local faults = {}
  for _, list in ipairs({ model.faults, found, { self.script_fault }, { self.source.fault } }) do
    for _, fault in ipairs(list) do
      faults[#faults + 1] = fault
    end
  end
  return faults
end

-- What /snapshot says of ports of TCP and UDP services.
local function ports_of(self, model)
  local list = json.array({})
  for i, entry in ipairs(model.ports or {}) do
    list[i] = { protocol = entry.protocol, port = entry.port, service = entry.service,
      open = self.publisher:is_open(entry) }
  end
  return list
end

local function publish_model(self, model)
  local typed = model.typed_settings
  event_log.apply(typed)
  process.shutdown_seconds = typed["worker-shutdown-timeout"] / 1000
  process.grace_seconds = typed["shutdown-grace-period"] / 1000
  local ok, err = process.settings(typed)
  if not ok then
    log.error("settings_rejected", { error = err })
  end
  if not model.default_certificate and not typed["ssl-reject-handshake"] then
    model.default_certificate = self_signed(self)
  end
  self.ocsp:fill(model)
  local snapshot, number, found = self.publisher:build(model)
  C.mg_snapshot_unref(self.snapshot)
  self.snapshot = C.mg_snapshot_ref(snapshot)
  process.publish(snapshot, number)
  self.health:update(model.services)
  for _, fault in ipairs(expiry.faults(self.publisher:certificates(), C.mg_time_now())) do
    table.insert(found, fault)
  end
  local faults = all_faults(self, model, found)
  report_faults(self, faults)
  model.faults = faults
  self.summary = report.summary(model)
  self.summary.ports = ports_of(self, model)
  self.summary.number = number
  self.published_at = C.mg_time_now()
  self.failed = self.script_fault ~= nil
  if self.failed then
    self.refused = self.refused + 1
  else
    self.taken, self.taken_at = self.taken + 1, self.published_at
  end
  self.model = model
  log.info("published", {
    snapshot = number,
    routes = self.summary.routes,
    hosts = self.summary.hosts,
    errors = self.summary.errors,
  })
end

-- Its settings may be what keeps people out: nothing is served before it has been read once.
local function wait_for_settings(self, model)
  report_faults(self, all_faults(self, model, {}))
  log.error("settings_unknown", { object = "ConfigMap " .. model.unsettled,
    hint = "nothing is served before it is right" })
end

-- Thousands of objects take longer than a script may: this is our own work, on a thread that serves
-- no request.
local OWN_WORK_MS = 60000

local function build_and_publish(self, manifests)
  task.sleep(0) -- the time that scripts took does not count
  C.mg_watch_limit(vm, OWN_WORK_MS)
  self.resolver:begin()
  local values = M.settings_of(self.loaded, self.sources.settings)
  local model, store = M.model(self.sources, manifests, self.loaded, values, function(name)
    return self.resolver:resolve(name)
  end, self)
  self.store = store
  if model.unsettled and not self.model then
    return wait_for_settings(self, model)
  end
  self.resolver:fill(model.services)
  if not self.closed then -- names may have been waited for
    publish_model(self, model)
  end
end

local RETRY_SECONDS = 5

-- Scripts that were refused are refused again, unless they have changed.
local function refresh_scripts(self, found, force)
  local unloaded = not self.model and not self.script_fault
  if #self.sources.scripts > 0 and (force or found.scripts_changed or unloaded) then
    load_scripts(self, found.scripts)
  end
end

--- Reads everything, and publishes when something has changed.
---@param force boolean?
function Gateway:refresh(force)
  local found = self.source:read()
  local first = not self.model
  refresh_scripts(self, found, force)
  if first and self.script_fault then
    return -- a script may be what guards the rest: nothing is served before it has been loaded once
  end
  if force or found.changed or first or self.rebuild then
    self.rebuild = false
    build_and_publish(self, found.manifests)
  end
end

--- One refresh, or one more after the one that runs. A failure of our own leaves what is served as
--- it is.
---@param force boolean?  as if everything had changed
function Gateway:turn(force)
  self.forced = self.forced or force
  if self.busy or self.closed then
    self.again = true
    return
  end
  self.busy = true
  repeat
    local now_forced = self.forced
    self.forced, self.again = false, false
    C.mg_watch_limit(vm, 0)
    local ok, err = pcall(task.contain, self.refresh, self, now_forced)
    if not ok then
      self.failed, self.refused = true, self.refused + 1
      log.error("refresh_failed", { error = err })
    end
  until not self.again or self.closed
  self.busy = false
end

-- What has a port that is wanted may let go of it.
local function retry_ports(self)
  while not self.closed do
    task.sleep(RETRY_SECONDS)
    if not self.busy and not self.closed and self.publisher:retry_ports() then
      self.rebuild = true
      self:turn()
    end
  end
end

local function look_again(self)
  while not self.closed do
    task.sleep(source.LOOK_SECONDS)
    if self.source.looks_again and not self.busy and not self.closed then
      self:turn()
    end
  end
end

--- Goes on until the gateway is closed: waits for changes and serves them.
function Gateway:run()
  process.on_reload = function()
    self.source.anew = true -- whoever asks may know better than a file system's times
    self:turn(true)
  end
  self:turn()
  task.spawn(expiry.watch, function()
    return self.publisher:certificates()
  end)
  task.spawn(self.resolver.run, self.resolver, function()
    self:turn(true)
  end)
  task.spawn(self.ocsp.run, self.ocsp, function()
    self.rebuild = true
    self:turn()
  end)
  task.spawn(retry_ports, self)
  task.spawn(look_again, self)
  while self.source:wait() >= 0 do
    self:turn()
  end
end

--- What moongate.explain works on; nil before the first snapshot.
---@return moongate.Explainable?
function Gateway:explainable()
  if self.model then
    return {
      model = self.model,
      snapshot = self.snapshot,
      plugins = self.loaded.plugins,
      health = self.health,
    }
  end
end

--- No request comes any more: nothing need be known of endpoints.
function Gateway:stop_checks()
  self.health:close()
end

function Gateway:close()
  self.health:close()
  C.mg_snapshot_unref(self.snapshot)
  self.snapshot, self.model = nil, nil
  self.source:close()
  self.publisher:close()
  self.closed = true
end

return M
