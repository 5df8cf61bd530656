-- SPDX-License-Identifier: Apache-2.0
--
-- What becomes of one annotation, setting or argument, from its declaration and from the fault that
-- translation has found in it. There is no list of names here.
local settings = require("moongate.settings")

local M = {}

--- Verdicts, from the one that asks least to the one that asks most.
---   same     carries over
---   idle     nothing follows from it, nor need anything be done
---   changes  carries over, but something is done otherwise
---   look     cannot be judged by these manifests
---   hand     does not carry over
M.ORDER = { "same", "idle", "changes", "look", "hand" }

-- By the code of a fault, whatever its severity; others: an error is by hand, a warning a change.
local BY_CODE = {
  canary = "idle",
  ignored = "idle",
  missing = "look",
  no_effect = "idle",
  no_endpoints = "look",
  refused = "hand",
  removed = "idle",
  unknown = "idle",
  unsupported = "hand",
}

--- Of a fault that is about no setting.
---@param fault moongate.Fault
---@return string verdict
function M.of_fault(fault)
  local by_code = BY_CODE[fault.code or ""]
  if by_code then
    return by_code
  elseif fault.code == "invalid" and fault.severity == "warning" then
    return "idle" -- the default applies, as it did
  end
  return fault.severity == "warning" and "changes" or "hand"
end

--- Of an annotation in which there is no fault.
---@param entry table    its declaration
---@param text string    its value
---@param known table    all of them
---@return string verdict
---@return string? message
function M.of_annotation(entry, text, known)
  entry = entry.alias_of and known[entry.alias_of] or entry
  if entry.supported == "none" then
    return "idle", entry.doc
  elseif entry.supported == "later" then
    return "idle", entry.detail_of and "belongs to " .. entry.detail_of or "is as by default"
  elseif entry.differs and (not entry.differs_for or entry.differs_for(text)) then
    return "changes", entry.differs
  end
  return "same"
end

--- Of a key of the ConfigMap; `fault` is what was found in it, if anything was.
---@param name string
---@param fault moongate.Fault?
---@return string verdict
---@return string? message
function M.of_setting(name, fault)
  if not fault then
    return "same"
  elseif fault.code == "setting" then
    local setting = settings.get(name)
    local idle = setting and setting.unsupported
    return idle and "idle" or M.of_fault(fault), fault.message
  end
  return M.of_fault(fault), fault.message
end

--- Of an argument of the controller.
---@param option moongate.Option?  its declaration, if it is known
---@param note { says: string?, hand: boolean?, setting: string? }?
---@param ignored boolean  nothing follows from it here
---@param off boolean      a flag that is false
---@return string verdict
---@return string? message
function M.of_argument(option, note, ignored, off)
  if not option then
    return "hand", "is not known"
  elseif not ignored then
    return "same"
  elseif note and note.says and not off then
    return note.hand and "hand" or "changes", note.says
  end
  return "idle"
end

return M
