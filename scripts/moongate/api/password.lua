-- SPDX-License-Identifier: Apache-2.0
--
-- mg.password: passwords against hashes as htpasswd writes them. The work is done in another
-- thread, because these hashes are slow on purpose.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local task = require("moongate.api.task")
local vm = require("moongate.api.vm")

local M = {}

local digest = ffi.new("char[32]")

--- Whether a hash has a form that `check` knows: apr1, {SHA}, {SSHA}, bcrypt, crypt(3) with $1$,
--- $5$, $6$ or of 13 letters. A password that is stored as it is has none.
---@param hash string
---@return boolean
function M.is_known(hash)
  return C.mg_password_is_known(hash, #hash) == 1
end

--- Whether the password belongs to the hash. Waits.
---
--- Errors: `limit` when this thread has many comparisons under way already.
---@param password string
---@param hash string
---@return boolean? matches
---@return string? err
---@return string? code
function M.check(password, hash)
  local result = task.wait(C.mg_wait_password(vm, password, #password, hash, #hash))
  if result < 0 then
    return nil, errors.text(result), errors.name(result)
  end
  return result == 1
end

--- 32 bytes that stand for a text, so that it need not be kept itself.
---@param text string
---@return string
function M.fingerprint(text)
  if C.mg_sha256(text, #text, digest) < 0 then
    error("out of memory")
  end
  return ffi.string(digest, 32)
end

return M
