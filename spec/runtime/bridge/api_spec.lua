-- SPDX-License-Identifier: Apache-2.0
--
-- bridge/api.h is the one list of what Lua may call: nothing is missing from it, nothing in it is
-- left over. Runs inside the binary.
local ffi = require("ffi")

local core = require("moongate.api.core")
local host = require("moongate.host")

-- Without comments, which name functions too.
local function declarations()
  return (host.text("api.cdef"):gsub("/%*.-%*/", ""))
end

local function declared()
  local list, set = {}, {}
  for name in declarations():gmatch("(mg_[%w_]+)%s*%(") do
    if not set[name] then
      list[#list + 1], set[name] = name, true
    end
  end
  table.sort(list)
  return list, set
end

-- Path -> text of the Lua in the binary.
local function own_files()
  local files = {}
  for _, folder in ipairs({ "scripts/", "plugins/" }) do
    for _, path in ipairs(host.names(folder)) do
      files[path] = host.text(path)
    end
  end
  return files
end

-- What no Lua in the binary calls, in order.
local UNUSED = {
  "mg_part_bytes", -- specs look at what parts hold, which Lua only hands on
  "mg_part_length", -- the same
  "mg_snapshot_certificate", -- C asks it in each handshake; specs ask what C would be told
}

-- Captures of a pattern -> a path where it stands.
local function words(files, pattern)
  local where = {}
  for path, text in pairs(files) do
    for word in text:gmatch(pattern) do
      where[word] = where[word] or path
    end
  end
  return where
end

describe("the list of what Lua may call", function()
  it("is exported by the binary", function()
    local missing = {}
    for _, name in ipairs((declared())) do
      if not pcall(function()
        return ffi.C[name]
      end) then
        missing[#missing + 1] = name
      end
    end
    assert.same({}, missing)
  end)

  it("is declared once", function()
    local seen, twice = {}, {}
    for name in declarations():gmatch("(mg_[%w_]+)%s*%(") do
      twice[#twice + 1] = seen[name] and name
      seen[name] = true
    end
    assert.same({}, twice)
  end)

  it("is used, but for what is named here", function()
    local used, unused = words(own_files(), "[^%w_](mg_[%w_]+)"), {}
    for _, name in ipairs((declared())) do
      if not used[name] then
        unused[#unused + 1] = name
      end
    end
    assert.same(UNUSED, unused)
  end)

  it("holds what is called", function()
    local _, set = declared()
    local unknown = {}
    for name, path in pairs(words(own_files(), "[^%w_]C%.(mg_[%w_]+)")) do
      if not set[name] then
        unknown[#unknown + 1] = name .. " in " .. path
      end
    end
    assert.same({}, unknown)
  end)

  it("knows the constants that are named", function()
    local unknown = {}
    for name, path in pairs(words(own_files(), "[^%w_]C%.(MG_[%w_]+)")) do
      if not pcall(function()
        return core[name]
      end) then
        unknown[#unknown + 1] = name .. " in " .. path
      end
    end
    assert.same({}, unknown)
  end)

  it("knows the errors that are named", function()
    local unknown = {}
    for name, path in pairs(words(own_files(), "[^%w_]errors%.([A-Z][A-Z_]+)")) do
      local code = "ERR_" .. name
      if core.mg_error_code(code) == 0 then
        unknown[#unknown + 1] = code .. " in " .. path
      end
    end
    assert.same({}, unknown)
  end)
end)
