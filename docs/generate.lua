-- SPDX-License-Identifier: Apache-2.0
--
-- Writes the reference pages from what the code declares.
--
-- usage: luajit docs/generate.lua FOLDER BINARY     (`make docs`: build/docs)
package.path = "./?.lua;scripts/?.lua;scripts/?/init.lua;" .. package.path

local folder, binary = arg[1], arg[2]

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local Page = {}
Page.__index = Page

local function page(title, lead)
  return setmetatable({ "# " .. title, "", lead, "" }, Page)
end

function Page:add(...)
  for _, line in ipairs({ ... }) do
    self[#self + 1] = line
  end
end

function Page:row(...)
  local cells = {}
  for i, cell in ipairs({ ... }) do
    cells[i] = tostring(cell):gsub("|", "\\|")
  end
  self:add("| " .. table.concat(cells, " | ") .. " |")
end

function Page:heading(...)
  self:row(...)
  self:add("|" .. (" --- |"):rep(select("#", ...)))
end

function Page:write(name)
  local file = assert(io.open(folder .. "/" .. name, "wb"))
  file:write((table.concat(self, "\n"):gsub("\n+$", "")), "\n")
  file:close()
end

local function code(text)
  return text == "" and "" or "`" .. text .. "`"
end

-- --- settings ------------------------------------------------------------------

local function write_settings()
  local settings = require("moongate.settings")
  local made = page("Settings", [[
For `--set KEY=VALUE`, `mg.settings{}` (with `_` for `-`) and the controller's ConfigMap.
How they are written: [configuration.md](../../docs/configuration.md). A setting marked *without
effect* is known and checked, and nothing need follow from it here.]])
  made:heading("name", "type", "default", "scope", "meaning")
  local seen = {}
  for _, setting in ipairs(settings.list) do
    if not seen[setting.name] then
      seen[setting.name] = true
      setting = settings.get(setting.name)
      made:row(code(setting.name), setting.type, code(setting.default), setting.scope,
        (setting.unsupported and "*without effect* · " or "") .. setting.doc)
    end
  end
  local without, ignored = require("moongate.settings.without_effect"), {}
  for name in pairs(without.ignored) do
    ignored[#ignored + 1] = code(name)
  end
  table.sort(ignored)
  made:add("", "Known from ingress-nginx, without effect and reported as such: "
    .. table.concat(ignored, ", ") .. ".", "")
  made:add("Refused, because text would become configuration:", "")
  local refused = {}
  for name, instead in pairs(without.refused) do
    refused[#refused + 1] = ("- `%s`: use %s"):format(name, instead)
  end
  table.sort(refused)
  made:add(unpack(refused))
  made:write("settings.md")
end

-- --- annotations -----------------------------------------------------------------

local SUPPORTED = {
  none = "accepted, without effect",
  later = "not supported yet",
  refused = "refused",
}

local function support_of(entry, annotations)
  local support = entry.supported
  if entry.alias_of then
    support = annotations.known[entry.alias_of].supported
  end
  if not support then
    return "yes"
  elseif support == "later" then
    return SUPPORTED.later .. (entry.guards and ": its paths answer 503" or "")
  end
  return SUPPORTED[support]
end

local function type_name(kind)
  return type(kind) == "table" and table.concat(kind, ", ") or kind
end

local function default_of(entry)
  if entry.setting then
    return "setting " .. code(entry.setting)
  end
  local default = entry.default
  if type(default) == "table" then
    default = table.concat(default, ", ")
  end
  return default ~= nil and code(tostring(default)) or ""
end

local function meaning(entry)
  if entry.alias_of then
    return "older name of " .. code(entry.alias_of)
  end
  return entry.doc or "use " .. entry.replacement
end

local function write_annotations()
  local annotations = require("moongate.control.translate.annotations")
  local examples = require("moongate.control.translate.annotations.examples")
  local made = page("Annotations", [[
Of Ingresses, with the prefix `nginx.ingress.kubernetes.io/`. What carries over, in words:
[ingress-nginx.md](../../docs/ingress-nginx.md).]])
  local area
  for _, name in ipairs(annotations.names) do
    local entry = annotations.known[name]
    if entry.area ~= area then
      area = entry.area
      made:add("", "## " .. area, "")
      made:heading("name", "type", "default", "risk", "supported", "meaning", "example")
    end
    made:row(code(name), type_name(entry.type), default_of(entry), entry.risk,
      support_of(entry, annotations), meaning(entry), code(examples[name] or ""))
  end
  made:write("annotations.md")
end

-- --- commands --------------------------------------------------------------------

local function write_commands()
  local list = output(binary .. " help")
  local made = page("Commands", "As `moongate help COMMAND` prints them.")
  made:add("```", (list:gsub("\n+$", "")), "```", "")
  for name in list:gmatch("\n  (%w+) ") do
    local text = output(binary .. " help " .. name):gsub("\n+$", "")
    made:add("## " .. name, "", "```", text, "```", "")
  end
  made:write("commands.md")
end

-- --- API -------------------------------------------------------------------------

-- What a script gets hold of, in the order of the page.
local OBJECTS = { "plugin", "ctx", "request", "upstream", "response" }
local HIDDEN = { ["M.new"] = true, ["M.is_plugin"] = true, ["M.install"] = true, ["M.wait"] = true,
  ["M.halt"] = true, ["M.start"] = true, ["M.adopt"] = true, ["M.listen"] = true,
  ["M.collect_begin"] = true, ["M.collect_end"] = true }

local function modules()
  local list = {}
  for name in read("scripts/moongate/init.lua"):gmatch('\n  (%w+) = "moongate%.api%.') do
    if io.open("scripts/moongate/api/" .. name .. ".lua")
      or io.open("scripts/moongate/api/" .. name .. "/init.lua") then
      list[#list + 1] = name
    end
  end
  return list
end

local function source_of(name)
  local path = "scripts/moongate/api/" .. name
  local file = io.open(path .. ".lua")
  if file then
    file:close()
    return read(path .. ".lua")
  end
  return read(path .. "/init.lua")
end

-- The comment that opens a file, without the licence.
local function opening(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do
    local comment = line:match("^%-%- ?(.*)$")
    if not comment then
      break
    elseif not comment:find("^SPDX") then
      lines[#lines + 1] = comment
    end
  end
  return (table.concat(lines, "\n"):gsub("^\n+", ""))
end

local function signature(name, owner, params)
  local object = name:match("^M[.:](.*)$")
  if object then
    return ("mg.%s.%s(%s)"):format(owner, object, params)
  end
  return ("%s(%s)"):format(name, params)
end

-- Calls `each` with the comment and what it stands before.
local function documented(text, each)
  local comment = {}
  for line in text:gmatch("([^\n]*)\n") do
    if line:find("^%-%-%-") then
      comment[#comment + 1] = line:sub(4)
    else
      if #comment > 0 then
        each(comment, line)
      end
      comment = {}
    end
  end
end

local function add_entry(made, comment, title)
  made:add("### `" .. title .. "`", "")
  local facts = {}
  for _, line in ipairs(comment) do
    local kind, rest = line:match("^@(%w+) ?(.*)$")
    if not kind then
      made:add((line:gsub("^ ", "")))
    elseif kind == "param" or kind == "return" or kind == "field" then
      facts[#facts + 1] = ("- %s `%s`"):format(kind, (rest:gsub("`", "'")))
    end
  end
  if #facts > 0 then
    made:add("", unpack(facts))
  end
  made:add("")
end

local SPECIAL = { ["plugin.plugin"] = "mg.plugin", ["plugin.route"] = "mg.route",
  ["plugin.settings"] = "mg.settings" }

local function add_module(made, name, title)
  local text = source_of(name)
  made:add("## " .. title, "", opening(text), "")
  documented(text, function(comment, line)
    local fn, params = line:match("^function ([%w_.:]+)%(([^)]*)%)")
    -- Scripts make what modules have, and get objects that have been made.
    local is_made = fn == "M.new" and title:find("^mg%.") ~= nil
    if fn and (is_made or not HIDDEN[fn]) then
      local special = SPECIAL[name .. "." .. fn:gsub("^M%.", "")]
      add_entry(made, comment, special and ("%s(%s)"):format(special, params)
        or signature(fn, name, params))
    end
  end)
end

local OBJECT_TITLES = { plugin = "what a script file declares", ctx = "ctx",
  request = "ctx.request", upstream = "ctx.upstream", response = "ctx.response" }

local function write_api()
  local made = page("API of scripts", [[
Made from the doc comments of `scripts/moongate/api`. `mg` is `require "moongate"`;
`Request:header(name)` is `ctx.request:header(name)`, and so on. Hooks and stages:
[plugins.md](../../docs/plugins.md).]])
  for _, name in ipairs(OBJECTS) do
    add_module(made, name, OBJECT_TITLES[name])
  end
  for _, name in ipairs(modules()) do
    add_module(made, name, "mg." .. name)
  end
  made:write("api.md")
end

-- --- metrics ---------------------------------------------------------------------

local function variables_of(path)
  local variables = {}
  for name, fn in read(path):gmatch("  X%(([%w_]+), ([%w_]+)%)") do
    if fn ~= "access_nothing" then
      variables[#variables + 1] = code("$" .. name)
    end
  end
  return table.concat(variables, ", ") .. "."
end

local function write_metrics()
  local header = read("runtime/base/stats.h"):gsub("\\\n%s*", "")
  local made = page("Metrics", [[
What the gateway itself counts, at `/metrics` of the admin listener. The page also has the state of
the configuration (`moongate_config_*`), the process (`process_*`) and what scripts count.]])
  made:heading("name", "kind", "labels", "meaning")
  for kind, name, labels, help in
    header:gmatch('X%(STAT_[%u%d_]+, (%u+), "([%w_]+)", "(.-)", *"([^"]*)"%)') do
    made:row(code("moongate_" .. name), kind:lower(), code((labels:gsub("\\", ""))), help)
  end
  made:row("`moongate_limit_exceeded_total`", "counter", "`limit`", "see below")
  for name, help in header:gmatch('X%(HISTOGRAM_%u+, "([%w_]+)", *"([^"]*)"%)') do
    made:row(code("moongate_" .. name), "histogram", "`le`", help)
  end
  made:add("", "Limits:", "")
  for name in header:gmatch('X%(LIMIT_[%u_]+, "([%w-]+)"%)') do
    if name ~= "none" then
      made:add("- " .. code(name))
    end
  end
  made:add("", "Variables of the access log (`log-format-upstream`), beside `$http_NAME`,",
    "`$arg_NAME`, `$cookie_NAME` and `$sent_http_NAME`:", "")
  made:add(variables_of("runtime/exchange/access_variables.c"))
  made:add("", "Those of TCP and UDP services (`log-format-stream`):", "")
  made:add(variables_of("runtime/exchange/access_session.c"))
  made:write("metrics.md")
end

write_settings()
write_annotations()
write_commands()
write_api()
write_metrics()
