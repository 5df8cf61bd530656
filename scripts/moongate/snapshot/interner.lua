-- SPDX-License-Identifier: Apache-2.0
--
-- Small integers for names, the same as long as somebody holds the name, free again afterwards.
local M = {}

local Interner = {}
Interner.__index = Interner

---@return moongate.Interner
function M.new()
  return setmetatable({ records = {}, free = {}, next = 0 }, Interner)
end

---@return { id: integer, uses: integer }?
function Interner:get(name)
  return self.records[name]
end

--- One more holder of `name`.
---@return { id: integer, uses: integer } record  the caller may keep fields of its own in it
function Interner:hold(name)
  local record = self.records[name]
  if not record then
    local id = table.remove(self.free)
    if not id then
      id = self.next
      self.next = id + 1
    end
    record = { id = id, uses = 0 }
    self.records[name] = record
  end
  record.uses = record.uses + 1
  return record
end

--- One holder less; with the last one `drop(record)` is called and the id is free.
---@param drop? fun(record: table)
function Interner:release(name, drop)
  local record = self.records[name]
  record.uses = record.uses - 1
  if record.uses == 0 then
    if drop then
      drop(record)
    end
    self.free[#self.free + 1] = record.id
    self.records[name] = nil
  end
end

--- Releasing the name at hand is allowed meanwhile.
---@return fun(): string, table
function Interner:each()
  return pairs(self.records)
end

return M
