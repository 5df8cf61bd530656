-- SPDX-License-Identifier: Apache-2.0
--
-- Folders for the length of a test.
local C = require("moongate.api.core")
local lfs = require("lfs")

local M = {}

local Folder = {}
Folder.__index = Folder

--- Writes a file by rename, as an editor does: nobody sees half of it.
---@param name string
---@param text string
function Folder:write(name, text)
  local path = self.path .. "/" .. name
  local file = assert(io.open(path .. "~", "wb"))
  assert(file:write(text))
  assert(file:close())
  assert(os.rename(path .. "~", path))
  self.texts[name] = text
end

---@param name string
function Folder:remove(name)
  os.remove(self.path .. "/" .. name)
  self.texts[name] = nil
end

function Folder:close()
  for name in pairs(self.texts) do
    os.remove(self.path .. "/" .. name)
  end
  lfs.rmdir(self.path)
end

---@param texts table<string, string>?  by file name
---@return moongate.test.Folder
function M.new(texts)
  local base = os.getenv("TMPDIR") or "/tmp"
  local path
  repeat
    local now = C.mg_time_now() * 1e6 % 1e9
    path = ("%s/moongate-test-%09d-%d"):format(base, math.random(999999999), now)
  until lfs.mkdir(path)
  local self = setmetatable({ path = path, texts = {} }, Folder)
  for name, text in pairs(texts or {}) do
    self:write(name, text)
  end
  return self
end

return M
