-- SPDX-License-Identifier: Apache-2.0
--
-- The control side for specs: texts of manifests in, models out.
local core = require("spec.support.core")

core.api()
package.loaded["moongate.api.core"] = core.C

local control = require("moongate.control")

local M = {}

--- A reader over a list of { path, text }.
function M.reader(list)
  local index = 0
  return function()
    index = index + 1
    if list[index] then
      return list[index][1], list[index][2], list[index][3]
    end
  end
end

--- Translates one text.
---@return table model
---@return table store
function M.build(text, options)
  return control.build_files(M.reader({ { "in.yaml", text } }), options)
end

--- The objects of the cases: an IngressClass, and a Service with one endpoint for each name.
function M.services(...)
  local texts = { [[
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
]] }
  for index, name in ipairs({ ... }) do
    texts[#texts + 1] = ([[
apiVersion: v1
kind: Service
metadata: {name: %s}
spec: {clusterIP: 10.96.0.%d, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s-1, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.0.%d.1]}]
]]):format(name, index, name, name, index)
  end
  return table.concat(texts, "---\n") .. "---\n"
end

--- An Ingress in short: paths are { path, pathType, service }.
function M.ingress(name, host, paths, annotations, more)
  local lines = { "apiVersion: networking.k8s.io/v1", "kind: Ingress", "metadata:",
    "  name: " .. name, "  annotations:" }
  for key, value in pairs(annotations or {}) do
    lines[#lines + 1] = ("    nginx.ingress.kubernetes.io/%s: %q"):format(key, value)
  end
  lines[#lines + 1] = "    example.com/note: none"
  lines[#lines + 1] = "spec:"
  lines[#lines + 1] = "  ingressClassName: nginx"
  lines[#lines + 1] = more
  lines[#lines + 1] = "  rules:"
  lines[#lines + 1] = ("  - host: %q"):format(host)
  lines[#lines + 1] = "    http:"
  lines[#lines + 1] = "      paths:"
  for _, path in ipairs(paths) do
    lines[#lines + 1] = ("      - {path: '%s', pathType: %s, backend: {service: {name: %s, "
      .. "port: {number: 80}}}}"):format(path[1], path[2], path[3])
  end
  return table.concat(lines, "\n") .. "\n---\n"
end

--- Configuration of a plugin of a route, or nil.
function M.plugin(route, name)
  for _, plugin in ipairs(route.plugins or {}) do
    if plugin.name == name then
      return plugin.config
    end
  end
end

--- The first fault whose message holds a text, or nil.
function M.fault(model, text)
  for _, fault in ipairs(model.faults) do
    if fault.message:find(text, 1, true) then
      return fault
    end
  end
end

--- The route of a host with this path, by type.
function M.route(model, host, kind, value)
  for _, route in ipairs(model.hosts[host] and model.hosts[host].routes or {}) do
    if route.path.type == kind and route.path.value == value then
      return route
    end
  end
end

return M
