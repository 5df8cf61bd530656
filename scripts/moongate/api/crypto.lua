-- SPDX-License-Identifier: Apache-2.0
--
-- mg.crypto: hashes, keyed hashes, chance, comparison in constant time. By the system's libcrypto.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")

local M = {}

local RANDOM_MAX = 65536

local out = ffi.new("char[?]", C.MG_DIGEST_MAX)

--- Bytes as lower-case hexadecimal digits.
---@param bytes string
---@return string
function M.hex(bytes)
  return (bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

local function check(text, what)
  if type(text) ~= "string" then
    error(("mg.crypto: the %s is a string, not a %s"):format(what, type(text)), 3)
  end
end

local function result_of(length, algorithm)
  if length < 0 then
    error(("mg.crypto: %s: %s"):format(algorithm, errors.text(length)), 3)
  end
  return ffi.string(out, length)
end

--- The hash as bytes. Algorithms: md5, sha1, sha256, sha384, sha512.
---@param algorithm string
---@param data string
---@return string bytes
function M.digest(algorithm, data)
  check(data, "data")
  return result_of(C.mg_digest(algorithm:upper(), data, #data, out), algorithm)
end

--- The keyed hash (RFC 2104) as bytes.
---@param algorithm string
---@param key string
---@param data string
---@return string bytes
function M.hmac(algorithm, key, data)
  check(key, "key")
  check(data, "data")
  return result_of(C.mg_hmac(algorithm:upper(), key, #key, data, #data, out), algorithm)
end

for _, algorithm in ipairs({ "md5", "sha1", "sha256", "sha384", "sha512" }) do
  M[algorithm] = function(data)
    check(data, "data")
    return M.hex(M.digest(algorithm, data))
  end
  M["hmac_" .. algorithm] = function(key, data)
    check(key, "key")
    check(data, "data")
    return M.hex(M.hmac(algorithm, key, data))
  end
end

--- Bytes that nobody can foretell.
---@param length integer
---@return string
function M.random(length)
  if type(length) ~= "number" or length < 1 or length > RANDOM_MAX then
    error(("mg.crypto.random takes a length from 1 to %d"):format(RANDOM_MAX), 2)
  end
  local bytes = ffi.new("char[?]", length)
  local err = C.mg_random(bytes, length)
  if err < 0 then
    error("mg.crypto.random: " .. errors.text(err), 2)
  end
  return ffi.string(bytes, length)
end

--- A random UUID (RFC 9562, version 4).
---@return string
function M.uuid()
  local bytes = { M.random(16):byte(1, 16) }
  bytes[7] = bytes[7] % 16 + 0x40
  bytes[9] = bytes[9] % 64 + 0x80
  local text = M.hex(string.char(unpack(bytes)))
  return (text:gsub("^(%x%x%x%x%x%x%x%x)(%x%x%x%x)(%x%x%x%x)(%x%x%x%x)", "%1-%2-%3-%4-"))
end

--- Whether two texts are equal, in a time that depends on their lengths alone.
---@param a string
---@param b string
---@return boolean
function M.equal(a, b)
  check(a, "text")
  check(b, "text")
  return C.mg_equal(a, #a, b, #b) == 1
end

return M
