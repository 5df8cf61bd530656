-- SPDX-License-Identifier: Apache-2.0
--
-- Patterns that can backtrack without bound: a repetition inside a repetition where the same text
-- can be divided in many ways. Reads enough of PCRE to tell; what it cannot read it does not judge.
local bit = require("bit")

local M = {}

-- A set of bytes is a table of 256 booleans, `true` stands for any.

local function new_set(fill)
  local set = {}
  for byte = 0, 255 do
    set[byte] = fill or false
  end
  return set
end

local function range(set, from, to)
  for byte = from, to do
    set[byte] = true
  end
  return set
end

local function inverse(set)
  local other = {}
  for byte = 0, 255 do
    other[byte] = not set[byte]
  end
  return other
end

local function join(into, set)
  for byte = 0, 255 do
    into[byte] = into[byte] or set[byte]
  end
  return into
end

local function overlap(a, b)
  for byte = 0, 255 do
    if a[byte] and b[byte] then
      return true
    end
  end
  return false
end

local DIGIT = range(new_set(), 48, 57)
local WORD = range(range(range(range(new_set(), 48, 57), 65, 90), 97, 122), 95, 95)
local SPACE = range(range(new_set(), 9, 13), 32, 32)
local ESCAPES = { d = DIGIT, w = WORD, s = SPACE, h = SPACE, v = SPACE }
local CONTROLS = { n = 10, r = 13, t = 9, f = 12, e = 27, a = 7 }

local function any()
  local set = new_set(true)
  set[10] = false
  return set
end

-- What an escape stands for; nil for an assertion, false for what is not understood.
local function escape_set(letter, hex)
  local lower = letter:lower()
  if ESCAPES[lower] then
    return lower == letter and ESCAPES[lower] or inverse(ESCAPES[lower])
  elseif CONTROLS[letter] then
    return range(new_set(), CONTROLS[letter], CONTROLS[letter])
  elseif letter == "x" and hex then
    return range(new_set(), tonumber(hex, 16), tonumber(hex, 16))
  elseif letter:find("[bBAzZG]") then
    return nil
  elseif letter:find("%w") then
    return false
  end
  return range(new_set(), letter:byte(), letter:byte())
end

-- --- reading -----------------------------------------------------------------

local Reader = {}
Reader.__index = Reader

local UNREADABLE = {}

local function fail()
  error(UNREADABLE, 0)
end

