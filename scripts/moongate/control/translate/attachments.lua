-- SPDX-License-Identifier: Apache-2.0
-- Plugins that objects name: `moongate.dev/plugins: "a, b"` on an Ingress, on the Service behind a
-- path or on their Namespace, with the configuration in `moongate.dev/config.NAME` as YAML.
-- A name that is not one of these is a fault: whoever misspelt it wanted a guard there.
local document = require("moongate.control.model.document")
local ingresses = require("moongate.control.translate.ingresses")
local memory = require("moongate.control.translate.memory")
local model = require("moongate.control.model")
local nearest = require("moongate.nearest")
local references = require("moongate.control.translate.references")

local M = {}

local PREFIX = "moongate.dev/"
local LIST = PREFIX .. "plugins"
local CONFIG = PREFIX .. "config."

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

-- Plugins that a list names, and the annotations that may stand beside it, without the prefix.
local function names_in(list)
  local names, known = {}, { plugins = true }
  for name in (list or ""):gmatch("[^,%s]+") do
    names[#names + 1] = name
    known["config." .. name] = true
  end
  return names, known
end

local function wrong_name(name, known)
  local near = nearest.of(name, known)
  local hint = near and ("did you mean %s%s?"):format(PREFIX, near)
  local plugin = name:match("^config%.(.+)$")
  if plugin then
    return ("%s does not name the plugin %s; %s; its paths answer 503"):format(LIST, plugin,
      hint or "name it there, or remove this")
  end
  return ("unknown annotation; %s; its paths answer 503"):format(
    hint or ("there are %s and %sNAME"):format(LIST, CONFIG))
end

-- Where Ingresses have all their annotations under this prefix, those are judged with the others.
local function is_shared(context, object, key)
  return object.kind == "Ingress" and ingresses.prefix(context.flags) == PREFIX
    and key:sub(1, #CONFIG) ~= CONFIG
end

-- Returns what is wrong with the first name that is.
local function check_names(context, object, annotations, known)
  local err
  for _, key in ipairs(model.keys(annotations)) do
    local name = key:sub(1, #PREFIX) == PREFIX and key:sub(#PREFIX + 1)
    if name and not known[name] and not is_shared(context, object, key) then
      local wrong = complain(context, object, key, wrong_name(name, known))
      err = err or key .. ": " .. wrong
    end
  end
  return err
end

local function warn_of_none(context, object)
  model.fault(context.faults, object, "warning", { "metadata", "annotations", LIST },
    "names no plugin; name one, or remove it").code = "plugin"
end

--- Plugins of one object.
---@return table[]? plugins
---@return string? err  the routes must answer 503
local function read(context, object)
  local annotations = object.value.metadata.annotations or {}
  local names, known = names_in(annotations[LIST])
  if annotations[LIST] and not names[1] then
    warn_of_none(context, object)
  end
  local wrong = check_names(context, object, annotations, known)
  if wrong then
    return nil, wrong
  end
  local plugins = {}
  for i, name in ipairs(names) do
    local config, err = config_of(context, object, name, annotations[CONFIG .. name])
    if not config then
      return nil, ("configuration of plugin %s: %s"):format(name, err)
    end
    plugins[i] = { name = name, config = config, source = object.title }
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
