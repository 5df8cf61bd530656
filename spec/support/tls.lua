-- SPDX-License-Identifier: Apache-2.0
--
-- TLS of the runtime between two streams of one loop, or between one and another program.
local ffi = require("ffi")

local core = require("spec.support.core")
local net = require("spec.support.net")

core.cdef({ "base/err.h", "tls/server.h", "tls/client.h", "tls/facts.h", "tls/peer.h" })
local C = core.C

jit.off(true, true)

local M = {}

local Pair = {}
Pair.__index = Pair

--- A certificate (of spec.support.certificates) as the runtime has it.
function M.certificate(made)
  local error = ffi.new("char[256]")
  local pem, key = made.certificate, made.key
  local certificate = C.mg_certificate_new(pem, #pem, key, #key, error, 256)
  assert(certificate ~= nil, ffi.string(error))
  return ffi.gc(certificate, C.mg_certificate_unref)
end

function M.trust(made)
  local error = ffi.new("char[256]")
  local trust = C.tls_trust_new(made.certificate, #made.certificate, error, 256)
  assert(trust ~= nil, ffi.string(error))
  return ffi.gc(trust, C.tls_trust_unref)
end

--- A text of C, nil for NULL.
function M.text(pointer)
  return pointer ~= nil and ffi.string(pointer) or nil
end

function M.failure(peer)
  local text = ffi.new("char[256]")
  C.tls_failure(peer.stream, text, 256)
  return ffi.string(text)
end

--- True once the handshake is over, well or not.
function M.settled(peer)
  return peer ~= nil and (peer.open == true or peer.open_err ~= nil)
end

-- A list that ends with NULL.
local function list_of(names)
  local list = ffi.new("const char *[?]", #names + 1)
  for i, name in ipairs(names) do
    list[i - 1] = name
  end
  return list
end

--- A loop with a context of TLS. `close` ends all that was made with it.
function M.open()
  local self = setmetatable({
    servers = {},
    configs = {},
    callbacks = {},
    anchors = {},
    contexts = {},
  }, Pair)
  self.loop = net.loop()
  local out = ffi.new("struct tls_context *[1]")
  assert(C.tls_context_open(out, self.loop.uv) == 0)
  self.context = out[0]
  return self
end

function Pair:keep(value)
  table.insert(self.anchors, value)
  return value
end

local function alpn_of(self, names)
  if not names then
    return nil
  end
  self:keep(names)
  return self:keep(list_of(names))
end

--- Listens and shakes hands with who comes.
---
--- options: choose(name) -> certificate[, other fields of struct tls_choice], alpn, min, max,
--- context (another than the pair's), and fields of struct tls_server_settings in `settings`.
---@return number port
---@return table accepted  the peers, in the order of their coming
function Pair:serve(options, handlers)
  local settings = ffi.new("struct tls_server_settings")
  settings.choose = function(_, name, length, choice)
    local certificate, more = options.choose(ffi.string(name, length))
    choice.certificate = certificate
    for field, value in pairs(more or {}) do
      choice[field] = value
    end
  end
  table.insert(self.callbacks, settings.choose)
  settings.alpn = alpn_of(self, options.alpn)
  settings.min_version, settings.max_version = options.min or 0, options.max or 0
  for field, value in pairs(options.settings or {}) do
    settings[field] = value
    if type(value) == "function" then
      table.insert(self.callbacks, settings[field])
    end
  end
  local out = ffi.new("struct tls_server *[1]")
  assert(C.tls_server_new(out, options.context or self.context, settings) == 0)
  table.insert(self.servers, out[0])
  local accepted = { server = out[0] }
  local port = self.loop:listen(handlers, function(peer)
    accepted[#accepted + 1] = peer
    assert(C.tls_server_start(accepted.server, peer.stream) == 0)
  end)
  return port, accepted
end

--- Another context, as another worker has, on the same loop.
function Pair:another_context()
  local out = ffi.new("struct tls_context *[1]")
  assert(C.tls_context_open(out, self.loop.uv) == 0)
  table.insert(self.contexts, out[0])
  return out[0]
end

--- options: the fields of struct tls_client_settings.
---@return ffi.cdata*? config
---@return string? err
function Pair:configure(options)
  local settings = ffi.new("struct tls_client_settings", { depth = -1 })
  for field, value in pairs(options) do
    settings[field] = field == "alpn" and alpn_of(self, value) or value
  end
  local out = ffi.new("struct tls_client_config *[1]")
  local err = C.tls_client_config_new(out, self.context, settings)
  if err < 0 then
    return nil, net.name_of(err)
  end
  table.insert(self.configs, out[0])
  return out[0]
end

--- As Pair:connect, where `options` may also be what Pair:configure made.
function Pair:connect(port, options, handlers)
  local config = type(options) == "cdata" and options or assert(self:configure(options))
  local started = false
  handlers = handlers or {}
  return self.loop:connect(
    port,
    setmetatable({
      on_open = function(peer, err)
        if err == 0 and not started then
          started, peer.open = true, false
          assert(C.tls_client_start(peer.stream, config) == 0)
        elseif handlers.on_open then
          handlers.on_open(peer, err)
        end
      end,
    }, { __index = handlers })
  )
end

--- Connects and waits until both sides are done with their handshakes.
---@return table client
---@return table server
function Pair:shake(port, accepted, options, handlers)
  local coming = #accepted + 1
  local client = self:connect(port, options, handlers)
  self.loop:wait(function()
    return M.settled(client) and M.settled(accepted[coming])
  end)
  return client, accepted[coming]
end

--- Connections go first, then what they refer to.
function Pair:close()
  for _, peer in pairs(self.loop.peers) do
    peer:close()
  end
  self.loop:turn()
  for _, server in ipairs(self.servers) do
    C.tls_server_unref(server)
  end
  for _, config in ipairs(self.configs) do
    C.tls_client_config_unref(config)
  end
  for _, context in ipairs(self.contexts) do
    C.tls_context_close(context)
  end
  C.tls_context_close(self.context)
  self.loop:close()
  for _, callback in ipairs(self.callbacks) do
    callback:free()
  end
end

return M
