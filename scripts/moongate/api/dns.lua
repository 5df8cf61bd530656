-- SPDX-License-Identifier: Apache-2.0
--
-- mg.dns: names by the system's resolver, in a thread of its own.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local task = require("moongate.api.task")
local vm = require("moongate.api.vm")

local M = {}

local text = ffi.new("struct mg_text")

--- Addresses of a host name, IPv4 and IPv6, each once.
---
--- Errors: `eai_noname` and the other codes of getaddrinfo.
---@param name string
---@return string[]? addresses
---@return string? err
---@return string? code
function M.resolve(name)
  local result = task.wait(C.mg_wait_resolve(vm, name, #name))
  if result < 0 then
    return nil, errors.text(result), errors.name(result)
  end
  C.mg_resolved(vm, text)
  local list, seen = {}, {}
  for address in ffi.string(text.data, text.length):gmatch("[^\n]+") do
    if not seen[address] then
      seen[address] = true
      list[#list + 1] = address
    end
  end
  return list
end

return M
