-- SPDX-License-Identifier: Apache-2.0
--
-- The controller's arguments, one by one: read as this gateway's own command line reads them.
local types = require("moongate.settings.values")
local verdict = require("moongate.migrate.verdict")

local M = {}

---@class moongate.MigratedArgument
---@field name string
---@field value string|boolean|nil  true or false of a flag; nil: it is missing
---@field verdict string
---@field message string?

local function value_of(text, option)
  if option and option.kind == "flag" then
    return not text or text == "" or types.bool(text)
  end
  return text
end

local function read(name, text, flags)
  local option, note = flags.options[name], flags.notes[name]
  local value = value_of(text, option)
  local kind, message =
    verdict.of_argument(option, note, flags.is_ignored(name), value == false)
  if kind == "same" and value == nil then
    kind = "hand"
    message = text and "must be true or false, not " .. text or "has no value"
  end
  return { name = name, value = value, verdict = kind, message = message }
end

-- What stands for the value: behind the `=`, or the next word.
local function text_of(word, following, option)
  local text = word:match("=(.*)$")
  if text or option and option.kind == "flag" then
    return text
  elseif following and following:sub(1, 2) ~= "--" then
    return following, true
  end
end

--- Reads those of a controller. Words that belong to none, such as the program, are passed over.
---@param words string[]  "--name=value", or the value as the next word
---@param flags table  of moongate.command.flags: options, notes, is_ignored
---@return moongate.MigratedArgument[]
function M.read(words, flags)
  local list, i = {}, 1
  while i <= #words do
    local name = words[i]:match("^%-%-([^=]+)") or words[i]:match("^%-(%a)%f[=%z]")
    if name then
      local text, took = text_of(words[i], words[i + 1], flags.options[name])
      list[#list + 1] = read(name, text, flags)
      i = i + (took and 1 or 0)
    end
    i = i + 1
  end
  return list
end

--- Those that count here, by name: what translation reads.
---@param list moongate.MigratedArgument[]
---@return table<string, any>
function M.flags(list)
  local flags = {}
  for _, argument in ipairs(list) do
    if argument.verdict == "same" then
      flags[argument.name] = argument.value
    end
  end
  return flags
end

return M
