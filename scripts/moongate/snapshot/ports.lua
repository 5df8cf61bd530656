-- SPDX-License-Identifier: Apache-2.0
--
-- What a snapshot has of ports of TCP and UDP services. Each is opened once and kept while a model
-- has it, whatever service it goes to.
local C = require("moongate.api.core")

local M = {}

local PROXY_IN, PROXY_OUT = 1, 2

---@class moongate.Ports
local Ports = {}
Ports.__index = Ports

---@param options moongate.WriterOptions
---@return moongate.Ports
function M.new(options)
  return setmetatable({
    open = options.port, -- nil: a judge's snapshot, which serves nobody
    known = {}, -- "tcp 5432" -> struct mg_port *
    closing = {}, -- the same, of those that workers may have yet
    failed = {}, -- the same -> the entry of the last model, and why it is not open
  }, Ports)
end

local function key_of(entry)
  return entry.protocol .. " " .. entry.port
end

-- Lets go of a port that is closed, if there is one; `closing` is the one that is closed after it.
local function forget(self, key, closing)
  if self.closing[key] then
    C.mg_port_unref(self.closing[key])
  end
  self.closing[key] = closing
end

local function close_others(self, entries)
  local wanted = {}
  for _, entry in ipairs(entries) do
    wanted[key_of(entry)] = true
  end
  for key, port in pairs(self.known) do
    if not wanted[key] then
      C.mg_port_close(port)
      self.known[key] = nil
      forget(self, key, port)
    end
  end
  for key, port in pairs(self.closing) do
    if C.mg_port_users(port) == 0 then
      forget(self, key, nil)
    end
  end
end

local function find(self, entry)
  local key = key_of(entry)
  local err
  if not self.known[key] then
    self.known[key], err = self.open(entry, self.closing[key])
    self.failed[key] = err and { entry = entry, err = err } or nil
  end
  return self.known[key], err
end

local function complain(faults, entry, err)
  local source = entry.source or {}
  local message = ("port %d of %s cannot be opened: %s"):format(entry.port,
    entry.protocol:upper(), err)
  faults[#faults + 1] = {
    severity = "error",
    object = source.name and ("%s %s/%s"):format(source.kind, source.namespace, source.name),
    field = source.field,
    file = source.file,
    line = source.line,
    column = source.column,
    code = "port",
    message = message,
  }
end

--- Puts into a draft what the model has.
---@param draft ffi.cdata*
---@param entries table[]  of the model
---@param id_of fun(service: string): integer
---@param faults table[]
function Ports:draft(draft, entries, id_of, faults)
  if not self.open then
    return
  end
  self.failed = {}
  close_others(self, entries)
  for _, entry in ipairs(entries) do
    local port, err = find(self, entry)
    local proxy = (entry.decode and PROXY_IN or 0) + (entry.encode and PROXY_OUT or 0)
    if not port then
      complain(faults, entry, err)
    elseif C.mg_draft_port(draft, port, id_of(entry.service), proxy) < 0 then
      error("out of memory while a snapshot is built", 0)
    end
  end
end

--- Whether a port of the last model that could not be opened can be now; it is then open.
---@return boolean
function Ports:retry()
  local opened = false
  for _, failed in pairs(self.failed) do
    opened = find(self, failed.entry) ~= nil or opened
  end
  return opened
end

--- Whether a port is open.
---@param entry table  of the model
---@return boolean
function Ports:is_open(entry)
  return self.known[key_of(entry)] ~= nil
end

--- Lets go of all; snapshots keep theirs.
function Ports:close()
  close_others(self, {})
  for key in pairs(self.closing) do
    forget(self, key, nil)
  end
end

return M
