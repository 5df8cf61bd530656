-- SPDX-License-Identifier: Apache-2.0
--
-- Types of mg.schema that are made of others, and the rules of records.
local json = require("moongate.api.json")
local kinds = require("moongate.api.schema.kinds")
local nearest = require("moongate.nearest")

local M = { rules = {} }

function M.is_null(value)
  return value == json.null
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  return keys
end

function M.size(value)
  local count = 0
  for _ in pairs(value) do
    count = count + 1
  end
  return count
end

local function is_list(value)
  return type(value) == "table" and M.size(value) == #value
end

local function is_map(value)
  return type(value) == "table" and (#value == 0 or M.size(value) > #value)
end

local function mismatch(value, wanted)
  if type(value) == "table" then
    return nil, ("must be %s, not a %s"):format(wanted, is_list(value) and "list" or "mapping")
  end
  return kinds.mismatch(value, wanted)
end

M.enum = {
  read = function(self, value)
    local known = {}
    for _, word in ipairs(self.words) do
      if word == value then
        return value
      end
      known[tostring(word)] = true
    end
    local near = type(value) == "string" and not self.is_secret and nearest.of(value, known)
    local hint = near and ("did you mean %q?"):format(near) or nil
    return nil, "must be one of " .. table.concat(self.words, ", "), hint
  end,
}

M.array = {
  read = function(self, value, reader)
    if not is_list(value) then
      return mismatch(value, "a list")
    end
    local list = json.array({})
    for i, item in ipairs(value) do
      if M.is_null(item) then
        return nil, ("must not hold null (entry %d)"):format(i)
      end
      list[#list + 1] = reader:below(i, self.item, item)
    end
    return list
  end,
}

M.map = {
  read = function(self, value, reader)
    if not is_map(value) then
      return mismatch(value, "a mapping")
    end
    local map = {}
    for _, key in ipairs(sorted_keys(value)) do
      if self.key then
        reader:below(key, self.key, key)
      end
      map[key] = reader:below(key, self.item, value[key])
    end
    return map
  end,
}

-- --- records -----------------------------------------------------------------

local function complain_unknown(self, reader, key)
  local known = {}
  for name in pairs(self.fields) do
    known[name] = true
  end
  local near = nearest.of(tostring(key), known)
  local hint
  if near then
    hint = ("did you mean %q?"):format(near)
  elseif next(known) then
    hint = "the fields are " .. table.concat(sorted_keys(known), ", ")
  end
  table.insert(reader.keys, key)
  reader:fault("unknown field", hint)
  table.remove(reader.keys)
end

M.record = {
  read = function(self, value, reader)
    if not is_map(value) then
      return mismatch(value, "a mapping")
    end
    local before = reader.errors
    local record = {}
    for _, name in ipairs(sorted_keys(self.fields)) do
      record[name] = reader:below(name, self.fields[name], value[name])
    end
    for _, key in ipairs(sorted_keys(value)) do
      if not self.fields[key] then
        complain_unknown(self, reader, key)
      end
    end
    for _, rule in ipairs(self.rules) do
      rule(record, value, reader, reader.errors > before)
    end
    return record
  end,
}

-- Faults inside the value mean that the form was this one.
local function complain_inside(reader, faults)
  for _, fault in ipairs(faults) do
    for _, key in ipairs(fault.keys) do
      table.insert(reader.keys, key)
    end
    reader:fault(fault.message, fault.hint)
    for _ = 1, #fault.keys do
      table.remove(reader.keys)
    end
  end
end

M.one_of = {
  read = function(self, value, reader)
    local messages = {}
    for i, kind in ipairs(self.types) do
      local result, faults = kind:read(value)
      if result ~= nil then
        return result
      elseif #faults[1].keys > 0 then
        return complain_inside(reader, faults)
      end
      messages[i] = faults[1].message
    end
    return reader:fault(table.concat(messages, ", or "))
  end,
}

-- --- rules -------------------------------------------------------------------

local function quoted(names)
  local list = {}
  for i, name in ipairs(names) do
    list[i] = ("%q"):format(name)
  end
  return table.concat(list, " or ")
end

local function is_set(value, name)
  return value[name] ~= nil and not M.is_null(value[name])
end

local function count_set(value, names)
  local count = 0
  for _, name in ipairs(names) do
    count = count + (is_set(value, name) and 1 or 0)
  end
  return count
end

local function add(self, rule)
  if not self.rules then
    error("mg.schema: this is a rule of records", 3)
  end
  table.insert(self.rules, rule)
  return self
end

---@param names string[]
function M.rules:at_least_one_of(names)
  return add(self, function(_, value, reader)
    if count_set(value, names) == 0 then
      reader:fault(("one of %s is required"):format(quoted(names)))
    end
  end)
end

---@param names string[]
function M.rules:exactly_one_of(names)
  return add(self, function(_, value, reader)
    if count_set(value, names) ~= 1 then
      reader:fault(("exactly one of %s is required"):format(quoted(names)))
    end
  end)
end

---@param names string[]
function M.rules:mutually_exclusive(names)
  return add(self, function(_, value, reader)
    if count_set(value, names) > 1 then
      reader:fault(("only one of %s may be there"):format(quoted(names)))
    end
  end)
end

---@param names string[]
function M.rules:all_or_none(names)
  return add(self, function(_, value, reader)
    local count = count_set(value, names)
    if count > 0 and count < #names then
      reader:fault(("all of %s are needed, or none"):format(quoted(names):gsub(" or ", " and ")))
    end
  end)
end

--- When `if_field` is there (and equal to `equals`, if given), `then_required` must be there.
---@param rule { if_field: string, equals: any, then_required: string|string[] }
function M.rules:requires(rule)
  local needed = type(rule.then_required) == "table" and rule.then_required
    or { rule.then_required }
  local condition = ("%q is set"):format(rule.if_field)
  if rule.equals ~= nil then
    condition = ("%s = %q"):format(rule.if_field, tostring(rule.equals))
  end
  return add(self, function(record, value, reader)
    local found = record[rule.if_field]
    if found == nil or rule.equals ~= nil and found ~= rule.equals then
      return
    end
    for _, name in ipairs(needed) do
      if not is_set(value, name) then
        reader:fault(("%q is required when %s"):format(name, condition))
      end
    end
  end)
end

--- A rule of the plugin's own, run when nothing else is wrong: returns what is wrong, or nil.
---@param fn fun(record: table): string?
function M.rules:check(fn)
  return add(self, function(record, _, reader, failed)
    local err = not failed and fn(record)
    if err then
      reader:fault(err)
    end
  end)
end

return M
