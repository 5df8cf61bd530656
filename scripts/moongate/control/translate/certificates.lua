-- SPDX-License-Identifier: Apache-2.0
-- Certificates of hosts, from the `tls` sections of Ingresses. A host whose Secret is missing or
-- does not cover it still counts as https: it gets the default certificate.
local model = require("moongate.control.model")
local x509 = require("moongate.control.model.x509")

local M = {}

local function covers(names, host)
  local wildcard = host:gsub("^[^.]+", "*", 1)
  for _, name in ipairs(names) do
    if name == host or name == wildcard then
      return true
    end
  end
  return false
end

-- Reads a Secret once. Returns the names of its certificate, or nil and what is wrong.
local function names_of(context, secret)
  local known = context.certificate_names[secret]
  if not known then
    known = {}
    local certificate, key = secret.data["tls.crt"], secret.data["tls.key"]
    if not certificate or not key or certificate == "" or key == "" then
      known.err = "has no tls.crt and tls.key"
    else
      known.names, known.err = x509.names(certificate)
    end
    context.certificate_names[secret] = known
  end
  return known.names, known.err
end

-- The entry of `tls` for a host: one that names it, else one whose certificate covers it.
local function entry_of(context, ingress, host)
  local list = ingress.object.value.spec.tls or {}
  for index, entry in ipairs(list) do
    for _, name in ipairs(entry.hosts or {}) do
      if name:lower() == host then
        return entry, index
      end
    end
  end
  for index, entry in ipairs(list) do
    local key = entry.secretName and ingress.object.namespace .. "/" .. entry.secretName
    local secret = key and context.store.objects.Secret[key]
    local names = secret and names_of(context, secret)
    if names and covers(names, host) then
      return entry, index
    end
  end
end

local function secret_of(context, ingress, server, entry)
  local key = ingress.object.namespace .. "/" .. entry.secretName
  local secret = context.store.objects.Secret[key]
  if not secret then
    return nil, ("Secret %s does not exist"):format(key), "missing"
  end
  local names, err = names_of(context, secret)
  if not names then
    return nil, ("Secret %s %s"):format(key, err)
  elseif not covers(names, server.host) then
    return nil, ("the certificate in Secret %s does not cover %s, only %s"):format(
      key, server.host, table.concat(names, ", "))
  end
  return secret
end

--- Decides the certificate of a host, if the Ingress has a `tls` section.
---@param context table
---@param server moongate.Server  gets `certificate` and perhaps `secret`
---@param ingress moongate.Ingress
function M.decide(context, server, ingress)
  local list = ingress.object.value.spec.tls
  if not list or not list[1] then
    return
  end
  server.certificate = true
  local entry, index = entry_of(context, ingress, server.host)
  if not entry or not entry.secretName then
    return
  end
  local secret, err, code = secret_of(context, ingress, server, entry)
  if not secret then
    local where = { "spec", "tls", index, "secretName" }
    local message = err .. "; the default certificate is used until it is right"
    local fault = model.fault(context.faults, ingress.object, "error", where, message)
    fault.code = code or "certificate"
  end
  server.secret = secret
end

--- True when a host is reached by https, be it by the certificate of its wildcard.
---@param servers table<string, moongate.Server>
---@param host string
function M.is_secure(servers, host)
  if host == "*" then
    return false
  end
  local server = servers[host]
  local parent = servers[(host:gsub("^[^.]+", "*", 1))]
  return (server and server.certificate or parent and parent.certificate) == true
end

-- Further names that a host's certificate serves.
local function extra_names(context, server, names)
  local covered = names_of(context, server.secret)
  local extra = {}
  for _, name in ipairs(names) do
    if covers(covered, name) then
      extra[#extra + 1] = name
    end
  end
  return extra
end

--- The list for the model: one entry for each Secret, with the hosts that it serves.
---@param context table
---@param servers table<string, moongate.Server>
---@param further table<string, string[]>  host -> aliases and redirecting hosts
---@return table[]
function M.list(context, servers, further)
  local by_secret, list = {}, {}
  for _, host in ipairs(model.keys(servers)) do
    local secret = servers[host].secret
    if secret then
      local entry = by_secret[secret]
      if not entry then
        entry = { names = {}, certificate = secret.data["tls.crt"], key = secret.data["tls.key"],
          source = secret.title }
        by_secret[secret] = entry
        list[#list + 1] = entry
      end
      table.insert(entry.names, host)
      for _, name in ipairs(extra_names(context, servers[host], further[host] or {})) do
        table.insert(entry.names, name)
      end
    end
  end
  return list
end

--- The certificate of `--default-ssl-certificate`, or nil: the gateway makes its own.
---@param context table
function M.default(context)
  local key = context.flags["default-ssl-certificate"]
  if not key or key == "" then
    return nil
  end
  local secret = context.store.objects.Secret[key]
  local names, err
  if secret then
    names, err = names_of(context, secret)
  end
  if not names then
    context.faults[#context.faults + 1] = {
      severity = "error",
      code = secret and "certificate" or "missing",
      object = "Secret " .. key,
      field = "--default-ssl-certificate",
      message = (err or "does not exist") .. "; a certificate of the gateway's own is used",
    }
    return nil
  end
  return { certificate = secret.data["tls.crt"], key = secret.data["tls.key"],
    source = secret.title }
end

return M
