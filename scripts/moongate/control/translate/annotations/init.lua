-- SPDX-License-Identifier: Apache-2.0
-- Annotations of ingress-nginx: the declarations, and the one parser for all of them.
--
-- A declaration has: name · type (a name in types.lua, or a list of words) · default, or setting:
-- the setting whose value is the default · risk Low|Medium|High|Critical · scope ingress|location ·
-- doc · canary: counts on a canary too · alias_of · detail_of: means nothing without that one ·
-- supported: nil yes, "none" accepted without effect, "later", "refused" · replacement ·
-- guards: leaving it out would open something, so the routes answer 503 · flag: only with that ·
-- differs: what is done otherwise than by ingress-nginx, for `moongate migrate`, with values of
-- which `differs_for` says true, or all ·
-- empty_denies: an empty value is an invalid one, and not none ·
-- wrong: what an invalid value does: "default" (else), "drop" the Ingress, "deny" (503).
local model = require("moongate.control.model")
local names = require("moongate.control.model.names")
local nearest = require("moongate.nearest")
local removed = require("moongate.control.translate.annotations.removed")
local types = require("moongate.control.translate.annotations.types")

local M = {}

local RISKS = { Low = 1, Medium = 2, High = 3, Critical = 4 }

--- Every declaration by name.
M.known = {}
--- Their names in the order of the documentation.
M.names = {}
-- Types of which ingress-nginx takes no blanks around a value, as Go's parsers do not.
local IS_STRICT = { bool = true, int = true, count = true, seconds = true }
-- By canonical name.
local ALIASES = {}

