-- SPDX-License-Identifier: Apache-2.0
--
-- `moongate explain METHOD URL`: why this request goes where it goes.
local arguments = require("moongate.command.arguments")
local dns = require("moongate.api.dns")
local explain = require("moongate.explain")
local explain_text = require("moongate.explain.text")
local flags = require("moongate.command.flags")
local json = require("moongate.api.json")
local report = require("moongate.control.report")
local serve = require("moongate.command.serve")
local sources = require("moongate.command.sources")
local url = require("moongate.api.url")
local worker_settings = require("moongate.api.settings")

local M = {}

M.summary = "tells why a request, or a port of TCP or UDP, goes where it goes"
M.usage = "[--manifests DIR]… [--scripts DIR]… | --admin ADDR   METHOD URL [-H 'Name: value']…"
  .. " | TCP :PORT | UDP :PORT"
M.options = {
  manifests = { kind = "list", hint = "DIR", doc = "Kubernetes objects, YAML or JSON" },
  scripts = { kind = "list", hint = "DIR", doc = "Lua scripts and plugins" },
  admin = { kind = "value", hint = "ADDR", doc = "asks the admin listener of a gateway" },
  header = { kind = "list", hint = "'Name: value'", doc = "a field of the request; also -H" },
  client = { kind = "value", hint = "IP", doc = "the client's address, 127.0.0.1 unless given" },
  output = { kind = "value", hint = "text|json", doc = "form of the answer; also -o" },
  set = { kind = "list", hint = "KEY=VALUE", doc = "a setting; see docs/configuration.md" },
}
for name, option in pairs(flags.options) do
  M.options[name] = option
end

local ALIASES =
  setmetatable({ ["-H"] = "header", ["-o"] = "output" }, { __index = flags.ALIASES })

-- --- of a gateway that runs ----------------------------------------------------

local function query_of(values, method, address)
  local parts = { "method=" .. url.escape(method), "url=" .. url.escape(address) }
  for _, header in ipairs(values.header or {}) do
    parts[#parts + 1] = "header=" .. url.escape(header)
  end
  if values.client then
    parts[#parts + 1] = "client=" .. url.escape(values.client)
  end
  return table.concat(parts, "&")
end

local function connect(address)
  local tcp = require("moongate.api.tcp")
  if address:sub(1, 5) == "unix:" then
    return tcp.connect(address)
  end
  local host, port = address:match("^%[?(.-)%]?:(%d+)$")
  if not host then
    return nil, "write --admin 127.0.0.1:9090 or unix:/path"
  end
  return tcp.connect(host ~= "" and host or "127.0.0.1", tonumber(port))
end

local function read_all(connection)
  local pieces = {}
  local piece, err, code = connection:read()
  while piece do
    pieces[#pieces + 1] = piece
    piece, err, code = connection:read()
  end
  connection:close()
  if code ~= "closed" then
    return nil, err
  end
  return table.concat(pieces)
end

local function ask(values, method, address)
  local connection, err = connect(values.admin)
  if not connection then
    return nil, ("--admin %s: %s"):format(values.admin, err)
  end
  local answer
  connection:write(("GET /explain?%s HTTP/1.0\r\nHost: admin\r\n\r\n"):format(
    query_of(values, method, address)))
  answer, err = read_all(connection)
  if not answer then
    return nil, ("--admin %s: %s"):format(values.admin, err)
  end
  local status, body = answer:match("^HTTP/1%.%d (%d+).-\r\n\r\n(.*)$")
  if status ~= "200" then
    return nil, body or "the answer is no HTTP"
  end
  return json.decode(body)
end

-- --- of folders ---------------------------------------------------------------

local TOLD = { [sources.SCRIPT] = true, [sources.CLASS] = true }

-- Objects tell of their own faults; scripts with one, and a class that is not there, have left
-- nothing that could.
local function tell_of_absent(faults, complain)
  for _, fault in ipairs(faults) do
    if TOLD[fault.object] then
      complain("explain: " .. report.line(fault))
    end
  end
end

local function explain_folders(values, method, address, complain)
  local own, err = serve.read_settings(values.set)
  if not own then
    return nil, err
  end
  local judged = sources.read({
    manifests = values.manifests or {},
    scripts = values.scripts or {},
    settings = own,
    flags = flags.read(values),
  }, dns.resolve)
  tell_of_absent(judged.model.faults, complain)
  worker_settings.apply(judged.model.typed_settings)
  local explained
  explained, err = explain.explain(judged, method, address, values.header, values.client)
  judged:close()
  return explained, err
end

local function check_usage(parsed)
  local values = parsed.values
  if #parsed.rest ~= 2 then
    return "it takes METHOD and URL: moongate explain " .. M.usage
  elseif values.admin and (values.manifests or values.scripts) then
    return "either --admin, or --manifests and --scripts"
  elseif not (values.admin or values.manifests or values.scripts) then
    return "name what to explain: --manifests DIR, --scripts DIR or --admin ADDR"
  elseif values.output and values.output ~= "json" and values.output ~= "text" then
    return ("-o %s: it is text or json"):format(values.output)
  end
end

function M.run(io, ...)
  local parsed, err = arguments.parse({ ... }, M.options, ALIASES)
  err = err or check_usage(parsed)
  if err then
    return 2, err
  end
  local values = parsed.values
  local how = values.admin and ask or explain_folders
  local explained
  explained, err = how(values, parsed.rest[1], parsed.rest[2], io.complain)
  if not explained then
    return 1, err
  end
  io.write(values.output == "json" and json.encode(explained, true) .. "\n"
    or explain_text.of(explained))
  return 0
end

return M
