-- SPDX-License-Identifier: Apache-2.0
-- What a location's annotations ask of plugins. Each function returns the configuration of one
-- plugin, or nil when it has nothing to do; a second result denies the location (503). Their fields
-- are in plugins/NAME/README.md.
local access = require("moongate.control.model.access")
local model = require("moongate.control.model")
local names = require("moongate.control.model.names")
local references = require("moongate.control.translate.references")
local template = require("moongate.api.template")
local TOKEN = require("moongate.api.token")

local M = {}

local function some(list)
  return list[1] and list or nil
end

local function filled(map)
  return next(map) and map or nil
end

local function begins_with_one(path, list)
  for _, beginning in ipairs(list) do
    if path:sub(1, #beginning) == beginning then
      return true
    end
  end
  return false
end

local function https_of(context, values, path, secure)
  local wanted = values["force-ssl-redirect"] or (values["ssl-redirect"] and secure)
  if not wanted or begins_with_one(path, context.settings["no-tls-redirect-locations"]) then
    return nil
  end
  return {
    code = tonumber(context.settings["http-redirect-code"]),
    keep_slash = values["preserve-trailing-slash"],
    port = values["use-port-in-redirects"] and context.settings["public-https-port"] or nil,
  }
end

local function fixed_of(values)
  local url, code = values["temporal-redirect"], values["temporal-redirect-code"]
  if url then
    return { url = url, code = code >= 300 and code <= 307 and code or 302 }
  end
  url, code = values["permanent-redirect"], values["permanent-redirect-code"]
  if url then
    return { url = url, code = code >= 300 and code <= 308 and code or 301 }
  end
end

--- Fixed URL, else https.
---@param path string     of the location
---@param secure boolean  the host has a certificate
function M.redirect(context, values, path, secure)
  local config = fixed_of(values) or {}
  config.https = https_of(context, values, path, secure)
  return filled(config)
end

--- True when the location's path is rewritten.
function M.needs_rewrite(values, path)
  local target = values["rewrite-target"]
  return target ~= "" and target ~= path
end

function M.rewrite(values, path)
  if not M.needs_rewrite(values, path) then
    return nil
  end
  local target = values["rewrite-target"]
  return {
    pattern = path,
    replacement = target,
    redirect = target:find("^https?://") and true or nil,
    forwarded_prefix = values["x-forwarded-prefix"],
  }
end

--- The rules of a canary; `main` and `alternative` are names of services.
function M.canary(values, main, alternative, cookie)
  local total = values["canary-weight-total"]
  return {
    main = main,
    alternative = alternative,
    header = values["canary-by-header"],
    header_value = values["canary-by-header-value"],
    header_pattern = not values["canary-by-header-value"] and values["canary-by-header-pattern"]
      or nil,
    cookie = values["canary-by-cookie"],
    weight = math.max(values["canary-weight"], 0),
    weight_total = math.max(total, 100),
    sticky = cookie,
  }
end

--- Fields of cross-origin requests.
function M.cors(values)
  if not values["enable-cors"] then
    return nil
  end
  return {
    origins = values["cors-allow-origin"],
    methods = values["cors-allow-methods"],
    headers = values["cors-allow-headers"],
    expose = values["cors-expose-headers"],
    credentials = values["cors-allow-credentials"],
    max_age = values["cors-max-age"],
  }
end

-- `from to`; nil for `off` and what replaces nothing.
local function pair_of(words)
  return words and words[1] ~= "off" and { from = words[1], to = words[2] } or nil
end

--- What a service says of its own address. `default` of nginx means the address that it proxies to,
--- which no client could use.
function M.response_rewrite(values)
  local from, to = values["proxy-redirect-from"], values["proxy-redirect-to"]
  local has_location = from ~= "off" and from ~= "default" and to ~= "off"
  return filled({
    location = has_location and { from = from, to = to } or nil,
    cookie_path = pair_of(values["proxy-cookie-path"]),
    cookie_domain = pair_of(values["proxy-cookie-domain"]),
  })
end

--- Address lists of the location and of the whole gateway.
function M.ip_restriction(context, values)
  return access.restriction(context.settings,
    values.satisfy ~= "any" and values["allowlist-source-range"] or nil,
    values["denylist-source-range"])
end

--- With `satisfy: any`: who may pass without more.
function M.allowed(values)
  local allow = values["allowlist-source-range"]
  return values.satisfy == "any" and allow and allow[1] and { allow = allow } or nil
end

local function users_of(secret, as_map)
  local users = {}
  if as_map then
    for _, user in ipairs(model.keys(secret.data)) do
      users[#users + 1] = user .. ":" .. secret.data[user]:gsub("%s+$", "")
    end
    return users
  end
  if not secret.data.auth then
    return nil, ("%s has no key auth"):format(secret.title)
  end
  for line in secret.data.auth:gmatch("[^\r\n]+") do
    if line:find("^[^#:]+:") then
      users[#users + 1] = line
    end
  end
  return users
end

--- Users and realm of basic authentication.
function M.basic_auth(context, ingress, path)
  local values = ingress.notes.values
  local kind = values["auth-type"]
  if not kind or begins_with_one(path, context.settings["no-auth-locations"]) then
    return nil
  end
  if kind == "digest" then
    local err = "digest is not supported; use basic"
    references.deny(context, ingress, "auth-type", err)
    return nil, err
  end
  if not values["auth-secret"] then
    local err = "needs auth-secret with the users"
    references.deny(context, ingress, "auth-type", err)
    return nil, err
  end
  local secret, err = references.of(context, ingress, "auth-secret", "Secret")
  if not secret then
    return nil, err
  end
  local users, wrong = users_of(secret, values["auth-secret-type"] == "auth-map")
  if not users then
    references.deny(context, ingress, "auth-secret", wrong)
    return nil, wrong
  end
  return { realm = values["auth-realm"], users = users }
end

local function is_header(name, value)
  return name:find(TOKEN) ~= nil and not names.field_text(value)
end

-- Headers that an Ingress adds to responses: only names that the operator has listed.
local function custom_headers(context, ingress)
  local config, err = references.of(context, ingress, "custom-headers", "ConfigMap")
  if not config then
    return nil, err
  end
  local headers = {}
  for _, name in ipairs(model.keys(config.data)) do
    if not context.allowed_headers[name:lower()] then
      err = ("header %s is not in global-allowed-response-headers"):format(name)
    elseif not is_header(name, config.data[name]) then
      err = ("header %s is no header, or holds a control character"):format(name)
    end
    if err then
      references.deny(context, ingress, "custom-headers", err)
      return nil, err
    end
    headers[#headers + 1] = { name = name, value = config.data[name] }
  end
  return headers
end

-- What backends say of themselves is nobody's business unless the operator wants it known.
local function hidden(settings)
  local list = settings["allow-backend-server-header"] and {} or { "Server" }
  for _, name in ipairs(settings["hide-headers"]) do
    list[#list + 1] = name
  end
  return list
end

--- Headers of every request and response, from the settings; worked out once.
function M.global_headers(context)
  local settings = context.settings
  local function read(setting, make)
    local object = context.store.objects.ConfigMap[settings[setting]]
    local list = {}
    if settings[setting] ~= "" and not object then
      local why, code = references.absence(context, "ConfigMap", settings[setting])
      context.complain_setting(setting, ("ConfigMap %s %s%s"):format(settings[setting], why,
        code and "; create it" or ""), "error")
    end
    for _, name in ipairs(object and model.keys(object.data) or {}) do
      local header, err = nil, "is no header, or holds a control character; correct it"
      if is_header(name, object.data[name]) then
        header, err = make(name, object.data[name])
      end
      if err then
        model.fault(context.faults, object, "error", { "data", name }, err).code = "header"
      end
      list[#list + 1] = header
    end
    return list
  end
  local global = {
    response = read("add-headers", function(name, value)
      return { name = name, value = value }
    end),
    request = read("proxy-set-headers", function(name, value)
      local parts, err = template.parse(value)
      if not parts then
        return nil, err
      elseif template.is_fixed(parts) then
        return { name = name, value = value }
      end
      return { name = name, template = parts }
    end),
    hide = hidden(settings),
  }
  if settings.hsts then
    global.hsts = "max-age=" .. settings["hsts-max-age"]
      .. (settings["hsts-include-subdomains"] and "; includeSubDomains" or "")
      .. (settings["hsts-preload"] and "; preload" or "")
  end
  return global
end

-- As text where no variable is in it.
local function host_of(parts)
  return parts and template.is_fixed(parts) and template.text(parts) or parts
end

--- Headers of a location: those of the gateway, and custom-headers.
---@param ingress moongate.Ingress?
function M.headers(context, ingress)
  local global = context.global_headers
  local custom, err
  local values = {}
  if ingress then
    values = ingress.notes.values
    custom, err = custom_headers(context, ingress)
  end
  if err then
    return nil, err
  end
  -- Those of the location come last, so that they win.
  local set = {}
  for _, list in ipairs({ global.response, custom or {} }) do
    for _, header in ipairs(list) do
      set[#set + 1] = header
    end
  end
  local config = {
    request = filled({
      set = some(global.request),
      host = host_of(values["upstream-vhost"]),
      connection = values["connection-proxy-header"],
    }),
    response = filled({ set = some(set), hide = some(global.hide) }),
    hsts = global.hsts,
  }
  return filled(config)
end

return M
