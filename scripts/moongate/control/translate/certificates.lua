-- SPDX-License-Identifier: Apache-2.0
-- Certificates of hosts, from the `tls` sections of Ingresses. A Secret that holds no certificate
-- any more keeps the last that it had, for as long as there is the Secret. A host whose Secret is
-- missing or does not cover it still counts as https: it gets the default certificate.
local model = require("moongate.control.model")
local references = require("moongate.control.translate.references")
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

---@class moongate.Pair   a certificate and its key, as a Secret had them
---@field names string[]   that it is made for
---@field certificate string
---@field key string
---@field source string    title of the Secret

local function read(context, secret)
  local pair = { certificate = secret.data["tls.crt"], key = secret.data["tls.key"],
    source = secret.title }
  if (pair.certificate or "") == "" or (pair.key or "") == "" then
    return nil, "has no tls.crt and tls.key"
  end
  local names, err = x509.names(pair.certificate)
  pair.names = names
  local why = names and context.loads and context.loads(pair)
  err = why and "cannot be used: " .. why or err
  return not err and pair or nil, err
end

-- Reads a Secret, if that has not been done. Returns the last pair that is right, and what is wrong
-- with the present one, if it is another.
local function pair_of(context, secret)
  local pairs_of = context.memory.pairs
  local known = pairs_of[secret.key]
  if not known or known.secret ~= secret then
    local pair, err = read(context, secret)
    known = { secret = secret, pair = pair or known and known.pair, err = err }
    pairs_of[secret.key] = known
  end
  return known.pair, known.err
end

local function complain(context, ingress, index, message, code)
  local where = { "spec", "tls", index, "secretName" }
  model.fault(context.faults, ingress.object, "error", where, message).code = code
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
    local pair = secret and pair_of(context, secret)
    if pair and covers(pair.names, host) then
      return entry, index
    end
  end
end

local BEFORE = "; the certificate before stays in use"

-- The pair for a host, or why there is none. Where it stands for one that is wrong, that is told
-- here.
local function choose(context, ingress, server, entry, index)
  local key = ingress.object.namespace .. "/" .. entry.secretName
  local secret = context.store.objects.Secret[key]
  if not secret then
    local why, code = references.absence(context, "Secret", key)
    return nil, ("Secret %s %s"):format(key, why), code
  end
  local pair, err = pair_of(context, secret)
  if not pair then
    return nil, ("Secret %s %s"):format(key, err)
  elseif not covers(pair.names, server.host) then
    return nil, ("the certificate in Secret %s does not cover %s, only %s"):format(
      key, server.host, table.concat(pair.names, ", "))
  elseif err then
    complain(context, ingress, index, ("Secret %s %s%s"):format(key, err, BEFORE), "certificate")
  end
  return pair
end

--- Decides the certificate of a host, if the Ingress has a `tls` section.
---@param context table
---@param server moongate.Server  gets `certificate` and perhaps `pair`
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
  local pair, err, code = choose(context, ingress, server, entry, index)
  if not pair then
    complain(context, ingress, index, err .. "; the default certificate is used until it is right",
      code or "certificate")
  end
  server.pair = pair
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
local function extra_names(pair, names)
  local extra = {}
  for _, name in ipairs(names) do
    if covers(pair.names, name) then
      extra[#extra + 1] = name
    end
  end
  return extra
end

--- The list for the model: one entry for each pair, with the hosts that it serves.
---@param servers table<string, moongate.Server>
---@param further table<string, string[]>  host -> aliases and redirecting hosts
---@return table[]
function M.list(servers, further)
  local by_pair, list = {}, {}
  for _, host in ipairs(model.keys(servers)) do
    local pair = servers[host].pair
    if pair then
      local entry = by_pair[pair]
      if not entry then
        entry = { names = {}, certificate = pair.certificate, key = pair.key, source = pair.source }
        by_pair[pair] = entry
        list[#list + 1] = entry
      end
      table.insert(entry.names, host)
      for _, name in ipairs(extra_names(pair, further[host] or {})) do
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
  local pair, err, code
  if secret then
    pair, err = pair_of(context, secret)
  else
    err, code = references.absence(context, "Secret", key)
  end
  if err then
    context.faults[#context.faults + 1] = {
      severity = "error",
      code = code or "certificate",
      object = "Secret " .. key,
      field = "--default-ssl-certificate",
      message = err .. (pair and BEFORE or "; a certificate of the gateway's own is used"),
    }
  end
  return pair and { certificate = pair.certificate, key = pair.key, source = pair.source }
end

return M