local AREAS = { "paths", "canary", "auth", "cors", "access", "proxy", "balance", "other" }
for _, area in ipairs(AREAS) do
  for _, entry in ipairs(require("moongate.control.translate.annotations." .. area)) do
    local words = entry.type
    entry.parse = type(words) == "table" and types.one_of(words, words.fold) or types[words]
    entry.area = area
    M.known[entry.name] = entry
    if entry.alias_of then
      ALIASES[entry.alias_of] = entry.name
    end
    M.names[#M.names + 1] = entry.name
  end
end

---@class moongate.Notes   the annotations of one Ingress
---@field values table<string, any>  by name; defaults stand behind it
---@field given table<string, boolean>
---@field dropped boolean?  the Ingress must not be loaded
---@field denied string?    its routes answer 503, for this reason

--- The value of each annotation where none is written.
---@param settings table<string, any>  typed
function M.defaults(settings)
  local defaults = {}
  for name, entry in pairs(M.known) do
    if entry.setting then
      defaults[name] = settings[entry.setting]
    else
      defaults[name] = entry.default
    end
  end
  return defaults
end

---@class moongate.NotesContext
---@field prefix string            "nginx.ingress.kubernetes.io/"
---@field defaults table<string, any>
---@field settings table<string, any>
---@field flags table<string, any>
---@field faults moongate.Fault[]

local function complain(context, object, key, severity, code, message)
  local path = { "metadata", "annotations", key }
  local fault = model.fault(context.faults, object, severity, path, message)
  fault.annotation, fault.code = key:match("/(.*)$"), code
end

local function is_inert(context, entry, value)
  return value == context.defaults[entry.name] or value == entry.default
end

-- Never parsed: whatever a snippet holds, it is refused. Only a switch that is off says nothing.
local function on_refused(context, notes, object, key, entry, text)
  if entry.type == "bool" and types.bool(text) == false then
    return
  end
  local drop = context.settings["allow-drop-snippets"]
  local message = ("is never run here%s; use %s"):format(
    drop and ", and the paths are served without it" or "; its paths answer 503", entry.replacement)
  complain(context, object, key, drop and "warning" or "error", "refused", message)
  if not drop then
    notes.denied = notes.denied or entry.name .. " is refused; use " .. entry.replacement
  end
end

local function on_later(context, notes, object, key, entry, value)
  if is_inert(context, entry, value) or entry.detail_of then
    return
  end
  if entry.guards and (not entry.flag or context.flags[entry.flag]) then
    complain(context, object, key, "error", "unsupported",
      "is not supported yet, and leaving it out would open the path: it answers 503; remove it, "
        .. "or use a plugin")
    notes.denied = notes.denied or entry.name .. " is not supported yet"
  else
    complain(context, object, key, "warning", "unsupported",
      "is not supported yet and has no effect; remove it, or use a plugin")
  end
end

local function on_wrong(context, notes, object, key, entry, err)
  local effect = entry.wrong or "default"
  if effect == "drop" then
    notes.dropped = true
    complain(context, object, key, "error", "invalid", err .. "; the Ingress is not loaded")
  elseif effect == "deny" then
    notes.denied = notes.denied or key:match("/(.*)$") .. " " .. err
    complain(context, object, key, "error", "invalid", err .. "; its paths answer 503")
  else
    complain(context, object, key, "warning", "invalid", err .. "; the default applies")
  end
end

local function take(context, notes, object, key, entry, text)
  if entry.supported == "refused" then
    return on_refused(context, notes, object, key, entry, text)
  end
  local value, err = entry.parse(IS_STRICT[entry.type] and text or text:match("^%s*(.-)%s*$"))
  if value == nil then
    return on_wrong(context, notes, object, key, entry, err)
  end
  if entry.supported == "later" then
    on_later(context, notes, object, key, entry, value)
  end
  notes.values[entry.name], notes.given[entry.name] = value, true
end

local function on_unknown(context, object, key, name)
  if removed[name] then
    complain(context, object, key, "warning", "removed",
      "was removed from ingress-nginx and has no effect; " .. removed[name])
    return
  end
  local close = nearest.of(name, M.known)
  local hint = close and ('did you mean "%s"?'):format(close) or "remove it"
  complain(context, object, key, "warning", "unknown", "unknown annotation; " .. hint)
end

local function holds_blocked_word(context, text)
  for _, word in ipairs(context.settings["annotation-value-word-blocklist"]) do
    if text:find(word, 1, true) then
      return word
    end
  end
end

-- Gates that hold for every annotation, known or not. Returns why it is refused, if so.
local function gate(context, entry, text)
  local wrong = names.field_text(text)
  if wrong and not (entry and entry.supported == "refused") then
    return wrong .. "; the Ingress is not loaded"
  end
  local word = holds_blocked_word(context, text)
  if word then
    return ('holds the word "%s", which is blocked; the Ingress is not loaded'):format(word)
  end
  local level = context.settings["annotations-risk-level"]
  if entry and entry.supported ~= "refused" and RISKS[entry.risk] > RISKS[level] then
    return ("is too risky for annotations-risk-level %s; the Ingress is not loaded"):format(level)
  end
end

--- Whether annotations make an Ingress the alternative of another.
---@param prefix string
---@param written table<string, string>
---@return boolean
function M.is_canary(prefix, written)
  local text = written[prefix .. "canary"]
  return text ~= nil and types.bool(text) == true
end

local function is_blank(text)
  return text == nil or not text:find("%S")
end

-- A name and its alias both given: the canonical one wins, unless it is empty.
local function canonical(context, written, key, entry)
  local original = entry.alias_of and M.known[entry.alias_of]
  if original then
    return is_blank(written[context.prefix .. original.name]) and original or nil
  end
  local alias = is_blank(written[key]) and ALIASES[entry.name]
  return not (alias and not is_blank(written[context.prefix .. alias])) and entry or nil
end

-- An empty value is none, as charts write for what is not set. Only where whoever wrote it meant to
-- let in fewer than all it denies: address lists, as in ingress-nginx, and authentication.
local function on_blank(context, object, key, entry)
  complain(context, object, key, "warning", "empty", "is empty, so it counts as not written; "
    .. (entry.supported == "refused" and "remove it" or "remove it, or give it a value"))
end

local function consider(context, notes, object, key, name)
  local written = object.value.metadata.annotations
  local entry = M.known[name]
  local refusal = gate(context, entry, written[key])
  if refusal then
    notes.dropped = true
    return complain(context, object, key, "error", "gate", refusal)
  elseif not entry then
    return on_unknown(context, object, key, name)
  end
  entry = canonical(context, written, key, entry)
  if not entry then
    return
  elseif notes.canary and not entry.canary then
    return complain(context, object, key, "warning", "canary",
      "has no effect on a canary; write it on the main Ingress")
  elseif is_blank(written[key]) and not entry.empty_denies then
    return on_blank(context, object, key, entry)
  end
  take(context, notes, object, key, entry, written[key])
end

--- Reads the annotations of an Ingress.
---@param context moongate.NotesContext
---@param object moongate.Object
---@return moongate.Notes
function M.read(context, object)
  -- The defaults are shared by all Ingresses: a copy for each would cost 138 fields.
  local notes = { values = setmetatable({}, { __index = context.defaults }), given = {} }
  local written = object.value.metadata.annotations
  if not written then
    return notes
  end
  notes.canary = M.is_canary(context.prefix, written)
  local length = #context.prefix
  for _, key in ipairs(model.keys(written)) do
    if key:sub(1, length) == context.prefix then
      consider(context, notes, object, key, key:sub(length + 1))
    end
  end
  return notes
end

return M
