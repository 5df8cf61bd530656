-- SPDX-License-Identifier: Apache-2.0
--
-- Manifests and the model that comes of them: spec/translate/<case>/{in.yaml,out.json}. A first
-- line `# flags: --a=b --c` gives flags. MG_GOLDEN=1 writes out.json anew; people review that.
-- What every route has (default settings, the default headers) is left out of out.json.
local control = require("spec.support.control")
local json = require("spec.support.json")

local FOLDER = "spec/translate"

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  if file then
    file:close()
  end
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function cases()
  local pipe = io.popen("LD_PRELOAD= ls " .. FOLDER)
  local names = {}
  for name in pipe:lines() do
    names[#names + 1] = name
  end
  pipe:close()
  return names
end

local function flags_of(text)
  local flags = {}
  local line = text:match("^# flags: ([^\n]+)") or ""
  for name, value in line:gmatch("%-%-([%w-]+)=?(%S*)") do
    flags[name] = value == "" and true or value
  end
  return flags
end

local function without(map, common)
  local rest = {}
  for key, value in pairs(map or {}) do
    if json.encode(value) ~= json.encode(common[key]) then
      rest[key] = value
    end
  end
  return next(rest) and rest or nil
end

local function plugins_without(plugins, common)
  local rest = {}
  for _, plugin in ipairs(plugins or {}) do
    if json.encode(plugin) ~= json.encode(common) then
      rest[#rest + 1] = plugin
    end
  end
  return rest[1] and rest or nil
end

-- Makes the model short and stable; the order of lists is part of what is compared.
local function shorten(model, common)
  model.typed_settings, model.origins = nil, nil
  local seen = {}
  for _, host in pairs(model.hosts) do
    for _, route in ipairs(host.routes) do
      if not seen[route] then
        seen[route] = true
        route.settings = without(route.settings, common.settings)
        route.plugins = plugins_without(route.plugins, common.plugins[1])
      end
    end
  end
  return model
end

describe("translation of", function()
  local common = control.build("").hosts["*"].routes[1]
  for _, name in ipairs(cases()) do
    it(name .. " gives the model that was reviewed", function()
      local folder = FOLDER .. "/" .. name
      local text = assert(read(folder .. "/in.yaml"), folder .. "/in.yaml is missing")
      local model = shorten(control.build(text, { flags = flags_of(text) }), common)
      local got = json.encode(model)
      if os.getenv("MG_GOLDEN") then
        write(folder .. "/out.json", got)
      end
      assert.equal(read(folder .. "/out.json"), got)
    end)
  end
end)
