-- SPDX-License-Identifier: Apache-2.0
-- What one translation leaves for the next: Ingresses that were read, and the routes of hosts, each
-- with all that it was made from. Where that is the very same again, so is what came of it, down to
-- the tables; the snapshot's writer then has nothing to do either. Other settings or flags make an
-- empty memory.
local same = require("moongate.same")

local M = {}

---@class moongate.Memory
---@field basis table?  settings, flags and what follows from them for all hosts
---@field ingresses table<moongate.Object, table>
---@field hosts table<string, table>
---@field services table<string, table>
---@field pairs table<string, { secret: moongate.Object, pair: moongate.Pair?, err: string? }>  by
---  Secret; not forgotten with the settings
local Memory = {}
Memory.__index = Memory

---@return moongate.Memory
function M.new()
  return setmetatable({
    ingresses = {},
    hosts = {},
    services = {},
    pairs = {},
    origins = setmetatable({}, { __mode = "k" }), -- of configurations, for the model
  }, Memory)
end

--- Begins a translation of `store`: `basis` is what holds for all objects.
function Memory:begin(store, basis)
  if not same(self.basis, basis) then
    self.ingresses, self.hosts, self.services = {}, {}, {}
    self.basis, self.last = basis, nil
  end
  self.store = store
  self.next = { ingresses = {}, hosts = {}, services = {} }
end

--- Ends it: what was not used is forgotten. `last` is what change.lua wants to know of it.
---@param last table?
function Memory:finish(last)
  for kind, now in pairs(self.next) do
    self[kind] = now
  end
  for key in pairs(self.pairs) do
    if not self.store.objects.Secret[key] then
      self.pairs[key] = nil
    end
  end
  self.next, self.store, self.last = nil, nil, last
end

-- --- what is looked up -----------------------------------------------------------

-- A table of the store whose look-ups are noted.
local function noting(source, kind, reads)
  return setmetatable({}, {
    __index = function(_, key)
      local value = source[key]
      local list = reads.list
      list[#list + 1] = kind
      list[#list + 1] = key
      list[#list + 1] = value or false
      return value
    end,
  })
end

--- Stands for the store's slices where else there is a kind.
M.SLICES = "slices"
local SLICES = M.SLICES
-- The same for objects that are there and wrong.
local BROKEN = "broken"

local function list_of(store, kind)
  return (kind == SLICES or kind == BROKEN) and store[kind] or store.objects[kind]
end

--- A store whose look-ups go to `reads.list`, as (kind, key, value) in turn; `all` are its objects
--- for who wants to go through them.
---@param store moongate.Store
---@param reads { list: table }
function M.watched(store, reads)
  local objects = {}
  for kind, list in pairs(store.objects) do
    objects[kind] = noting(list, kind, reads)
  end
  return { objects = objects, slices = noting(store.slices, SLICES, reads),
    broken = noting(store.broken, BROKEN, reads), all = store.objects }
end

-- Slices of a Service are a new list each time.
local function is_equal(now, before)
  if now == before then
    return true
  elseif type(now) ~= "table" or type(before) ~= "table" or now.kind or #now ~= #before then
    return false
  end
  for i, object in ipairs(now) do
    if object ~= before[i] then
      return false
    end
  end
  return true
end

local function hold(reads, store)
  for i = 1, #reads, 3 do
    local list = list_of(store, reads[i])
    if not is_equal(list[reads[i + 1]] or false, reads[i + 2]) then
      return false
    end
  end
  return true
end

-- --- notes -------------------------------------------------------------------------

--- Runs `make`; returns what it noted: { reads, services, faults, values }.
---@param context table
---@param make fun(...): any, any
function M.note(context, make, ...)
  local notes, before = { reads = {}, services = {}, faults = {} }, context.noted
  local from = #context.faults
  context.noted, context.reads.list = notes, notes.reads
  notes.values = { make(...) }
  for i = from + 1, #context.faults do
    notes.faults[#notes.faults + 1] = context.faults[i]
  end
  context.noted, context.reads.list = before, before and before.reads or {}
  return notes
end

--- What was noted before holds for whatever is worked out now as well. `quiet`: its faults have
--- just been told.
function M.repeat_notes(context, notes, quiet)
  local noted = context.noted
  if noted then
    for _, one in ipairs(notes.reads) do
      noted.reads[#noted.reads + 1] = one
    end
    for name, wrong in pairs(notes.services) do
      noted.services[name] = wrong
    end
  end
  for _, fault in ipairs(quiet and {} or notes.faults) do
    context.faults[#context.faults + 1] = fault
  end
end

--- What is worked out once for several hosts: `holder[key]` remembers it within one translation.
---@return any, any  what `make` returned
function M.once(context, holder, key, make, ...)
  local notes = holder[key]
  local is_new = not notes
  if is_new then
    notes = M.note(context, make, ...)
    holder[key] = notes
  end
  M.repeat_notes(context, notes, is_new)
  return unpack(notes.values, 1, 2)
end

--- Faults that were found from a place in the list on are those of an Ingress, or of a host.
---@param context table  `told` gets them
---@param place moongate.Object|string
---@param from integer
function M.told(context, place, from)
  local faults = context.faults
  if #faults > from then
    local told = context.told[place] or {}
    context.told[place] = told
    for i = from + 1, #faults do
      told[#told + 1] = faults[i]
    end
  end
end

-- --- records -----------------------------------------------------------------------

--- The record of an Ingress that was read before, or nil.
function Memory:ingress(object)
  local record = self.ingresses[object]
  self.next.ingresses[object] = record
  return record
end

function Memory:keep_ingress(object, record)
  self.next.ingresses[object] = record
end

--- Ingresses that are not looked at keep their records, but for those that are gone.
---@param gone moongate.Object[]
function Memory:keep_ingresses(gone)
  self.next.ingresses = self.ingresses
  for _, object in ipairs(gone) do
    self.ingresses[object] = nil
  end
end

--- The record of a host that is not looked at, with the services that it has.
function Memory:keep(name)
  local record = self.hosts[name]
  for service in pairs(record.services) do
    self.next.services[service] = self.next.services[service] or self.services[service]
  end
  self.next.hosts[name] = record
  return record
end

--- The record of a service that would be made again as it was, or nil.
function Memory:service(name)
  local kept = self.next.services[name]
  if kept then
    return kept
  end
  local record = self.services[name]
  if not record or not hold(record.reads, self.store) then
    return nil
  end
  self.next.services[name] = record
  return record
end

function Memory:keep_service(name, record)
  self.next.services[name] = record
end

--- The record of a host that was made from the same `inputs`, with services that are the same
--- still; or nil.
function Memory:host(name, inputs)
  local record = self.hosts[name]
  if not record or not same(record.inputs, inputs) or not hold(record.reads, self.store) then
    return nil
  end
  -- A service that another host has had made again may be wrong now, or right: that is told.
  for name_of_service, wrong in pairs(record.services) do
    local made = self:service(name_of_service)
    if not made or (made.values[2] or false) ~= wrong then
      return nil
    end
  end
  self.next.hosts[name] = record
  return record
end

function Memory:keep_host(name, record)
  self.next.hosts[name] = record
end

return M
