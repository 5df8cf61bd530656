-- SPDX-License-Identifier: Apache-2.0
--
-- What `run` and `proxy` share: options, listeners, the order of the start.
local ffi = require("ffi")

local C = require("moongate.api.core")
local admin = require("moongate.admin")
local arguments = require("moongate.command.arguments")
local errors = require("moongate.api.errors")
local event_log = require("moongate.event_log")
local flags = require("moongate.command.flags")
local folder = require("moongate.control.source.folder")
local gateway = require("moongate.control.gateway")
local log = require("moongate.api.log")
local metric_flags = require("moongate.command.metric_flags")
local process = require("moongate.control.process")
local report = require("moongate.control.report")
local settings = require("moongate.settings")
local vm = require("moongate.api.vm")
local worker_settings = require("moongate.api.settings")

local M = {}

local PLAIN, TLS, ADMIN = 0, 1, 2
local WORKERS_MAX = 256

local COMMON = {
  http = {
    kind = "list",
    hint = "ADDR",
    doc = "listens for HTTP: 127.0.0.1:8080, :8080, unix:/path",
  },
  https = { kind = "list", hint = "ADDR", doc = "listens for HTTPS" },
  admin = { kind = "value", hint = "ADDR", doc = "admin listener, 127.0.0.1:9090 unless given" },
  cert = {
    kind = "list",
    hint = "FILE",
    doc = "certificate chain (PEM); the first is the default",
  },
  key = { kind = "list", hint = "FILE", doc = "its private key" },
  ["tls-key-log"] = {
    kind = "value",
    hint = "FILE",
    doc = "appends secrets of TLS connections, with which captures can be read",
  },
  workers = {
    kind = "value",
    hint = "N",
    doc = "worker threads, 1 to 256; as worker-processes says unless given",
  },
  set = { kind = "list", hint = "KEY=VALUE", doc = "a setting; see docs/configuration.md" },
  log = { kind = "value", hint = "json|text", doc = "form of log lines" },
  ["log-level"] = {
    kind = "value",
    hint = "L",
    doc = "debug, info, warn, error or off; wins over error-log-level",
  },
}

--- Options of a command that serves: the common ones and its own.
function M.options(own)
  local all = {}
  for _, set in ipairs({ COMMON, own }) do
    for name, option in pairs(set) do
      all[name] = option
    end
  end
  return all
end

--- Reads --set KEY=VALUE.
---@param list string[]?
---@return table<string, string>? values
---@return string? err
function M.read_settings(list)
  local values = {}
  for _, text in ipairs(list or {}) do
    local name, value = text:match("^([^=]+)=(.*)$")
    if not name then
      return nil, ("--set %s: write --set KEY=VALUE"):format(text)
    end
    local _, err, code = settings.parse(name, value)
    if code == "unknown" or code == "invalid" or code == "refused" then
      return nil, ("--set %s: %s"):format(text, err)
    end
    values[name:gsub("_", "-")] = value
  end
  return values
end

local function set_up_log(values)
  local form, level = values.log or "text", values["log-level"]
  if form ~= "json" and form ~= "text" then
    return nil, ("--log %s: it is json or text"):format(form)
  elseif level and not event_log.LEVELS[level] then
    return nil, ("--log-level %s: it is debug, info, warn, error or off"):format(level)
  end
  event_log.setup(level, form == "json")
  return true
end

-- The names in a certificate choose it by SNI.
local function read_names(entry)
  local error_text = ffi.new("char[256]")
  local certificate = C.mg_certificate_new(
    entry.certificate,
    #entry.certificate,
    entry.key,
    #entry.key,
    error_text,
    ffi.sizeof(error_text)
  )
  if certificate == nil then
    return ffi.string(error_text)
  end
  for i = 0, C.mg_certificate_name_count(certificate) - 1 do
    entry.names[i + 1] = ffi.string(C.mg_certificate_name(certificate, i))
  end
  C.mg_certificate_unref(certificate)
end

