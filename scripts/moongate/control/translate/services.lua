-- SPDX-License-Identifier: Apache-2.0
-- Backends of Ingresses as services of the model. Two Ingresses that want one Service balanced
-- alike share an entry; one that wants it otherwise gets an entry of its own.
local bit = require("bit")

local endpoints = require("moongate.control.translate.endpoints")
local memory = require("moongate.control.translate.memory")
local model = require("moongate.control.model")
local protocols = require("moongate.protocols")
local references = require("moongate.control.translate.references")

local M = {}

-- What can stand in no name of an object, port or namespace keeps those apart: of `a-b/c` and
-- `a/b-c` neither may be given the other's endpoints.
local function name_of(namespace, service, port)
  return ("%s/%s:%s"):format(namespace, service, port)
end

--- Name of a backend: namespace, Service and port.
---@param object moongate.Object  the Ingress
---@param backend table
---@return string name
---@return string service  "namespace/name"
---@return integer|string port
function M.name(object, backend)
  local port = backend.service.port or {}
  port = port.number or port.name or 0
  return name_of(object.namespace, backend.service.name, port),
    object.namespace .. "/" .. backend.service.name, port
end

local PROTOCOLS = { HTTP = "http", HTTPS = "https", GRPC = "grpc", GRPCS = "grpcs",
  AUTO_HTTP = "auto", FCGI = "fcgi" }

local UNSERVED = {
  fcgi = "FCGI is not supported; put an HTTP server in front of the backend",
}

-- The port of a Service may say what it speaks (KEP-3726), where no annotation does.
local function protocol_of(context, ingress, key, port)
  local protocol = PROTOCOLS[ingress.notes.values["backend-protocol"]]
  local service = context.store.objects.Service[key]
  local found = service and endpoints.port_of(service, port)
  if protocol == "http" and found and found.appProtocol == "kubernetes.io/h2c" then
    return "h2c"
  end
  return protocol
end

local function balance_of(values)
  local key = values["upstream-hash-by"]
  if not key or not key[1] then
    return { algorithm = values["load-balance"] }
  elseif values["upstream-hash-by-subset"] then
    return { algorithm = "subset_hash", key = key,
      subset_size = values["upstream-hash-by-subset-size"] }
  end
  return { algorithm = "hash", key = key }
end

local function affinity_of(values, path)
  if values.affinity ~= "cookie" then
    return nil
  end
  return {
    cookie = values["session-cookie-name"],
    mode = values["affinity-mode"],
    path = values["session-cookie-path"] or path,
    domain = values["session-cookie-domain"],
    max_age = values["session-cookie-max-age"],
    expires = values["session-cookie-expires"],
    samesite = values["session-cookie-samesite"],
    secure = values["session-cookie-secure"],
    conditional_samesite_none = values["session-cookie-conditional-samesite-none"] or nil,
    change_on_failure = values["session-cookie-change-on-failure"] or nil,
  }
end

-- TLS towards the backend. A Secret that cannot be used denies the location.
local function tls_of(context, ingress)
  local values = ingress.notes.values
  local tls = {
    verify = values["proxy-ssl-verify"],
    verify_depth = values["proxy-ssl-verify-depth"],
    server_name = values["proxy-ssl-name"],
    send_server_name = values["proxy-ssl-server-name"],
    protocols = values["proxy-ssl-protocols"],
    ciphers = values["proxy-ssl-ciphers"] ~= "DEFAULT" and values["proxy-ssl-ciphers"] or nil,
  }
  local secret, err = references.of(context, ingress, "proxy-ssl-secret", "Secret")
  if secret then
    tls.ca = secret.data["ca.crt"]
    tls.certificate, tls.key = secret.data["tls.crt"], secret.data["tls.key"]
    if tls.verify and not tls.ca then
      err = "has no ca.crt to verify the backend with"
    end
  elseif tls.verify and not err then
    err = "proxy-ssl-verify is on, but there is no proxy-ssl-secret with a ca.crt"
  end
  return tls, err
end

