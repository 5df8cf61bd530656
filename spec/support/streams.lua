-- SPDX-License-Identifier: Apache-2.0
--
-- Manifests for TCP and UDP services, and a gateway that serves them; scripted TCP servers.
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local t = require("moongate.test")

local M = {}

local CONFIG_MAP = [[
apiVersion: v1
kind: ConfigMap
metadata: {name: %s, namespace: edge}
data: {%s}
]]

--- A ConfigMap of entries, by port or whatever stands there.
---@param name "tcp"|"udp"
---@param entries table<integer|string, string>
function M.config_map(name, entries)
  local list = {}
  for key, value in pairs(entries) do
    list[#list + 1] = ("%q: %q"):format(tostring(key), value)
  end
  return CONFIG_MAP:format(name, table.concat(list, ", "))
end

--- A Service of a port of UDP, named dns, and its endpoints, each a port of 127.0.0.1.
---@param name string
---@param ports integer[]
function M.udp_service(name, ports)
  local text = ([[
apiVersion: v1
kind: Service
metadata: {name: %s}
spec: {ports: [{name: dns-tcp, port: 53}, {name: dns, port: 53, protocol: UDP}]}
]]):format(name)
  for i, port in ipairs(ports) do
    text = text .. ([[
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s-%d, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
ports: [{name: dns, port: %d, protocol: UDP}]
endpoints: [{addresses: [127.0.0.1]}]
]]):format(name, i, name, port)
  end
  return text
end

local FLAGS = { "--tcp-services-configmap=edge/tcp", "--udp-services-configmap=edge/udp" }

--- A gateway, not started, of services and the two ConfigMaps.
---@param services string[]  manifests
---@param tcp table<integer|string, string>?
---@param udp table<integer|string, string>?
---@param options { settings: table?, workers: integer? }?
function M.gateway(services, tcp, udp, options)
  options = options or {}
  return t.gateway({
    args = FLAGS,
    settings = options.settings,
    workers = options.workers,
    manifests = {
      ["tcp.yaml"] = M.config_map("tcp", tcp or {}),
      ["udp.yaml"] = M.config_map("udp", udp or {}),
      ["services.yaml"] = manifests.join(unpack(services)),
    },
  })
end

--- Replaces entries, and waits until all workers serve that.
---@param name "tcp"|"udp"
function M.change(gateway, name, entries)
  gateway:write({ [name .. ".yaml"] = M.config_map(name, entries) })
  gateway:reload()
end

--- A TCP server on a free port: `serve(conn)` has each connection in a task of its own.
---@param serve fun(conn: moongate.Connection)
---@return moongate.Listener
function M.server(serve)
  local listener = assert(mg.tcp.listen("127.0.0.1:0"))
  mg.task.spawn(function()
    local conn = listener:accept()
    while conn do
      local taken = conn
      mg.task.spawn(function()
        serve(taken)
        taken:close()
      end)
      conn = listener:accept()
    end
  end)
  return listener
end

--- Sends back all that comes, to its end.
---@param conn moongate.Connection
function M.echo(conn)
  local data = conn:read()
  while data do
    conn:write(data)
    data = conn:read()
  end
end

--- All that comes of a connection, to its end; and the code of why it ended.
---@param conn moongate.Connection
function M.read_all(conn)
  local pieces = {}
  local data, _, code = conn:read()
  while data do
    pieces[#pieces + 1] = data
    data, _, code = conn:read()
  end
  return table.concat(pieces), code
end

return M
