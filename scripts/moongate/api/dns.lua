-- SPDX-License-Identifier: Apache-2.0
--
-- mg.dns: names by the system's resolver, in a thread of its own.
local ffi = require("ffi")

local C = require("moongate.api.core")
local clock = require("moongate.api.clock")
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

local ADDRESS_SECONDS = 10 -- for which a resolved name is believed
local NAMES_MAX = 1000

local known_addresses = {} -- host -> { list, until_s, next }
local known_count = 0

--- One of the addresses of a host, in turn; what was resolved a moment ago is not asked for again.
---
--- Errors: those of `resolve`.
---@param host string  a name, or an address, which is returned as it is
---@return string? address
---@return string? err
---@return string? code
function M.address(host)
  if host:match("^%d+%.%d+%.%d+%.%d+$") or host:find(":", 1, true) then
    return host
  end
  local known = known_addresses[host]
  if not known or known.until_s < clock.monotonic() then
    local list, err, code = M.resolve(host)
    if not list then
      return nil, err, code
    end
    known_count = known_count + 1
    if known_count > NAMES_MAX then
      known_addresses, known_count = {}, 1 -- hosts that come from requests must not fill memory
    end
    known = { list = list, until_s = clock.monotonic() + ADDRESS_SECONDS, next = 0 }
    known_addresses[host] = known
  end
  known.next = known.next % #known.list + 1
  return known.list[known.next]
end

return M
