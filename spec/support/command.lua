-- SPDX-License-Identifier: Apache-2.0
--
-- Runs the binary on folders of files that a spec writes.
local M = {}

local BINARY = os.getenv("MG_BINARY") or "build/moongate"

local function quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

local Folder = {}
Folder.__index = Folder

--- A folder with these files, name -> text. To be removed.
function M.folder(files)
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkdir " .. quote(path)) == 0)
  for name, text in pairs(files) do
    local file = assert(io.open(path .. "/" .. name, "w"))
    file:write(text)
    file:close()
  end
  return setmetatable({ path = path }, Folder)
end

function Folder:remove()
  os.execute("rm -r " .. quote(self.path))
end

--- Runs one command to its end.
---@return string output  both streams
---@return integer code
function M.run(...)
  local words = {}
  for i, word in ipairs({ ... }) do
    words[i] = quote(word)
  end
  -- The sanitizer that is preloaded here is not the binary's.
  local pipe = assert(io.popen(("LD_PRELOAD= %s %s 2>&1; echo \"exit $?\""):format(
    quote(BINARY), table.concat(words, " "))))
  local text = pipe:read("*a")
  pipe:close()
  local output, code = text:match("^(.-)exit (%d+)\n$")
  return output, tonumber(code)
end

return M
