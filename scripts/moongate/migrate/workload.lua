-- SPDX-License-Identifier: Apache-2.0
--
-- The controller's own Deployment or DaemonSet among the objects, and its arguments.
local M = {}

local KINDS = { Deployment = true, DaemonSet = true, StatefulSet = true, Pod = true }
local PROGRAM = "nginx-ingress-controller"

local function as_table(value)
  return type(value) == "table" and value or {}
end

-- A Pod has its containers in its own spec, all others in a template's.
local function containers_of(value)
  local spec = as_table(value.spec)
  if value.kind ~= "Pod" then
    spec = as_table(as_table(spec.template).spec)
  end
  return as_table(spec.containers)
end

local function words_of(container)
  local words = {}
  for _, list in ipairs({ as_table(container.command), as_table(container.args) }) do
    for _, word in ipairs(list) do
      words[#words + 1] = tostring(word)
    end
  end
  return words
end

local function is_controller(container, words)
  local image = tostring(container.image or "")
  if image:find("ingress-nginx/controller", 1, true) or image:find(PROGRAM, 1, true) then
    return true
  end
  for _, word in ipairs(words) do
    if word:sub(-#PROGRAM) == PROGRAM then
      return true
    end
  end
  return false
end

-- The kubelet fills in $(POD_NAMESPACE) and its like; this is the one that charts use.
local function fill(word, namespace)
  return (word:gsub("%$%(POD_NAMESPACE%)", { ["$(POD_NAMESPACE)"] = namespace }))
end

---@class moongate.Workload
---@field object moongate.Object
---@field title string
---@field arguments string[]  words of the command line

local function read(object, words)
  local value = object.value
  local metadata = as_table(value.metadata)
  local namespace = type(metadata.namespace) == "string" and metadata.namespace or "default"
  local arguments = {}
  for i, word in ipairs(words) do
    arguments[i] = fill(word, namespace)
  end
  return {
    object = object,
    title = ("%s %s/%s"):format(value.kind, namespace, tostring(metadata.name)),
    arguments = arguments,
  }
end

--- Those that run ingress-nginx, in the order of the objects.
---@param objects moongate.Object[]
---@return moongate.Workload[]
function M.find(objects)
  local found = {}
  for _, object in ipairs(objects) do
    if KINDS[object.value.kind] then
      for _, container in ipairs(containers_of(object.value)) do
        local words = words_of(as_table(container))
        if is_controller(as_table(container), words) then
          found[#found + 1] = read(object, words)
        end
      end
    end
  end
  return found
end

return M
