-- SPDX-License-Identifier: Apache-2.0
-- The path of a change: source → store → translate. What comes out is the model, from which the
-- snapshot is written; whatever is wrong is a fault in it and spoils nothing else.
local files = require("moongate.control.source.files")
local store = require("moongate.control.store")
local translate = require("moongate.control.translate")

local M = {}

--- Builds the model from objects.
---@param objects moongate.Object[]  in an order that stays the same from run to run
---@param options moongate.TranslateOptions?
---@param faults moongate.Fault[]?   found while the objects were read
---@param before moongate.Store?     of the last model: what is wrong now is as it was there
---@return table model
---@return moongate.Store store
function M.build(objects, options, faults, before)
  local held = store.fill(objects, before)
  local model = translate.translate(held, options)
  local all = {}
  for _, list in ipairs({ faults or {}, held.faults, model.faults }) do
    for _, fault in ipairs(list) do
      all[#all + 1] = fault
    end
  end
  model.faults = all
  return model, held
end

--- Builds the model from manifest files.
---@param reader fun(): string?, string?, string?  see source/files.lua
---@param options moongate.TranslateOptions?
---@param known table<string, moongate.Object[]>?  see source/files.lua
---@param before moongate.Store?  see M.build
---@return table model
---@return moongate.Store store
function M.build_files(reader, options, known, before)
  local objects, faults = files.read(reader, known)
  return M.build(objects, options, faults, before)
end

--- The settings that manifest files and the caller's own say, without all the rest.
---@param reader fun(): string?, string?, string?  see source/files.lua
---@param options moongate.TranslateOptions?
---@param known table<string, moongate.Object[]>?  see source/files.lua
---@return table<string, any> typed
---@return table<string, moongate.Fault> wrong  of the ConfigMap's keys
function M.settings_of_files(reader, options, known)
  local held = store.new()
  for _, object in ipairs((files.read(reader, known))) do
    if object.value.kind == "ConfigMap" then
      store.add(held, object)
    end
  end
  return translate.settings(held, options)
end

return M
