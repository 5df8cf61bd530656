-- SPDX-License-Identifier: Apache-2.0
--
-- Where C enters for a ClientHello that waits: plugins see the connection before anything of TLS is
-- answered; then its bytes go to a service as they are, or the handshake goes on.
local ffi = require("ffi")

local C = require("moongate.api.core")
local connection = require("moongate.api.connection")
local hooks = require("moongate.hooks")
local log = require("moongate.api.log")
local reader = require("moongate.snapshot.reader")
local upstreams = require("moongate.hooks.upstreams")
local vm = require("moongate.api.vm")

local M = {}

local GO_ON, REFUSE = 0, 1

-- False: the connection ends. A plugin that fails ends it too, unless it says that it fails open.
local function run_hooks(list, conn)
  for _, entry in ipairs(list) do
    local ok = hooks.run_hook(entry, "client_hello", conn)
    if conn.closed or not ok and entry.plugin.on_error ~= "fail_open" then
      return false
    end
  end
  return true
end

local hello = ffi.new("struct mg_hello")

-- As the service's balancer says; whose connection fails has failed. What the service is called by
-- means something in the snapshot of then only, which goes when the client does.
local function pass(number)
  if C.mg_hello_get(vm, number, hello) < 0 then
    return
  end
  local id = hello.service
  local service = reader.service(hello.snapshot, id)
  local endpoint = service and upstreams.balancers:of(service, id):pick(nil, 0)
  if not endpoint then
    log.warn("passthrough_failed", { error = "no endpoint is available" })
    return C.mg_hello_end(vm, number, REFUSE, nil)
  end
  if C.mg_hello_pass(vm, number, endpoint.address, endpoint.port) < 0 then
    return C.mg_hello_end(vm, number, REFUSE, nil)
  end
end

--- Called by C, in a task.
---@param text string  the hello's number
function M.run(text)
  local number = tonumber(text)
  if C.mg_hello_get(vm, number, hello) < 0 then
    return
  end
  local service = hello.service
  local list = hooks.generation().global.client_hello
  local conn = list and connection.new(hello)
  if conn and not run_hooks(list, conn) then
    C.mg_hello_end(vm, number, REFUSE, nil)
  elseif service >= 0 then
    pass(number)
  else
    C.mg_hello_end(vm, number, GO_ON, conn and conn:chosen() or nil)
  end
end

return M
