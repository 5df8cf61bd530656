-- SPDX-License-Identifier: Apache-2.0
-- What can still be read of an Ingress whose shape is wrong: whose it is, its hosts and its paths,
-- so that these answer 503. Left out altogether, they would fall to another Ingress, which may ask
-- for no password. Comes after control/store/kinds.
local names = require("moongate.control.model.names")

local M = {}

local function table_of(value)
  return type(value) == "table" and value or {}
end

local function string_or_nil(value)
  return type(value) == "string" and value or nil
end

-- `canary: true` without quotes says what it means, and no reader of annotations has to know of it.
local function annotations_of(written)
  local annotations = {}
  for key, value in pairs(table_of(written)) do
    if type(key) == "string" and type(value) ~= "table" then
      annotations[key] = tostring(value)
    end
  end
  return annotations
end

local PATH_TYPES = { Exact = true, Prefix = true, ImplementationSpecific = true }

-- Without a type that is known, all that the path may mean. There is no backend: no request gets so
-- far.
local function path_of(written)
  local path, kind = table_of(written).path, table_of(written).pathType
  kind = PATH_TYPES[kind] and kind or "Prefix"
  local is_free = kind == "ImplementationSpecific"
  if path == nil and is_free or type(path) == "string" and (is_free or path:find("^/")) then
    return { path = path, pathType = kind, backend = {} }
  end
end

local function http_of(written)
  local paths = {}
  for _, path in ipairs(table_of(table_of(written).paths)) do
    paths[#paths + 1] = path_of(path)
  end
  return { paths = paths }
end

-- A host that cannot be read is not any host.
local function rule_of(written)
  local host = table_of(written).host
  local is_right = host == nil or host == "" or type(host) == "string" and not names.host(host)
  if type(written) == "table" and is_right then
    return { host = host, http = written.http ~= nil and http_of(written.http) or nil }
  end
end

local function rules_of(written)
  local rules = {}
  for _, rule in ipairs(table_of(written)) do
    rules[#rules + 1] = rule_of(rule)
  end
  return rules
end

-- The answer 503 comes with the certificate that the host has.
local function tls_of(written)
  local tls = {}
  for _, entry in ipairs(table_of(written)) do
    local hosts = {}
    for _, host in ipairs(table_of(table_of(entry).hosts)) do
      hosts[#hosts + 1] = string_or_nil(host)
    end
    tls[#tls + 1] = { hosts = hosts, secretName = string_or_nil(table_of(entry).secretName) }
  end
  return tls[1] and tls or nil
end

--- An Ingress that stands for a wrong one, and whose routes answer 503.
---@param object moongate.Object  with a name
---@return moongate.Object?  with `denied`; nil when no rule can be read, or not whose it is, or its
---  name cannot stand in a line
function M.of(object)
  local metadata, spec = object.value.metadata, table_of(object.value.spec)
  local rules, class = rules_of(spec.rules), spec.ingressClassName
  if not rules[1] or class ~= nil and type(class) ~= "string" or object.key:find("%c") then
    return nil
  end
  local made = {
    value = {
      metadata = {
        name = object.name,
        annotations = annotations_of(metadata.annotations),
        creationTimestamp = string_or_nil(metadata.creationTimestamp),
      },
      spec = { ingressClassName = class, tls = tls_of(spec.tls), rules = rules },
    },
    denied = "the Ingress is not right; see its own fault",
    judged = { is_right = true, faults = {}, ignored = {} },
  }
  for _, key in ipairs({ "file", "line", "column", "kind", "namespace", "name", "key", "title" }) do
    made[key] = object[key]
  end
  return made
end

return M
