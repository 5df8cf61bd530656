-- SPDX-License-Identifier: Apache-2.0
-- The kinds of objects that the gateway reads, with their shapes. All others are only counted.
local names = require("moongate.control.model.names")
local shape = require("moongate.control.store.shape")

local M = {}

local record, list, map = shape.record, shape.list, shape.map
local text, any = shape.string(), shape.any
local name = shape.string(names.subdomain)
local label = shape.string(names.label)

local function only_service_or_resource(backend)
  if (backend.service == nil) == (backend.resource == nil) then
    return "service", "a backend is either a service or a resource; name one of them"
  end
end

local function number_or_name(port)
  if (port.number == nil) == (port.name == nil) then
    return "number", "name the port by its number or by its name"
  end
end

local backend = record({
  service = record({
    name = label,
    port = record(
      { number = shape.number(names.port), name = shape.string(names.port_name) },
      { check = number_or_name }
    ),
  }, { required = { "name", "port" } }),
  resource = record(
    { apiGroup = text, kind = text, name = text },
    { required = { "kind", "name" } }
  ),
}, { check = only_service_or_resource })

local function absolute(path)
  local its = path.path or ""
  if path.pathType ~= "ImplementationSpecific" and type(its) == "string"
    and not its:find("^/") then
    return "path", "must begin with '/' when pathType is Exact or Prefix"
  end
end

local path = record({
  path = text,
  pathType = shape.enum("Exact", "Prefix", "ImplementationSpecific"),
  backend = backend,
}, { required = { "pathType", "backend" }, check = absolute })

local ingress = record({
  ingressClassName = name,
  defaultBackend = backend,
  tls = list(record({ hosts = list(shape.string(names.host)), secretName = name })),
  rules = list(record({
    host = shape.string(function(host)
      return host ~= "" and names.host(host) or nil
    end),
    http = record({ paths = list(path) }, { required = { "paths" } }),
  })),
}, {
  check = function(spec)
    local rules = spec.rules
    if not spec.defaultBackend and (not rules or type(rules) == "table" and not rules[1]) then
      return "rules", "an Ingress needs rules or a defaultBackend"
    end
  end,
})

local service = record({
  type = shape.enum("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
  clusterIP = text,
  externalName = text,
  ports = list(record({
    name = shape.string(names.port_name),
    port = shape.number(names.port),
    targetPort = shape.port_or_name(names.port, names.port_name),
    appProtocol = text,
    protocol = shape.enum("TCP", "UDP", "SCTP"),
  }, { required = { "port" }, open = true })),
}, {
  open = true,
  check = function(spec)
    if spec.type == "ExternalName" and not spec.externalName then
      return "externalName", "is required when type is ExternalName"
    end
  end,
})

local endpoint = record({
  addresses = list(text),
  conditions = record(
    { ready = shape.boolean, serving = shape.boolean, terminating = shape.boolean },
    { open = true }
  ),
  zone = text,
}, { required = { "addresses" }, open = true })

local endpoint_port = record({
  name = text,
  port = shape.number(names.port),
  protocol = shape.enum("TCP", "UDP", "SCTP"),
}, { open = true })

---@class moongate.Kind
---@field api string            apiVersion that is read
---@field groups table<string, boolean>  API groups in which the name means this kind
---@field cluster boolean?      the kind has no namespace
---@field name fun(text: string): string?
---@field spec function?        shape of `spec`
---@field fields table<string, function>?  shapes of further top-level fields

---@type table<string, moongate.Kind>
M.known = {
  Ingress = {
    api = "networking.k8s.io/v1",
    groups = { ["networking.k8s.io"] = true, extensions = true },
    name = names.subdomain,
    fields = { spec = ingress },
    required = { "spec" },
  },
  IngressClass = {
    api = "networking.k8s.io/v1",
    groups = { ["networking.k8s.io"] = true },
    cluster = true,
    name = names.subdomain,
    fields = { spec = record({ controller = text, parameters = any }) },
  },
  Service = {
    api = "v1",
    groups = { [""] = true },
    name = names.label,
    fields = { spec = service },
    required = { "spec" },
  },
  EndpointSlice = {
    api = "discovery.k8s.io/v1",
    groups = { ["discovery.k8s.io"] = true },
    name = names.subdomain,
    fields = {
      addressType = shape.enum("IPv4", "IPv6", "FQDN"),
      endpoints = list(endpoint),
      ports = list(endpoint_port),
    },
    required = { "addressType" },
  },
  Secret = {
    api = "v1",
    groups = { [""] = true },
    name = names.subdomain,
    fields = { type = text, data = map(text, names.key), stringData = map(text, names.key) },
  },
  ConfigMap = {
    api = "v1",
    groups = { [""] = true },
    name = names.subdomain,
    fields = { data = map(text, names.key), binaryData = map(text, names.key) },
  },
  Namespace = {
    api = "v1",
    groups = { [""] = true },
    cluster = true,
    name = names.label,
  },
}

--- Shape of `metadata`, the same for every kind.
M.metadata = record({
  name = text,
  namespace = label,
  annotations = map(text),
  labels = map(text),
  creationTimestamp = text,
}, { open = true, required = { "name" } })

return M
