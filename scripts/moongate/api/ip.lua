-- SPDX-License-Identifier: Apache-2.0
--
-- mg.ip: sets of networks. IPv4 and its form in IPv6 (::ffff:a.b.c.d) are the same address.
local ffi = require("ffi")

local C = require("moongate.api.core")

local M = {}

local bytes = ffi.new("char[16]")
local MAPPED = ("\0"):rep(10) .. "\255\255"

--- What an address or network is made of.
---
--- Errors: `invalid`.
---@param text string  "192.0.2.1", "2001:db8::/32"
---@return { version: 4|6, bytes: string, bits: integer }? parsed  bytes: 4 or 16 of them; bits: of
---  the prefix, all of them for an address
---@return string? err
---@return "invalid"? code
function M.parse(text)
  local bits = C.mg_ip_parse(text, #text, bytes)
  if bits < 0 then
    return nil, ("%q is neither an address nor a network"):format(text), "invalid"
  end
  local all = ffi.string(bytes, 16)
  if all:sub(1, 12) == MAPPED and bits >= 96 then
    return { version = 4, bytes = all:sub(13), bits = bits - 96 }
  end
  return { version = 6, bytes = all, bits = bits }
end

---@class moongate.CidrSet
local Set = {}
Set.__index = Set

--- Makes a set of networks and addresses, once, when configuration is read.
---
--- Errors: `invalid`, naming the first one that is neither.
---@param list string[]  "10.0.0.0/8", "2001:db8::/32", "192.0.2.1"
---@return moongate.CidrSet? set
---@return string? err
---@return "invalid"? code
function M.cidr_set(list)
  local handle = ffi.gc(C.mg_networks_new(), C.mg_networks_free)
  for _, network in ipairs(list) do
    if C.mg_networks_add(handle, network, #network) < 0 then
      local err = ("%q is neither an address nor a network"):format(network)
      return nil, err, "invalid"
    end
  end
  C.mg_networks_seal(handle)
  return setmetatable({ handle = handle }, Set)
end

--- Whether the address lies in one of the networks; false for what is no address.
---@param address string
---@return boolean
function Set:contains(address)
  return C.mg_networks_contain(self.handle, address, #address) == 1
end

return M
