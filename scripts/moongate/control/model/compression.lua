-- SPDX-License-Identifier: Apache-2.0
-- Compression of all responses, as the settings say, for the plugin compress.
local M = {}

--- Nil where nothing is compressed.
---@param settings table<string, any>  typed
---@return table?
function M.config(settings)
  local gzip, brotli = settings["use-gzip"], settings["enable-brotli"]
  if not gzip and not brotli then
    return nil
  end
  local agents = settings["gzip-disable"]
  return {
    gzip = gzip and {
      level = tonumber(settings["gzip-level"]),
      min_length = settings["gzip-min-length"],
      types = settings["gzip-types"],
    } or nil,
    brotli = brotli and {
      level = tonumber(settings["brotli-level"]),
      min_length = settings["brotli-min-length"],
      types = settings["brotli-types"],
    } or nil,
    not_for = agents ~= "" and agents or nil,
  }
end

return M
