-- SPDX-License-Identifier: Apache-2.0
--
-- `moongate migrate PATH…`: what becomes of the objects of ingress-nginx. Exit code 0: nothing to
-- do by hand; 1: something.
local C = require("moongate.api.core")
local arguments = require("moongate.command.arguments")
local check = require("moongate.check")
local errors = require("moongate.api.errors")
local files = require("moongate.control.source.files")
local flags = require("moongate.command.flags")
local folder = require("moongate.control.source.folder")
local json = require("moongate.api.json")
local migrate = require("moongate.migrate")
local migrated_arguments = require("moongate.migrate.arguments")
local model = require("moongate.control.model")
local output = require("moongate.migrate.output")
local sources = require("moongate.command.sources")
local text = require("moongate.migrate.text")
local translate = require("moongate.control.translate")
local workload = require("moongate.migrate.workload")

local M = {}

M.summary = "reports what becomes of the objects of ingress-nginx"
M.usage = "PATH… [--json] [--out DIR]"
M.options = {
  json = { kind = "flag", hint = "", doc = "the report as JSON" },
  out = {
    kind = "value",
    hint = "DIR",
    doc = "writes IngressClass, ConfigMap and arguments for this gateway there",
  },
}
for name, option in pairs(flags.options) do
  M.options[name] = option
end

local BY_HAND = 1

-- --- reading ---------------------------------------------------------------------

local function reader_of(list)
  local i = 0
  return function()
    i = i + 1
    local file = list[i]
    if file then
      return file.path, file.text, file.err
    end
  end
end

local function find_workloads(paths)
  local objects = files.read(reader_of((folder.scan(paths, folder.is_manifest))))
  local list = {}
  for i, found in ipairs(workload.find(objects)) do
    local read = migrated_arguments.read(found.arguments, flags)
    list[i] = { workload = found, arguments = read }
  end
  return list
end

-- Those of the first controller, and those that are given here, which win.
local function flags_of(workloads, values)
  local all = workloads[1] and migrated_arguments.flags(workloads[1].arguments) or {}
  for name in pairs(flags.options) do
    if values[name] ~= nil then
      all[name] = values[name]
    end
  end
  return all
end

-- Nothing is looked up: whether a name resolves is for the machine that serves.
local function resolve()
  return { "0.0.0.0" }
end

-- --- writing ---------------------------------------------------------------------

local function as_json(report)
  local groups = {}
  for i, group in ipairs(report.groups) do
    groups[i] = {
      object = group.object,
      file = group.file,
      line = group.line,
      entries = json.array(group.entries),
    }
  end
  return json.encode({
    ingresses = report.served,
    counts = report.counts,
    objects = json.array(groups),
    others = json.array(report.others),
  }, true) .. "\n"
end

local function write_files(path, made)
  local err = C.mg_folder_make(path)
  for _, name in ipairs(model.keys(made)) do
    if err >= 0 then
      local content = made[name]
      err = C.mg_file_write(path .. "/" .. name, content, #content)
    end
  end
  return err < 0 and ("--out %s: %s"):format(path, errors.text(err)) or nil
end

local function ports_of(store, wanted)
  local list = {}
  for _, flag in ipairs({ "tcp-services-configmap", "udp-services-configmap" }) do
    list[#list + 1] = store.objects.ConfigMap[wanted[flag] or ""]
  end
  return list
end

local function report_on(manifests, scripts, values)
  local workloads = find_workloads(manifests)
  local wanted = flags_of(workloads, values)
  local judged =
    sources.read({ manifests = manifests, scripts = scripts, flags = wanted }, resolve)
  local settings = judged.store.objects.ConfigMap[wanted.configmap or translate.CONFIG_MAP]
  local report = migrate.report(judged, check.faults(judged),
    { flags = wanted, workloads = workloads, settings = settings,
      ports = ports_of(judged.store, wanted) })
  local made = values.out and output.files(report, judged, {
    flags = wanted,
    arguments = workloads[1] and workloads[1].arguments or {},
    settings = settings,
  })
  judged:close()
  return report, made
end

function M.run(io, ...)
  local parsed, err = arguments.parse({ ... }, M.options)
  if not parsed then
    return 2, err
  elseif #parsed.rest == 0 then
    return 2, "name the manifests: moongate migrate " .. M.usage
  end
  local manifests, scripts = sources.sort(parsed.rest)
  if not manifests then
    return 2, scripts
  end
  local values = parsed.values
  local report, made = report_on(manifests, scripts, values)
  io.write(values.json and as_json(report) or text.of(report))
  err = made and write_files(values.out, made)
  if err then
    return 2, err
  end
  return report.counts.hand > 0 and BY_HAND or 0
end

return M
