-- SPDX-License-Identifier: Apache-2.0
--
-- Starts the gateway on a file of examples/ingress-nginx, whose endpoints become servers of the
-- spec, and asks it by TLS as a user would.
local certificates = require("spec.support.certificates")
local command = require("spec.support.command")
local program = require("spec.support.program")
local t = require("moongate.test")

local M = {}

local FOLDER = "examples/ingress-nginx/"
-- Only of EndpointSlices; a Service's ports are further to the right.
local PORT = "(\nports:\n%- name: main\n  port: )(%d+)"

--- The text of one example.
---@param name string
function M.text(name)
  return certificates.read(FOLDER .. name .. ".yaml")
end

--- What `moongate check` says of one example, and its exit code.
---@param name string
function M.check(name)
  local folder = command.folder({
    ["class.yaml"] = M.text("class"),
    [name .. ".yaml"] = M.text(name),
  })
  local output, code = command.run("check", folder.path)
  folder:remove()
  return output, code
end

--- Starts the gateway on one example.
---@param name string
---@param servers table<integer, any>  by the endpoints' port: an answer of moongate.test.upstream,
---  or a server, which has `port` and `close`
---@param options { settings: table?, more: string?, edit: (fun(text: string): string)?,
---  address: string? }?  more: further objects; address: where answers listen
function M.start(name, servers, options)
  options = options or {}
  local gateway = t.gateway({ workers = 1, settings = options.settings })
  local edit = options.edit or function(text)
    return text
  end
  gateway.options.manifests = {
    ["class.yaml"] = M.text("class"),
    ["example.yaml"] = edit(M.text(name)):gsub(PORT, "%1${p%2.port}"),
    ["more.yaml"] = options.more,
  }
  for port, server in pairs(servers) do
    if type(server) == "table" and server.port then
      gateway.upstreams["p" .. port] = server
    else
      gateway:upstream("p" .. port, server, { address = options.address })
    end
  end
  return gateway:start()
end

local function parse(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do
    lines[#lines + 1] = line
  end
  local answer = { headers = {}, text = text }
  answer.status = tonumber((lines[1] or ""):match("^HTTP/%S+ (%d+)"))
  for i = 2, #lines do
    local field, value = lines[i]:match("^([^:]+): (.-)\r?$")
    if not field then
      answer.body = table.concat(lines, "\n", i + 1)
      break
    end
    answer.headers[field:lower()] = value
  end
  return answer
end

--- Asks by curl over TLS.
---@param gateway table
---@param host string
---@param path string
---@param ... string  of curl
---@return { status: integer?, headers: table<string, string>, body: string?, text: string }
function M.ask(gateway, host, path, ...)
  local to = ("%s:443:127.0.0.1:%d"):format(host, gateway.https_port)
  local said = program.run({ "curl", "-q", "-sSki", "--noproxy", "*", "--path-as-is",
    "--connect-to", to, "-H", "Expect:", "https://" .. host .. path, ... })
  return parse(said.output ~= "" and said.output or said.errors)
end

--- curl's word for a body.
---@param body string
function M.body(body)
  return "@" .. certificates.write("example-body", body)
end

return M
