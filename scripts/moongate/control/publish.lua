-- SPDX-License-Identifier: Apache-2.0
--
-- The last step of a change: model to snapshot to workers. Keeps the writer, so that unchanged
-- hosts, services and plans keep their memory.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local json = require("moongate.api.json")
local vm = require("moongate.api.vm")
local writer = require("moongate.snapshot.writer")

local M = {}

local error_text = ffi.new("char[256]")

-- The second value is why it cannot be had, or what came with it that cannot be used.
local function load_certificate(entry)
  local certificate = C.mg_certificate_new(
    entry.certificate,
    #entry.certificate,
    entry.key,
    #entry.key,
    error_text,
    ffi.sizeof(error_text)
  )
  if certificate == nil then
    return nil, ffi.string(error_text)
  end
  local fault = ffi.string(C.mg_certificate_response_fault(certificate))
  return certificate, fault ~= "" and fault or nil
end

local function load_client_auth(entry)
  local auth = C.mg_client_auth_new(
    entry.ca,
    #entry.ca,
    entry.any and 1 or 0,
    entry.depth,
    error_text,
    ffi.sizeof(error_text)
  )
  if auth ~= nil then
    return auth
  end
  -- Not those of the wildcard above: what is good there is not good here.
  local none = C.mg_client_auth_none()
  return none ~= nil and none or error("out of memory while a snapshot is built", 0),
    ffi.string(error_text)
end

local function load_suites(entry)
  local suites = C.mg_suites_new(entry.ciphers, entry.client_order and 1 or 0)
  return suites ~= nil and suites or error("out of memory while a snapshot is built", 0)
end

local PORT_HINTS = {
  eaddrinuse = "another process listens there; stop it, or choose another port",
  eacces = "ports below 1024 need CAP_NET_BIND_SERVICE; choose another one, or grant it",
  emfile = "too many files are open; raise the limit, or have fewer ports",
}

local port_out = ffi.new("struct mg_port *[1]")

local function open_port(entry, closing)
  local udp = entry.protocol == "udp" and 1 or 0
  local err = C.mg_port_open(vm, udp, entry.port, closing, port_out)
  if err < 0 then
    local hint = PORT_HINTS[errors.name(err)] or "see what the system permits"
    return nil, errors.text(err) .. "; " .. hint
  end
  return port_out[0]
end

local Publisher = {}
Publisher.__index = Publisher

---@param options { listen: boolean? }?  whether ports of TCP and UDP services are opened
---@return moongate.Publisher
function M.new(options)
  local listen = options and options.listen
  return setmetatable({
    number = 0,
    writer = writer.new({
      encode = json.encode,
      certificate = load_certificate,
      certificate_free = function(certificate)
        C.mg_certificate_unref(certificate)
      end,
      client_auth = load_client_auth,
      client_auth_free = function(auth)
        C.mg_client_auth_unref(auth)
      end,
      suites = load_suites,
      suites_free = function(suites)
        C.mg_suites_unref(suites)
      end,
      port = listen and open_port or nil,
    }),
  }, Publisher)
end

--- Builds a snapshot of the model; the caller has its one reference.
---@param model table
---@return ffi.cdata* snapshot
---@return integer number
---@return table[] faults  found while building
function Publisher:build(model)
  self.number = self.number + 1
  local snapshot, faults = self.writer:build(model, self.number)
  return snapshot, self.number, faults
end

--- What is wrong with a certificate and its key, if anything; the next snapshot has them at hand.
---@param pair { certificate: string, key: string }
---@return string?
function Publisher:why_not_loaded(pair)
  return self.writer.secure:why_not_loaded(pair)
end

--- The certificates of the newest snapshot.
---@return moongate.CertificateEnd[]
function Publisher:certificates()
  return self.writer.secure:list()
end

--- Whether ports of the newest snapshot's model that could not be opened can be: there is something
--- to publish then.
---@return boolean
function Publisher:retry_ports()
  return self.writer.ports:retry()
end

--- Whether a port of the model is open.
---@param entry table
---@return boolean
function Publisher:is_open(entry)
  return self.writer.ports:is_open(entry)
end

--- What metrics tell the routes of the newest snapshot by, by mg_route_names.series.
---@return table<integer, { namespace: string, ingress: string, service: string, path: string }>
function Publisher:labels()
  return self.writer.labels
end

--- Lets go of what is kept between snapshots; those that were built stay as they are.
function Publisher:close()
  self.writer:close()
end

return M