-- One text for equal tables, whatever the order of their keys.
local function canonical(value)
  if type(value) ~= "table" then
    return tostring(value)
  end
  local parts = {}
  for index, item in ipairs(value) do
    parts[index] = canonical(item)
  end
  if not parts[1] then
    for _, key in ipairs(model.keys(value)) do
      parts[#parts + 1] = key .. "=" .. canonical(value[key])
    end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- FNV-1a. Names only; what they stand for is compared in full.
local function digest(text)
  local hash = bit.tobit(0x811c9dc5)
  for index = 1, #text do
    hash = bit.bxor(hash, text:byte(index))
    hash = bit.tobit(hash + bit.lshift(hash, 1) + bit.lshift(hash, 4) + bit.lshift(hash, 7)
      + bit.lshift(hash, 8) + bit.lshift(hash, 24))
  end
  return bit.tohex(hash)
end

-- "missing" where there is no such Service.
local function code_of(context, key)
  local _, code = references.absence(context, "Service", key)
  return context.store.objects.Service[key] and "backend" or code or "backend"
end

local function report(context, ingress, field, key, wrong)
  local fault = model.fault(context.faults, ingress.object, "error", field,
    ("Service %s %s; its paths answer 503 until it is right"):format(key, wrong))
  fault.code = code_of(context, key)
end

-- What an Ingress wants of a backend, apart from which endpoints there are.
local function wanted_of(context, ingress, path, key, port)
  local values = ingress.notes.values
  local wanted = {
    protocol = protocol_of(context, ingress, key, port),
    balance = balance_of(values),
    affinity = affinity_of(values, path),
    cluster_ip = values["service-upstream"],
  }
  local err = UNSERVED[wanted.protocol]
  if err then
    references.deny(context, ingress, "backend-protocol", err)
  elseif protocols[wanted.protocol].tls then
    wanted.tls, err = tls_of(context, ingress)
  end
  return wanted, err
end

-- The plain case, which most services are: it needs no name of its own.
local function is_plain(context, wanted)
  return wanted.protocol == "http" and not wanted.affinity and not wanted.tls
    and wanted.balance.algorithm == context.settings["load-balance"]
    and wanted.cluster_ip == context.settings["service-upstream"]
end

local function new_service(context, name, key, port, wanted)
  local object = context.store.objects.Service[key]
  local list, wrong = endpoints.find(context, object, port, wanted.cluster_ip, wanted.transport)
  if not object then
    wrong = references.absence(context, "Service", key)
  end
  local namespace, service_name = key:match("^(.-)/(.*)$")
  return {
    name = name,
    endpoints = list,
    protocol = wanted.protocol,
    tls = wanted.tls,
    balance = wanted.balance,
    affinity = wanted.affinity,
    source = { kind = "Service", namespace = namespace, name = service_name, port = port },
  }, wrong
end

-- The service of that name is in the model from now on.
local function make(context, name, key, port, wanted)
  local notes = context.memory:service(name)
  if not notes then
    notes = memory.note(context, new_service, context, name, key, port, wanted)
    context.memory:keep_service(name, notes)
  end
  M.put(context, name, notes)
end

--- Puts a service into the model that was made before.
function M.put(context, name, notes)
  context.model.services[name], context.service_wrong[name] = notes.values[1], notes.values[2]
end

local function note_use(context, name)
  if context.noted then
    context.noted.services[name] = context.service_wrong[name] or false
  end
end

--- Gives the service of the model for a backend, made when it is first asked for.
---@param context table
---@param ingress moongate.Ingress  whose annotations count
---@param backend table             of the Ingress
---@param field (string|integer)[]  where the backend stands
---@param options { path: string?, affinity: table? }?  path of the rule; affinity of the main
---  service, which a canary takes over
---@return string? name
---@return string? err   the location must answer 503
function M.use(context, ingress, backend, field, options)
  options = options or {}
  local base, key, port = M.name(ingress.object, backend)
  local wanted, err = wanted_of(context, ingress, options.path or "/", key, port)
  if err then
    return nil, err
  end
  wanted.affinity = options.affinity or wanted.affinity
  local name = is_plain(context, wanted) and base or base .. "~" .. digest(canonical(wanted))
  if not context.model.services[name] then
    make(context, name, key, port, wanted)
  end
  note_use(context, name)
  if context.service_wrong[name] then
    report(context, ingress, field, key, context.service_wrong[name])
  end
  return name
end

--- The service of `--default-backend-service`, or nil.
---@param context table
function M.default_backend(context)
  local key = references.key_of_flag(context, "default-backend-service", "Service",
    "what no rule answers gets 404")
  local namespace, name = (key or ""):match("^([^/]+)/([^/]+)$")
  if not namespace then
    return nil
  end
  local service = context.store.objects.Service[key]
  local first = service and (service.value.spec.ports or {})[1]
  local port = first and first.port or 80
  return { namespace = namespace, name = name, port = port }
end

-- A fault of the Service itself, told by each who uses it.
local function complain(context, name, key, field, consequence)
  local wrong = context.service_wrong[name]
  if wrong then
    context.faults[#context.faults + 1] = {
      severity = "error",
      code = code_of(context, key),
      object = "Service " .. key,
      field = field,
      message = wrong .. consequence,
    }
  end
end

--- Makes a service that no Ingress routes to, for a plugin that asks it. One that does not exist
--- has no endpoints, and is a fault.
---@param context table
---@param wanted { namespace: string, name: string, port: integer, protocol: string, host: string }
---@return string name  of the service in the model
function M.use_named(context, wanted)
  local key = wanted.namespace .. "/" .. wanted.name
  local name = name_of(wanted.namespace, wanted.name, wanted.port) .. "~" .. wanted.protocol
  if not context.model.services[name] then
    make(context, name, key, wanted.port, {
      protocol = wanted.protocol,
      balance = { algorithm = context.settings["load-balance"] },
      tls = wanted.protocol == "https" and { verify = false, server_name = wanted.host } or nil,
    })
  end
  note_use(context, name)
  complain(context, name, key, nil, "; a plugin asks it, and gets no answer")
  return name
end

--- Makes the service behind a URL's host such as auth.default.svc.cluster.local, for a plugin that
--- asks it.
---@param context table
---@param url string  may hold variables
---@param protocol string?  http or https as the URL has it, unless given
---@return string? name  of the service in the model; nil for any other host
function M.use_url(context, url, protocol)
  local host, port = url:match("^https?://([%w.-]+):?(%d*)")
  local name, namespace = (host or ""):match("^([^.]+)%.([^.]+)%.svc%f[%z.]")
  if not name then
    return nil
  end
  local secure = url:find("^https:") ~= nil
  return M.use_named(context, {
    namespace = namespace,
    name = name,
    port = tonumber(port) or (secure and 443 or 80),
    protocol = protocol or secure and "https" or "http",
    host = host,
  })
end

--- Makes the service behind a port of TCP or UDP: its endpoints take turns, as in ingress-nginx.
---@param context table
---@param wanted { transport: "TCP"|"UDP", namespace: string, name: string, port: integer|string }
---@return string name  of the service in the model
---@return string? wrong  why there can be no endpoint
---@return string? code
function M.use_port(context, wanted)
  local key = wanted.namespace .. "/" .. wanted.name
  local backend = name_of(wanted.namespace, wanted.name, wanted.port)
  local name = wanted.transport:lower() .. ":" .. backend
  if not context.model.services[name] then
    make(context, name, key, wanted.port, {
      transport = wanted.transport,
      balance = { algorithm = "round_robin" },
      cluster_ip = context.settings["service-upstream"],
    })
  end
  return name, context.service_wrong[name], code_of(context, key)
end

--- Makes the service for a default backend: its endpoints, whatever `service-upstream` says.
function M.use_default(context, backend)
  local key = backend.namespace .. "/" .. backend.name
  local name = name_of(backend.namespace, backend.name, backend.port)
  if context.settings["service-upstream"] then
    name = name .. "~endpoints"
  end
  if not context.model.services[name] then
    make(context, name, key, backend.port,
      { protocol = "http", balance = { algorithm = context.settings["load-balance"] } })
  end
  note_use(context, name)
  complain(context, name, key, "--default-backend-service",
    "; unknown hosts get 503 until it is right")
  return name
end

return M