local function read_certificates(values)
  local certs, keys = values.cert or {}, values.key or {}
  if #certs ~= #keys then
    return nil, ("--cert and --key come in pairs: there are %d and %d"):format(#certs, #keys)
  end
  local list = {}
  for i, cert in ipairs(certs) do
    local entry = { source = "--cert " .. cert, names = {} }
    for field, path in pairs({ certificate = cert, key = keys[i] }) do
      local files = folder.scan({ path }, folder.is_manifest)
      if not files[1].text then
        return nil, ("%s: %s"):format(path, files[1].err)
      end
      entry[field] = files[1].text
    end
    local err = read_names(entry)
    if err then
      return nil, ("--cert %s: %s"):format(cert, err)
    end
    list[i] = entry
  end
  return list
end

--- Reads the arguments: option values, with settings and certificates worked out.
---@return table? values
---@return string? err
function M.parse(options, ...)
  local parsed, err = arguments.parse({ ... }, options, flags.ALIASES)
  if not parsed then
    return nil, err
  elseif parsed.rest[1] then
    return nil, ("what is %q meant to be? options begin with --"):format(parsed.rest[1])
  end
  local values = parsed.values
  local ok
  ok, err = set_up_log(values)
  if ok then
    values.settings, err = M.read_settings(values.set)
  end
  if not err then
    values.certificates, err = read_certificates(values)
  end
  if err then
    return nil, err
  end
  return values
end

local HINTS = {
  einval = "write 127.0.0.1:8080, [::1]:8080, :8080 or unix:/path",
  eaddrinuse = "another process listens there; stop it or choose another port",
  eacces = "ports below 1024 need CAP_NET_BIND_SERVICE",
  eaddrnotavail = "the address is not one of this machine's",
}

local OPTIONS = { [PLAIN] = "--http", [TLS] = "--https", [ADMIN] = "--admin" }

-- Adds to `bound` where it listens, and to `ports` which option each port is of.
local function listen(kind, addresses, bound, ports)
  for _, address in ipairs(addresses) do
    local port = C.mg_listen(vm, kind, address, #address)
    if port < 0 then
      local hint = HINTS[errors.name(port)]
      local why = errors.text(port) .. (hint and "; " .. hint or "")
      return nil, ("cannot listen on %s: %s"):format(address, why)
    end
    bound[#bound + 1] = (address:gsub(":0$", ":" .. port))
    ports[port] = ports[port] or OPTIONS[kind]
  end
  return true
end

-- What is given, or else a port at the addresses of bind-address, or at all.
local function addresses_of(given, port, bind)
  if given or not port then
    return given or {}
  end
  local list = {}
  for i, ip in ipairs(bind) do
    list[i] = (ip:find(":", 1, true) and "[%s]:%s" or "%s:%s"):format(ip, port)
  end
  return list[1] and list or { ":" .. port }
end

local function open_listeners(values, bind)
  local bound = { http = {}, https = {}, admin = {}, ports = {} }
  local http = addresses_of(values.http, values["http-port"] or "8080", bind)
  local https_port = values["https-port"] or values.default_https and "8443"
  local https = addresses_of(values.https, https_port, bind)
  local ok, err = listen(PLAIN, http, bound.http, bound.ports)
  if ok then
    ok, err = listen(TLS, https, bound.https, bound.ports)
  end
  if ok and values.admin ~= "off" then
    ok, err = listen(ADMIN, { values.admin or "127.0.0.1:9090" }, bound.admin, bound.ports)
  end
  return ok and bound or nil, err
end

local function count_of(text, setting)
  if not text then
    return setting == "auto" and math.min(C.mg_processors(), WORKERS_MAX) or setting
  end
  local count = tonumber(text)
  if not count or count < 1 or count > WORKERS_MAX or count ~= math.floor(count) then
    return nil, ("--workers %s: it is a whole number from 1 to %d"):format(text, WORKERS_MAX)
  end
  return count
end

-- A flag alone turns it on: no object and no setting may.
local function log_keys(path)
  if not path then
    return true
  end
  local result = C.mg_tls_log_keys(vm, path)
  if result < 0 then
    return nil, ("--tls-key-log %s: %s"):format(path, errors.text(result))
  end
  log.warn("tls_keys_are_logged", { file = path, hint = "whoever has it can read all connections" })
  return true
end

-- Settings that count from the start on, and where what they say is wrong. Those of them that no
-- option overrides are left in `sources.started`.
local function first_settings(values, sources)
  local typed, wrong = gateway.first_settings(sources)
  local fault = wrong["bind-address"]
  if fault and not (values.settings["bind-address"] or values.http and values.https) then
    return nil, report.line(fault) .. "; nothing is listened on before that, or it would be at all "
      .. "addresses"
  end
  sources.started = {
    ["worker-processes"] = not values.workers and typed["worker-processes"] or nil,
    ["bind-address"] = not (values.http and values.https) and typed["bind-address"] or nil,
  }
  return typed
end

--- Starts everything; returns nil while it goes on serving, or an exit code and what is wrong.
---@param values table     of M.parse
---@param sources moongate.Sources
function M.run(values, sources)
  sources.manifests, sources.scripts = sources.manifests or {}, sources.scripts or {}
  sources.settings, sources.certificates = values.settings, values.certificates
  local typed, err = first_settings(values, sources)
  if not typed then
    return 1, err
  end
  local count
  count, err = count_of(values.workers, typed["worker-processes"])
  if not count then
    return 2, err
  end
  worker_settings.apply((settings.read(values.settings)))
  event_log.apply(typed)
  C.mg_workers(vm, count)
  local bound
  bound, err = open_listeners(values, typed["bind-address"])
  if not bound then
    return 1, err
  end
  local opened
  opened, err = log_keys(values["tls-key-log"])
  if not opened then
    return 2, err
  end
  err = metric_flags.setup(sources.flags or {})
  if err then
    return 2, err
  end
  local result = C.mg_workers_start(vm)
  if result < 0 then
    return 70, "cannot start the workers: " .. errors.text(result)
  end
  sources.own_ports = bound.ports
  local self = gateway.new(sources)
  admin.serve(self, values.probes_only)
  process.on_stop = function()
    self:stop_checks()
  end
  process.on_exit = function()
    self:close()
  end
  log.info("ready", {
    http = table.concat(bound.http, " "),
    https = table.concat(bound.https, " "),
    admin = table.concat(bound.admin, " "),
    workers = count,
  })
  self:run()
end

return M
