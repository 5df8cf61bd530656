-- SPDX-License-Identifier: Apache-2.0
--
-- Texts of Kubernetes objects, for specs that write them to a folder.
local M = {}

M.CLASS = [[
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
]]

--- Several objects in one text.
---@param ... string
function M.join(...)
  return table.concat({ ... }, "---\n")
end

--- A service and its endpoints, each a port of 127.0.0.1.
---@param name string
---@param ports (integer|string)[]
function M.service(name, ports)
  local slices = {}
  for i, port in ipairs(ports) do
    slices[i] = ([[
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s-%d, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
ports: [{name: http, port: %s}]
endpoints: [{addresses: [127.0.0.1]}]
]]):format(name, i, name, tostring(port))
  end
  return ([[
apiVersion: v1
kind: Service
metadata: {name: %s}
spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 80, targetPort: http}]}
]]):format(name) .. table.concat(slices)
end

--- Annotations of ingress-nginx by their whole names.
---@param plain table<string, string>  by what follows the prefix
---@return table<string, string>
function M.annotations(plain)
  local full = {}
  for name, value in pairs(plain) do
    full["nginx.ingress.kubernetes.io/" .. name] = value
  end
  return full
end

local function annotations_of(annotations)
  local lines = {}
  for name, value in pairs(annotations or {}) do
    lines[#lines + 1] = ("    %s: %q\n"):format(name, value)
  end
  table.sort(lines)
  return #lines > 0 and "  annotations:\n" .. table.concat(lines) or ""
end

--- An Ingress of the class nginx.
---@param name string
---@param options { host: string, service: string, paths: string[]?, secret: string?,
---  annotations: table<string, string>? }
function M.ingress(name, options)
  local paths = {}
  for i, path in ipairs(options.paths or { "/" }) do
    local backend = ("{service: {name: %s, port: {number: 80}}}"):format(options.service)
    paths[i] = ("      - {path: %s, pathType: Prefix, backend: %s}\n"):format(path, backend)
  end
  local tls = options.secret
    and ("  tls: [{hosts: [%s], secretName: %s}]\n"):format(options.host, options.secret)
  local text = [[
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: %s
%sspec:
  ingressClassName: nginx
%s  rules:
  - host: %s
    http:
      paths:
%s]]
  local annotations = annotations_of(options.annotations)
  return text:format(name, annotations, tls or "", options.host, table.concat(paths))
end

local function indent(text)
  return (text:gsub("[^\n]+", "    %0"))
end

--- A Secret with a certificate and its key, as PEM.
---@param name string
---@param made { certificate: string, key: string }
function M.secret(name, made)
  return ([[
apiVersion: v1
kind: Secret
metadata: {name: %s}
type: kubernetes.io/tls
stringData:
  tls.crt: |
%s  tls.key: |
%s]]):format(name, indent(made.certificate), indent(made.key))
end

--- A Secret with the certificate of an authority.
---@param name string
---@param made { certificate: string }
---@param crl string?  its list of revoked certificates, as PEM
function M.authority(name, made, crl)
  local text = ([[
apiVersion: v1
kind: Secret
metadata: {name: %s}
stringData:
  ca.crt: |
%s]]):format(name, indent(made.certificate))
  return crl and text .. "  ca.crl: |\n" .. indent(crl) or text
end

return M
