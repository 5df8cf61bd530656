-- SPDX-License-Identifier: Apache-2.0
--
-- `moongate check PATH…`: judges manifests and scripts. Says what is wrong, where, and the way out.
local arguments = require("moongate.command.arguments")
local check = require("moongate.check")
local flags = require("moongate.command.flags")
local json = require("moongate.api.json")
local report = require("moongate.control.report")
local serve = require("moongate.command.serve")
local sources = require("moongate.command.sources")
local worker_settings = require("moongate.api.settings")

local M = {}

M.summary = "judges manifests and scripts"
M.usage = "PATH… [-o text|json]"
M.options = {
  output = { kind = "value", hint = "text|json", doc = "form of the result; also -o" },
  set = { kind = "list", hint = "KEY=VALUE", doc = "a setting; see docs/configuration.md" },
}
for name, option in pairs(flags.options) do
  M.options[name] = option
end

local ALIASES = setmetatable({ ["-o"] = "output" }, { __index = flags.ALIASES })
local FOUND_WANTING = 1

-- Nothing is looked up: whether a name resolves is for the machine that serves.
local function resolve()
  return { "0.0.0.0" }
end

local function count(faults)
  local errors, warnings = 0, 0
  for _, fault in ipairs(faults) do
    if fault.severity == "error" then
      errors = errors + 1
    else
      warnings = warnings + 1
    end
  end
  return errors, warnings
end

local function plural(number, word)
  return ("%d %s%s"):format(number, word, number == 1 and "" or "s")
end

local function as_text(judged, faults)
  local errors, warnings = count(faults)
  local lines = report.lines(faults)
  local summary = report.summary(judged.model)
  local ports = #(judged.model.ports or {})
  lines[#lines + 1] = ("%s, %s in %s: %s of %s%s\n"):format(
    plural(errors, "error"),
    plural(warnings, "warning"),
    plural(judged.files, "file"),
    plural(summary.routes, "route"),
    plural(summary.hosts, "host"),
    ports > 0 and ", " .. plural(ports, "port") .. " of TCP and UDP" or ""
  )
  return table.concat(lines, "\n")
end

local function as_json(judged, faults)
  local errors, warnings = count(faults)
  local summary = report.summary(judged.model)
  return json.encode({
    errors = errors,
    warnings = warnings,
    files = judged.files,
    hosts = summary.hosts,
    routes = summary.routes,
    services = summary.services,
    ports = #(judged.model.ports or {}),
    faults = json.array(report.sorted(faults)),
  }, true) .. "\n"
end

local function read(values, paths)
  local manifests, scripts = sources.sort(paths)
  if not manifests then
    return nil, scripts
  end
  local own, err = serve.read_settings(values.set)
  if not own then
    return nil, err
  end
  local judged = sources.read({
    manifests = manifests,
    scripts = scripts,
    settings = own,
    flags = flags.read(values),
  }, resolve)
  worker_settings.apply(judged.model.typed_settings)
  return judged
end

function M.run(io, ...)
  local parsed, err = arguments.parse({ ... }, M.options, ALIASES)
  if not parsed then
    return 2, err
  end
  local output = parsed.values.output or "text"
  if #parsed.rest == 0 then
    return 2, "name what to judge: moongate check " .. M.usage
  elseif output ~= "text" and output ~= "json" then
    return 2, ("-o %s: it is text or json"):format(output)
  end
  local judged
  judged, err = read(parsed.values, parsed.rest)
  if not judged then
    return 2, err
  end
  local faults = check.faults(judged)
  io.write(output == "json" and as_json(judged, faults) or as_text(judged, faults))
  judged:close()
  return count(faults) > 0 and FOUND_WANTING or 0
end

return M
