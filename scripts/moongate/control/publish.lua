-- SPDX-License-Identifier: Apache-2.0
--
-- The last step of a change: model to snapshot to workers. Keeps the writer, so that unchanged
-- hosts, services and plans keep their memory.
local ffi = require("ffi")

local C = require("moongate.api.core")
local json = require("moongate.api.json")
local writer = require("moongate.snapshot.writer")

local M = {}

local error_text = ffi.new("char[256]")

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
  return certificate
end

local Publisher = {}
Publisher.__index = Publisher

---@return moongate.Publisher
function M.new()
  return setmetatable({
    number = 0,
    writer = writer.new({
      encode = json.encode,
      certificate = load_certificate,
      certificate_free = function(certificate)
        C.mg_certificate_unref(certificate)
      end,
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

--- Lets go of what is kept between snapshots; those that were built stay as they are.
function Publisher:close()
  self.writer:close()
end

return M
