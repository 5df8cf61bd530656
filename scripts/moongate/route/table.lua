-- SPDX-License-Identifier: Apache-2.0
--
-- Finds routes of a host part by path. Reads in place: no strings, no tables.
local bit = require("bit")
local ffi = require("ffi")

local C = require("moongate.api.core")
local layout = require("moongate.snapshot.layout")

local M = {}

local BUCKET = ffi.typeof("const struct mg_bucket *")
local BYTES = ffi.typeof("const char *")
local NUMBERS = ffi.typeof("const uint32_t *")
local ROUTE = ffi.typeof("const struct mg_route *")

--- Route `index` of the host, in order of precedence; the first is 0.
function M.route_at(host, index)
  local base = ffi.cast(BYTES, host)
  return ffi.cast(ROUTE, base + ffi.cast(NUMBERS, base + host.routes_at)[index])
end

--- Element `index` of the lengths that textual prefixes have.
function M.text_length(host, index)
  return ffi.cast(NUMBERS, ffi.cast(BYTES, host) + host.text_lengths_at)[index]
end

--- Whether some prefix of the host has `depth` elements.
function M.has_depth(host, depth)
  local word = host.depths[bit.rshift(depth, 5)]
  return bit.band(bit.rshift(word, bit.band(depth, 31)), 1) ~= 0
end

local function is_path(host, bucket, path, length)
  local route = M.route_at(host, bucket.first)
  return route.path.length == length
    and C.mg_bytes_equal(ffi.cast(BYTES, route) + route.path.at, path.data, length) ~= 0
end

--- The routes of one path and type: index of the first and their number, which is 0 without any.
---@param path ffi.cdata*  struct mg_text of which `length` bytes count
---@param hash integer  of those bytes
---@param kind integer  PATH_* other than PATH_REGEX
---@return integer first
---@return integer count
function M.find(host, path, length, hash, kind)
  local buckets = ffi.cast(BUCKET, ffi.cast(BYTES, host) + host.buckets_at)
  local slot = layout.first_slot(hash, kind + 1, host.bucket_mask)
  while buckets[slot].kind ~= 0 do
    local bucket = buckets[slot]
    if bucket.hash == hash and bucket.kind == kind + 1 and is_path(host, bucket, path, length) then
      return bucket.first, bucket.count
    end
    slot = bit.band(slot + 1, host.bucket_mask)
  end
  return 0, 0
end

M.EXACT = layout.PATH_EXACT
M.PREFIX = layout.PATH_PREFIX
M.PREFIX_TEXT = layout.PATH_PREFIX_TEXT

return M
