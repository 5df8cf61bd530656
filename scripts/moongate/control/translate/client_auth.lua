-- SPDX-License-Identifier: Apache-2.0
-- Certificates of clients, by host: what TLS asks for, and what the plugin mtls-auth then judges.
-- The oldest Ingress of a host that names a Secret decides. Where that cannot be honoured every
-- request of the host gets 403.
local model = require("moongate.control.model")
local references = require("moongate.control.translate.references")

local M = {}

---@class moongate.ClientAuth
---@field plugin table   configuration of mtls-auth
---@field entry table?   for the model, without names; nil: TLS asks for nothing

local REQUIRE = { on = "valid", optional = "optional", optional_no_ca = "any", off = "off" }

local function deny(context, ingress, err, code)
  local path = { "metadata", "annotations", context.notes.prefix .. "auth-tls-secret" }
  local message = err .. "; requests of its hosts get 403"
  local fault = model.fault(context.faults, ingress.object, "error", path, message)
  fault.annotation, fault.code = "auth-tls-secret", code or "denied"
  return { plugin = { require = "nobody" } }
end

--- What an Ingress with auth-tls-secret asks for.
---@param context table
---@param ingress moongate.Ingress
---@return moongate.ClientAuth
function M.decide(context, ingress)
  if ingress.client_auth then
    return ingress.client_auth
  end
  local values = ingress.notes.values
  local secret, err, code = references.find(context, ingress, "auth-tls-secret", "Secret")
  local ca = secret and secret.data["ca.crt"]
  if secret and (not ca or ca == "") then
    err = secret.title .. " has no ca.crt"
  end
  if err then
    ingress.client_auth = deny(context, ingress, err, code)
    return ingress.client_auth
  end
  local mode = values["auth-tls-verify-client"]
  ingress.client_auth = {
    plugin = {
      require = REQUIRE[mode],
      match = values["auth-tls-match-cn"],
      error_page = values["auth-tls-error-page"],
      pass = values["auth-tls-pass-certificate-to-upstream"] or nil,
    },
    entry = mode ~= "off" and {
      ca = ca .. "\n" .. (secret.data["ca.crl"] or ""),
      any = mode == "optional_no_ca" or nil,
      depth = values["auth-tls-verify-depth"],
      source = secret.title,
    } or nil,
  }
  return ingress.client_auth
end

--- The list for the model.
---@param servers table<string, moongate.Server>
---@param further table<string, string[]>  host -> aliases and redirecting hosts
---@return table[]?
function M.list(servers, further)
  local list = {}
  for _, host in ipairs(model.keys(servers)) do
    local entry = servers[host].client_auth and servers[host].client_auth.entry
    if entry then
      local names = { host }
      for _, name in ipairs(further[host] or {}) do
        names[#names + 1] = name
      end
      list[#list + 1] = { names = names, ca = entry.ca, any = entry.any, depth = entry.depth,
        source = entry.source }
    end
  end
  return list[1] and list or nil
end

return M
