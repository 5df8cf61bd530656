-- SPDX-License-Identifier: Apache-2.0
-- Objects by kind, namespace and name, each judged by its shape: one that is wrong is reported, and
-- is what it was before, as if an API server had refused it. Without a version before, an Ingress
-- keeps its paths, which answer 503; all else is left out. Of a ConfigMap, each key is judged
-- alone. Comes after control/source, before control/translate.
local base64 = require("moongate.api.base64")
local kinds = require("moongate.control.store.kinds")
local model = require("moongate.control.model")
local remains = require("moongate.control.store.remains")

local M = {}

---@class moongate.Store
---@field objects table<string, table<string, moongate.Object>>  kind -> "namespace/name" or "name"
---@field slices table<string, moongate.Object[]>  "namespace/service" -> its EndpointSlices
---@field broken table<string, moongate.Object>  title -> one that is there, and wrong, and left out
---@field ignored table<string, integer>  "apps/v1 Deployment" -> how many
---@field faults moongate.Fault[]
---@field has_duplicates boolean?
---@field list moongate.Object[]?  all that were offered to `fill`, or what stands for them

--- Makes an empty store.
---@return moongate.Store
function M.new()
  local objects = {}
  for kind in pairs(kinds.known) do
    objects[kind] = {}
  end
  return { objects = objects, slices = {}, broken = {}, ignored = {}, faults = {} }
end

local function count_ignored(store, value)
  local key = value.apiVersion .. " " .. value.kind
  store.ignored[key] = (store.ignored[key] or 0) + 1
end

-- Fills in kind, namespace, name and title. Returns false when there is no name to speak of.
local function identify(object, kind)
  local value = object.value
  local metadata = type(value.metadata) == "table" and value.metadata or {}
  object.kind = value.kind
  object.name = type(metadata.name) == "string" and metadata.name or nil
  if not kind.cluster then
    object.namespace = type(metadata.namespace) == "string" and metadata.namespace or "default"
  end
  object.key = (object.namespace and object.namespace .. "/" or "") .. (object.name or "?")
  object.title = object.kind .. " " .. object.key
end

-- Each key of a ConfigMap is somebody's own matter, and what else is in its metadata nobody reads:
-- what is wrong there spoils no other key.
local function is_apart(object, path)
  if object.kind ~= "ConfigMap" then
    return false
  elseif path[1] == "metadata" then
    return path[2] == "annotations" or path[2] == "labels" or path[2] == "creationTimestamp"
  end
  return path[2] ~= nil
end

-- Calls `complain` for each thing wrong.
local function look_at(object, kind, complain)
  local value = object.value
  if value.metadata == nil then
    return complain({ "metadata" }, "is required; it holds the object's name")
  end
  kinds.metadata(value.metadata, { "metadata" }, complain)
  if object.name then
    local wrong = kind.name(object.name)
    if wrong then
      complain({ "metadata", "name" }, wrong)
    end
  end
  for _, field in ipairs(kind.required or {}) do
    if value[field] == nil then
      complain({ field }, "is required")
    end
  end
  for _, field in ipairs(model.keys(kind.fields or {})) do
    if value[field] ~= nil then
      kind.fields[field](value[field], { field }, complain)
    end
  end
end

local function is_right(store, object, kind)
  local right = true
  look_at(object, kind, function(path, message, severity)
    local fault = model.fault(store.faults, object, severity or "error", path, message)
    fault.code = "shape"
    if is_apart(object, path) then
      store.wrong[path[1]] = store.wrong[path[1]] or {}
      store.wrong[path[1]][path[2]] = fault
    else
      right = right and fault.severity == "warning"
    end
  end)
  return right
end

-- What was meant, as far as a list without its entries' quotes can tell.
local function text_of(value)
  if type(value) ~= "table" then
    return tostring(value)
  end
  local parts = {}
  for i, item in ipairs(value) do
    parts[i] = tostring(item)
  end
  return table.concat(parts, ",")
end

-- `data` has the keys that are right, `wrong_data` the others.
local function read_config_map(store, object)
  object.data, object.wrong_data = {}, {}
  local wrong = store.wrong.data or {}
  for key, value in pairs(object.value.data or {}) do
    if wrong[key] then
      object.wrong_data[key] = { text = text_of(value), fault = wrong[key] }
    else
      object.data[key] = value
    end
  end
end

-- `data` becomes bytes; stringData wins over it, as in the API server.
local function decode_secret(store, object)
  local data = {}
  for _, key in ipairs(model.keys(object.value.data or {})) do
    local bytes, err = base64.decode(object.value.data[key])
    if not bytes then
      local message = err .. "; encode the value, or use stringData"
      model.fault(store.faults, object, "error", { "data", key }, message).code = "shape"
      return false
    end
    data[key] = bytes
  end
  for key, text in pairs(object.value.stringData or {}) do
    data[key] = text
  end
  object.data = data
  return true
