-- SPDX-License-Identifier: Apache-2.0
--
-- README and docs say what is true: their examples run, and what they name is there. The word after
-- a block's language tells what becomes of it:
--
--   lua script [NAME]   `moongate check` has nothing to say against it
--   lua spec NAME       passes under `moongate test`, beside the page's scripts that have names
--   lua gateway         the README's first script, in front of a service
--   sh run              ends with exit code 0
local command = require("spec.support.command")
local settings = require("moongate.settings")
local annotations = require("moongate.control.translate.annotations")

local BINARY = os.getenv("MG_BINARY") or "build/moongate"

-- The sanitizer that is preloaded here is none of theirs.
local function shell(text)
  local pipe = assert(io.popen(("export LD_PRELOAD=; { %s\n} 2>&1; echo \"exit $?\""):format(text)))
  local all = pipe:read("*a")
  pipe:close()
  local output, code = all:match("^(.-)exit (%d+)\n$")
  return output, tonumber(code)
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function lines_of(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do
    list[#list + 1] = line
  end
  return list
end

local PAGES = lines_of((shell(
  "find . -name '*.md' -not -path './build/*' -not -path './.*/*' | sed 's,^./,,' | sort")))
local MANUAL = {}
for _, page in ipairs(PAGES) do
  if page == "README.md" or page:find("^docs/") then
    MANUAL[#MANUAL + 1] = page
  end
end

local function blocks_of(page)
  local list, block = {}, nil
  local number = 0
  for line in (read(page) .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    local info = line:match("^```(.*)$")
    if info and block then
      list[#list + 1] = block
      block = nil
    elseif info then
      local language, role, name = info:match("^(%S*) ?(%S*) ?(.*)$")
      block = { language = language, role = role, name = name, line = number, text = "" }
    elseif block then
      block.text = block.text .. line .. "\n"
    end
  end
  return list
end

local function each_block(role, fn)
  for _, page in ipairs(PAGES) do
    for _, block in ipairs(blocks_of(page)) do
      if block.role == role then
        fn(page, block)
      end
    end
  end
end

-- A folder that holds the scripts of a page by their names.
local function folder_of(page)
  local files = {}
  for _, block in ipairs(blocks_of(page)) do
    if block.name ~= "" then
      files[block.name:match("[^/]+$")] = block.text
    end
  end
  return command.folder(files)
end

describe("the examples of the documents", function()
  local folder

  after_each(function()
    if folder then
      folder:remove()
      folder = nil
    end
  end)

  each_block("script", function(page, block)
    it(("has a script that is right at %s:%d"):format(page, block.line), function()
      local name = block.name:match("[^/]+$") or "example.lua"
      folder = command.folder({ [name] = block.text })
      local output, code = command.run("check", folder.path)
      assert.equal(0, code, output)
    end)
  end)

  each_block("spec", function(page, block)
    it(("has a spec that passes at %s:%d"):format(page, block.line), function()
      folder = folder_of(page)
      local name = block.name:match("[^/]+$")
      local file = assert(io.open(folder.path .. "/" .. name, "w"))
      file:write((block.text:gsub("tutorial/", folder.path .. "/")))
      file:close()
      local output, code = command.run("test", folder.path .. "/" .. name)
      assert.equal(0, code, output)
      assert.truthy(output:find("2 successes", 1, true), output)
    end)
  end)

  each_block("run", function(page, block)
    it(("has commands that run at %s:%d"):format(page, block.line), function()
      local output, code = shell("set -e\n" .. block.text:gsub("build/moongate", BINARY))
      assert.equal(0, code, output)
    end)
  end)

  it("begin with a script that asks for a key", function()
    local text
    each_block("gateway", function(_, block)
      text = block.text:gsub("http://127%.0%.0%.1:9000", "${app}")
    end)
    folder = command.folder({ ["first_spec.lua"] = ([==[
      local t = require("moongate.test")
      it("asks for a key", function()
        local gateway = t.gateway({ scripts = [[%s]], upstreams = { app = true } }):start()
        local function get(headers)
          return gateway:client():request({ path = "/v1/", host = "api.test", headers = headers })
        end
        assert.are.equal("a key, please\n", get().body)
        assert.are.equal(200, get({ ["x-api-key"] = "k" }).status)
        gateway:stop()
      end)
    ]==]):format(text) })
    local output, code = command.run("test", folder.path .. "/first_spec.lua")
    assert.equal(0, code, output)
  end)

  it("of examples/ run", function()
    local output, code = shell(("MG_BINARY=%s examples/run --check"):format(BINARY))
    assert.equal(0, code, output)
    local _, asked = output:gsub("ok      curl", "")
    assert.is_true(asked >= 9, output)
  end)
end)

-- --- names -----------------------------------------------------------------------

local function known_options()
  local options = {}
  for _, name in ipairs({ "run", "proxy", "check", "explain", "migrate" }) do
    for option in command.run("help", name):gmatch("\n  %-%-([%w_-]+)") do
      options[option] = true
    end
  end
  return options
end

-- Words with a hyphen that are neither settings nor annotations.
local OTHER = {}
for word in ([[
  api-key auth-file auth-map first-visit grpc-status grpc-timeout
  ingress-nginx ingress-nginx-controller libpcre2-dev
  moongate-vendor mg-test install-packages x-api-key x-canary x-consumer x-tenant x-tenant-id
  x-visits lua-nginx-module
]]):gmatch("%S+") do
  OTHER[word] = true
end

-- A setting, or a key of ingress-nginx's that is known to have no effect.
local function is_setting(word)
  local _, _, code = settings.parse(word, "")
  return settings.get(word) ~= nil or code == "ignored"
end

local function is_known(word, options)
  return is_setting(word) or annotations.known[word] ~= nil or options[word]
    or OTHER[word] or io.open("plugins/" .. word .. "/init.lua") ~= nil
end

describe("the documents name only what is there:", function()
  local options = known_options()

  for _, page in ipairs(MANUAL) do
    it("options and settings in " .. page, function()
      local unknown = {}
      local prose = read(page):gsub("\n```.-\n```", "\n")
      for span in prose:gmatch("`([^`\n]+)`") do
        local option = span:match("^%-%-([%w-]+)")
        local word = span:match("^%l+%-[%l%d-]*%l[%l%d]*$") or span:match("^(%l+%-[%l%d-]+): ")
        if option and not options[option] then
          unknown[#unknown + 1] = "--" .. option
        elseif word and not is_known(word, options) then
          unknown[#unknown + 1] = word
        end
      end
      assert.same({}, unknown)
    end)
  end

  for _, page in ipairs(PAGES) do
    it("files in " .. page, function()
      local missing = {}
      local folder = page:match("^(.*/)[^/]*$") or ""
      for target in read(page):gmatch("%]%(([^)#:]+)%)") do
        if select(2, shell("test -e " .. folder .. target)) ~= 0 then
          missing[#missing + 1] = target
        end
      end
      assert.same({}, missing)
    end)
  end
end)

describe("the reference pages", function()
  it("are made, and hold every setting, annotation and command", function()
    local folder = command.folder({})
    local output, code =
      shell(("build/vendor/bin/luajit docs/generate.lua %s %s"):format(folder.path, BINARY))
    local pages = {}
    for _, name in ipairs({ "settings", "annotations", "commands", "api", "metrics" }) do
      pages[name] = code == 0 and read(folder.path .. "/" .. name .. ".md") or ""
    end
    folder:remove()
    assert.equal(0, code, output)
    for _, setting in ipairs(settings.list) do
      assert.truthy(pages.settings:find("`" .. setting.name .. "`", 1, true), setting.name)
    end
    for _, name in ipairs(annotations.names) do
      assert.truthy(pages.annotations:find("| `" .. name .. "`", 1, true), name)
    end
    assert.truthy(pages.commands:find("## explain", 1, true))
    for _, entry in ipairs({ "mg.plugin(definition)", "Ctx:respond(status, body, headers)",
      "Request:header(name)", "mg.json.decode(source, any_bytes)" }) do
      assert.truthy(pages.api:find("### `" .. entry .. "`", 1, true), entry)
    end
    assert.truthy(pages.metrics:find("`moongate_requests_in_flight`", 1, true))
  end)
end)
