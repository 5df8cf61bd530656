-- SPDX-License-Identifier: Apache-2.0
-- External authentication of everything, as the settings say, for the plugin forward-auth.
local M = {}

local function some(text)
  return text ~= "" and text or nil
end

--- Nil where nobody is asked.
---@param settings table<string, any>  typed
---@return table?
function M.config(settings)
  if settings["global-auth-url"] == "" then
    return nil
  end
  local key = some(settings["global-auth-cache-key"])
  return {
    url = settings["global-auth-url"],
    method = some(settings["global-auth-method"]),
    tells_uri = settings["global-auth-method"] ~= "" or nil,
    redirect = some(settings["global-auth-request-redirect"]),
    response_headers = settings["global-auth-response-headers"],
    signin = some(settings["global-auth-signin"]),
    signin_param = settings["global-auth-signin-redirect-param"],
    always_set_cookie = settings["global-auth-always-set-cookie"],
    cache = key and { key = key, durations = settings["global-auth-cache-duration"] } or nil,
  }
end

return M