end

local function index_slice(store, object)
  local labels = object.value.metadata.labels or {}
  local service = labels["kubernetes.io/service-name"]
  if not service then
    return
  end
  local key = object.namespace .. "/" .. service
  object.service = key
  store.slices[key] = store.slices[key] or {}
  table.insert(store.slices[key], object)
end

local function known_kind(store, object)
  local value = object.value
  local kind = kinds.known[value.kind]
  local group = value.apiVersion:match("^(.*)/[^/]*$") or ""
  if not kind or not kind.groups[group] then
    count_ignored(store, value)
    return nil
  end
  identify(object, kind)
  if value.apiVersion ~= kind.api then
    local message = ("%s is not read; write %s"):format(value.apiVersion, kind.api)
    model.fault(store.faults, object, "error", { "apiVersion" }, message).code = "version"
    return nil
  end
  return kind
end

-- Whether an object can be taken, as it stands; found out once.
local function judge(object)
  local own = { faults = {}, ignored = {}, wrong = {} }
  local kind = known_kind(own, object)
  own.is_right = kind ~= nil and is_right(own, object, kind)
    and (object.kind ~= "Secret" or decode_secret(own, object))
  if object.kind == "ConfigMap" and own.is_right then
    read_config_map(own, object)
  end
  object.judged = own
  return own
end

-- A fault of an object is found once; what comes of it depends on what was before.
local function with_more(fault, text)
  local copy = {}
  for key, value in pairs(fault) do
    copy[key] = value
  end
  copy.message = fault.message .. text
  return copy
end

-- `consequence` is said behind each error.
local function tell(store, judged, consequence)
  for key, count in pairs(judged.ignored) do
    store.ignored[key] = (store.ignored[key] or 0) + count
  end
  for _, fault in ipairs(judged.faults) do
    local is_error = consequence and fault.severity == "error"
    store.faults[#store.faults + 1] = is_error and with_more(fault, consequence) or fault
  end
end

local function put(store, object)
  if object.kind == "EndpointSlice" then
    index_slice(store, object)
  end
  store.objects[object.kind][object.key] = object
end

--- Adds an object. Kinds that the gateway does not read are only counted.
---@param store moongate.Store
---@param object moongate.Object  kept
---@return boolean taken
function M.add(store, object)
  local judged = object.judged or judge(object)
  tell(store, judged)
  if not judged.is_right then
    return false
  end
  local first = store.objects[object.kind][object.key]
  if first then
    local where = first.file and (" in %s:%d"):format(first.file, first.line) or ""
    local message = ("is defined twice, first%s; the first one counts, remove one"):format(where)
    model.fault(store.faults, object, "error", { "metadata", "name" }, message).code = "duplicate"
    store.has_duplicates = true
    return false
  end
  put(store, object)
  return true
end

-- Whose kind is read, and whose name can be.
local function is_known(object)
  local metadata = object.kind and object.value.metadata
  local namespace = type(metadata) == "table" and metadata.namespace
  return object.name ~= nil and (not namespace or type(namespace) == "string")
end

-- What stands for an object that is wrong, and what is said of it.
local function stand_in(object, before)
  local last = before and before.objects[object.kind][object.key]
  if last and not last.denied then
    return last, "; the version before stays in force"
  end
  local judged = object.judged
  if object.kind == "Ingress" and judged.remains == nil then
    judged.remains = remains.of(object) or false -- the same each time, for whoever compares
  end
  return judged.remains, judged.remains and "; its paths answer 503 until it is right"
end

-- Returns what stands for the object, if anything does.
local function add_wrong(store, object, before)
  local other, consequence
  if is_known(object) and not store.objects[object.kind][object.key] then
    other, consequence = stand_in(object, before)
    if other then
      put(store, other)
    else
      store.broken[object.title] = object
    end
  end
  tell(store, object.judged, consequence or nil)
  return other
end

--- A store of these objects. One that is wrong is what it was in `before`.
---@param objects moongate.Object[]
---@param before moongate.Store?  of the objects as they were; not changed, and not kept
---@return moongate.Store
function M.fill(objects, before)
  local store, list, wrong = M.new(), {}, {}
  for i, object in ipairs(objects) do
    list[i] = object
    if (object.judged or judge(object)).is_right then
      M.add(store, object)
    else
      wrong[#wrong + 1] = i
    end
  end
  -- Behind the others, for one that is right goes before one that is wrong.
  for _, i in ipairs(wrong) do
    list[i] = add_wrong(store, list[i], before) or list[i]
  end
  store.list = list
  return store
end

--- Looks an object up.
---@param store moongate.Store
---@param kind string
---@param key string  "namespace/name", or the name where the kind has no namespace
---@return moongate.Object?
function M.get(store, kind, key)
  return store.objects[kind][key]
end

return M
