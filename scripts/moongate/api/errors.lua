-- SPDX-License-Identifier: Apache-2.0
--
-- Error codes by name (base/err.h), looked up when a module loads: errors.NOT_FOUND.
local ffi = require("ffi")

local C = require("moongate.api.core")

local M = {}

--- Stable name of a code for scripts: "ERR_NO_ENDPOINT" is `no_endpoint`, libuv's ECONNREFUSED is
--- `econnrefused`.
---@param code integer
---@return string
function M.name(code)
  return (ffi.string(C.mg_error_name(code)):gsub("^ERR_", ""):lower())
end

---@param code integer
---@return string
function M.text(code)
  return ffi.string(C.mg_error_text(code))
end

return setmetatable(M, {
  __index = function(self, name)
    local code = C.mg_error_code("ERR_" .. name)
    if code == 0 then
      error("no error code ERR_" .. name, 2)
    end
    self[name] = code
    return code
  end,
})
