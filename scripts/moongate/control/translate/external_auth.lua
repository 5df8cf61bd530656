-- SPDX-License-Identifier: Apache-2.0
-- External authentication of a location: auth-url and its kin, or those of the gateway.
local global_auth = require("moongate.control.model.global_auth")
local model = require("moongate.control.model")
local names = require("moongate.control.model.names")
local references = require("moongate.control.translate.references")
local services = require("moongate.control.translate.services")
local template = require("moongate.api.template")
local types = require("moongate.control.translate.annotations.types")

local M = {}

-- Fields of a ConfigMap, with variables.
local function headers_of(context, ingress)
  local config, err = references.of(context, ingress, "auth-proxy-set-headers", "ConfigMap")
  if not config then
    return nil, err
  end
  local headers = {}
  for _, name in ipairs(model.keys(config.data)) do
    local parts, wrong = template.parse(config.data[name])
    wrong = wrong or names.field_text(config.data[name])
    if not parts or wrong or types.header_names(name) == nil then
      err = ("header %s of %s: %s"):format(name, config.title, wrong or "no header")
      references.deny(context, ingress, "auth-proxy-set-headers", err)
      return nil, err
    end
    headers[#headers + 1] = { name = name, value = config.data[name] }
  end
  return headers
end

local function config_of(context, values, scope, headers)
  local key = values["auth-cache-key"]
  return {
    url = values["auth-url"].parts,
    service = services.use_url(context, values["auth-url"].text),
    method = values["auth-method"],
    tells_uri = values["auth-method"] and true or nil,
    headers = headers,
    redirect = values["auth-request-redirect"],
    response_headers = values["auth-response-headers"],
    signin = values["auth-signin"],
    signin_param = values["auth-signin-redirect-param"],
    always_set_cookie = values["auth-always-set-cookie"],
    cache = key and {
      key = key,
      scope = scope,
      durations = values["auth-cache-duration"],
    } or nil,
  }
end

local function is_exempt(context, path)
  for _, beginning in ipairs(context.settings["no-auth-locations"]) do
    if path:sub(1, #beginning) == beginning then
      return true
    end
  end
  return false
end

--- Configuration of the plugin forward-auth; a second result denies the location.
---@param context table
---@param ingress moongate.Ingress
---@param path string   of the location
---@param scope string  of what is remembered of answers
---@return table?
---@return string? err
function M.of(context, ingress, path, scope)
  local values = ingress.notes.values
  if is_exempt(context, path) then
    return nil
  end
  if values["auth-url"] then
    local headers, err = headers_of(context, ingress)
    if err then
      return nil, err
    end
    return config_of(context, values, scope, headers)
  elseif not values["enable-global-auth"] then
    return nil
  end
  local config = global_auth.config(context.settings)
  if config then
    config.service = services.use_url(context, config.url)
    if config.cache then
      config.cache.scope = scope
    end
  end
  return config
end

return M
