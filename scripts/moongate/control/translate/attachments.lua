-- SPDX-License-Identifier: Apache-2.0
-- Plugins that objects name: `moongate.dev/plugins: "a, b"` on an Ingress, on the Service behind a
-- path or on their Namespace, with the configuration in `moongate.dev/config.NAME` as YAML.
local document = require("moongate.control.model.document")
local memory = require("moongate.control.translate.memory")
local model = require("moongate.control.model")
local references = require("moongate.control.translate.references")

local M = {}

local LIST = "moongate.dev/plugins"
local CONFIG = "moongate.dev/config."

local function complain(context, object, key, message)
  local path = { "metadata", "annotations", key }
  model.fault(context.faults, object, "error", path, message).code = "plugin"
  return message
end

-- Where a configuration was written, for whoever finds something wrong in it later.
local function remember(context, object, name, config, read)
  local key = read and CONFIG .. name or LIST
  context.model.origins[config] = {
    object = object,
    plugin = name,
    path = { "metadata", "annotations", key },
    text = read and object.value.metadata.annotations[key],
    document = read,
  }
  return config
end

-- Returns the configuration, or nil and what is wrong.
local function config_of(context, object, name, text)
  local documents = text and document.read(text) or {}
  local first = documents[1]
  if first and first.error then
    return nil, complain(context, object, CONFIG .. name,
      ("%d:%d: %s; its paths answer 503"):format(first.line, first.column, first.error))
  end
  local value = first and first.value
  if value == nil or value == document.null then
    return remember(context, object, name, {}, nil)
  elseif type(value) ~= "table" or documents[2] then
    return nil, complain(context, object, CONFIG .. name,
      "must be one mapping, the configuration of the plugin; its paths answer 503")
  end
  return remember(context, object, name, value, first)
end

--- Plugins of one object.
---@return table[]? plugins
---@return string? err  the routes must answer 503
local function read(context, object)
  local annotations = object.value.metadata.annotations or {}
  local list = annotations[LIST]
  if not list then
    return nil
  end
  local plugins = {}
  for name in list:gmatch("[^,%s]+") do
    local config, err = config_of(context, object, name, annotations[CONFIG .. name])
    if not config then
      return nil, ("configuration of plugin %s: %s"):format(name, err)
    end
    plugins[#plugins + 1] = { name = name, config = config, source = object.title }
  end
  return plugins
end

--- Plugins of an object, read once.
---@param context table
---@param object moongate.Object?
---@return { plugins: table[]?, err: string? }
function M.of(context, object)
  if not object then
    return {}
  end
  local plugins, err = memory.once(context, context.attachments, object, read, context, object)
  return { plugins = plugins, err = err }
end

--- Prepares the context.
function M.collect(context)
  context.attachments = {}
end

-- Which plugins a Namespace wants that is wrong nobody knows.
local function why_unknown(context, namespace)
  local why, is_missing = references.absence(context, "Namespace", namespace)
  return not is_missing and ("Namespace %s %s"):format(namespace, why) or nil
end

--- Adds to a route what Namespace, Service and Ingress name; the more specific one replaces an
--- equal name.
---@param context table
---@param route table
---@param ingress moongate.Ingress
---@param service string?  "namespace/name"
function M.add(context, route, ingress, service)
  local objects = context.store.objects
  local found = {}
  route.fault = route.fault or why_unknown(context, ingress.object.namespace)
  for _, object in ipairs({
    objects.Namespace[ingress.object.namespace] or false,
    service and objects.Service[service] or false,
    ingress.object,
  }) do
    local entry = M.of(context, object or nil)
    route.fault = route.fault or entry.err
    for _, plugin in ipairs(entry.plugins or {}) do
      found[plugin.name] = plugin
    end
  end
  for _, name in ipairs(model.keys(found)) do
    route.plugins = route.plugins or {}
    table.insert(route.plugins, { name = name, config = found[name].config })
  end
end

return M