function Reader:peek(text)
  return self.text:sub(self.at, self.at + #text - 1) == text
end

function Reader:take(pattern)
  local found = self.text:match("^" .. pattern, self.at)
  if found then
    self.at = self.at + #found
  end
  return found
end

function Reader:escape()
  local letter = self.text:sub(self.at + 1, self.at + 1)
  if letter == "" then
    fail()
  end
  self.at = self.at + 2
  local hex = letter == "x" and self:take("%x%x?")
  local set = escape_set(letter, hex)
  if set == false then
    fail()
  end
  return set
end

local POSIX = { digit = DIGIT, word = WORD, space = SPACE }

-- One member of a class: a set, or a byte.
function Reader:member()
  if self:peek("[:") then
    local name = self:take("%[:%a+:%]")
    return POSIX[name and name:sub(3, -3)] or fail()
  elseif self:peek("\\") then
    if self:peek("\\b") then
      self.at = self.at + 2
      return nil, 8
    end
    local set = self:escape() or fail()
    local only
    for byte = 0, 255 do
      if set[byte] then
        if only then
          return set
        end
        only = byte
      end
    end
    return nil, only
  end
  local byte = self.text:byte(self.at) or fail()
  self.at = self.at + 1
  return nil, byte
end

function Reader:class()
  self.at = self.at + 1
  local negated = self:take("%^")
  local set = new_set()
  local first = true
  while first or not self:peek("]") do
    first = false
    local members, byte = self:member()
    if members then
      join(set, members)
    elseif self:peek("-") and not self:peek("-]") then
      self.at = self.at + 1
      local _, last = self:member()
      range(set, byte, last or fail())
    else
      range(set, byte, byte)
    end
  end
  self.at = self.at + 1
  return negated and inverse(set) or set
end

-- Groups that look ahead or back match nothing themselves.
function Reader:group()
  local from = self.at
  self.at = self.at + 1
  local kind = self:take("%?[:>=!]") or self:take("%?<[=!]") or self:take("%?P?<[%w_]+>")
  if not kind and self:peek("?") then
    fail()
  end
  local branches = self:branches()
  if not self:peek(")") then
    fail()
  end
  self.at = self.at + 1
  local plain = not kind or kind == "?:" or kind:find("^%?P?<%w") ~= nil
  if not plain and kind ~= "?>" then
    return { assertion = true }
  end
  return { branches = branches, atomic = kind == "?>", text = self.text:sub(from, self.at - 1) }
end

function Reader:atom()
  if self:peek("(") then
    return self:group()
  elseif self:peek("[") then
    return { set = self:class() }
  elseif self:peek("\\") then
    local set = self:escape()
    return set and { set = set } or { assertion = true }
  end
  local char = self.text:sub(self.at, self.at)
  self.at = self.at + 1
  if char == "." then
    return { set = any() }
  elseif char == "^" or char == "$" then
    return { assertion = true }
  elseif char:find("[*+?]") then
    fail()
  end
  return { set = self:letter(char) }
end

function Reader:letter(char)
  local set = range(new_set(), char:byte(), char:byte())
  if self.insensitive and char:find("%a") then
    local other = bit.bxor(char:byte(), 32)
    range(set, other, other)
  end
  return set
end

local QUANTIFIERS = { ["*"] = { 0, true }, ["+"] = { 1, true }, ["?"] = { 0, false } }

-- Fewest repetitions, whether there are any number of them, whether it gives nothing back.
function Reader:quantifier()
  local sign = self:take("[*+?]")
  local least, unbounded
  if sign then
    least, unbounded = QUANTIFIERS[sign][1], QUANTIFIERS[sign][2]
  else
    local counted = self:take("{%d+,?%d*}")
    if not counted then
      return 1, false, false
    end
    least = tonumber(counted:match("%d+"))
    local most = tonumber(counted:match(",(%d+)"))
    unbounded = counted:find(",}", 1, true) ~= nil or (most or least) > 20
  end
  local possessive = self:take("%+") ~= nil
  if not possessive then
    self:take("%?")
  end
  return least, unbounded, possessive
end

function Reader:sequence()
  local items = {}
  while self.at <= #self.text and not self:peek("|") and not self:peek(")") do
    local from = self.at
    local atom = self:atom()
    local least, unbounded, possessive = self:quantifier()
    atom.least, atom.unbounded = least, unbounded
    atom.atomic = atom.atomic or possessive
    atom.shown = self.text:sub(from, self.at - 1)
    items[#items + 1] = atom
  end
  return items
end

function Reader:branches()
  local list = { self:sequence() }
  while self:peek("|") do
    self.at = self.at + 1
    list[#list + 1] = self:sequence()
  end
  return list
end

-- --- judging -----------------------------------------------------------------

local first_of_branches

-- Bytes that a sequence may begin with from `from` on, and whether it may be empty.
local function first_of(items, from)
  local set = new_set()
  for i = from, #items do
    local item = items[i]
    if not item.assertion then
      local own, empty = item.set, false
      if not own then
        own, empty = first_of_branches(item.branches)
      end
      join(set, own)
      if item.least > 0 and not empty then
        return set, false
      end
    end
  end
  return set, true
end

function first_of_branches(branches)
  local set, empty = new_set(), false
  for _, items in ipairs(branches) do
    local own, own_empty = first_of(items, 1)
    join(set, own)
    empty = empty or own_empty
  end
  return set, empty
end

-- Two alternatives that match a common text: byte by byte until they differ or one is used up.
local function is_one_byte(item)
  return item.set and item.least == 1 and not item.unbounded
end

local function are_alike(a, b)
  for i = 1, math.max(#a, #b) do
    local one, other = a[i], b[i]
    if not one or not other then
      return true
    elseif not is_one_byte(one) or not is_one_byte(other) then
      return overlap((first_of(a, i)), (first_of(b, i)))
    elseif not overlap(one.set, other.set) then
      return false
    end
  end
  return true
end

local function has_alike_branches(branches)
  for i = 1, #branches do
    for j = i + 1, #branches do
      if #branches[i] > 0 and #branches[j] > 0 and are_alike(branches[i], branches[j]) then
        return true
      end
    end
  end
  return false
end

local judge

-- An unbounded item within a repeated group: what may follow it must not look like more of it.
local function divides_freely(item, items, at, loop)
  if not item.unbounded or item.atomic then
    return false
  end
  local own = item.set or first_of_branches(item.branches)
  local following, empty = first_of(items, at + 1)
  if empty then
    following = join(join(new_set(), following), loop)
  end
  return overlap(own, following)
end

local function judge_loop(branches, loop)
  for _, items in ipairs(branches) do
    for at, item in ipairs(items) do
      if not item.assertion and divides_freely(item, items, at, loop) then
        return item.shown
      elseif item.branches and not item.atomic and not item.unbounded then
        local following, empty = first_of(items, at + 1)
        if empty then
          following = join(join(new_set(), following), loop)
        end
        local found = judge_loop(item.branches, following)
        if found then
          return found
        end
      end
    end
  end
end

local function judge_item(item)
  if item.unbounded and not item.atomic then
    local inner = judge_loop(item.branches, (first_of_branches(item.branches)))
    if inner then
      return ("%s is repeated within %s"):format(inner, item.shown)
    elseif has_alike_branches(item.branches) then
      return ("alternatives of %s match the same text, and it is repeated"):format(item.shown)
    end
  end
  return judge(item.branches)
end

function judge(branches)
  for _, items in ipairs(branches) do
    for _, item in ipairs(items) do
      local found = item.branches and judge_item(item)
      if found then
        return found
      end
    end
  end
end

--- Why a pattern may backtrack without bound; nil when it seems sound or cannot be read.
---@param text string
---@param insensitive boolean?
---@return string?
function M.judge(text, insensitive)
  local reader = setmetatable({ text = text, at = 1, insensitive = insensitive }, Reader)
  local ok, branches = pcall(reader.branches, reader)
  if not ok then
    if branches ~= UNREADABLE then
      error(branches, 0)
    end
    return nil
  elseif reader.at <= #text then
    return nil
  end
  return judge(branches)
end

return M
