-- SPDX-License-Identifier: Apache-2.0
--
-- What `moongate migrate --out` writes: the class, the ConfigMap without what has no meaning here,
-- and the arguments, as a patch of the Deployment in deploy/base.
local json = require("moongate.api.json")
local model = require("moongate.control.model")

local M = {}

local KEPT = { same = true, changes = true }

-- JSON's form of a text is one of YAML's.
local function quote(text)
  return json.encode(tostring(text))
end

local function comment(text)
  return "# " .. text:gsub("[%c]+", " ")
end

-- --- the class -------------------------------------------------------------------

local function class_text(name, controller, is_default)
  local annotations = is_default
    and "\n  annotations:\n    ingressclass.kubernetes.io/is-default-class: \"true\"" or ""
  return ([[
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: %s%s
spec:
  controller: %s
]]):format(quote(name), annotations, quote(controller))
end

-- The classes of the controller, or the one that its arguments name.
local function classes(store, flags)
  local controller = flags["controller-class"] or "k8s.io/ingress-nginx"
  local texts = {}
  for _, name in ipairs(model.keys(store.objects.IngressClass)) do
    local object = store.objects.IngressClass[name]
    if (object.value.spec or {}).controller == controller then
      local annotations = object.value.metadata.annotations or {}
      local is_default = annotations["ingressclass.kubernetes.io/is-default-class"] == "true"
      texts[#texts + 1] = class_text(name, controller, is_default)
    end
  end
  texts[1] = texts[1] or class_text(flags["ingress-class"] or "nginx", controller, false)
  return table.concat(texts, "---\n")
end

-- --- the settings ----------------------------------------------------------------

local function settings_text(object, group)
  local lines = {
    "apiVersion: v1",
    "kind: ConfigMap",
    "metadata:",
    "  name: " .. quote(object.name),
    "  namespace: " .. quote(object.namespace),
    "data:",
  }
  for _, entry in ipairs(group.entries) do
    local text = entry.name and object.data[entry.name]
    if text and KEPT[entry.verdict] then
      lines[#lines + 1] = ("  %s: %s"):format(quote(entry.name), quote(text))
    elseif text then
      lines[#lines + 1] =
        "  " .. comment(("%s is left out: %s"):format(entry.name, entry.message or "no effect"))
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

-- --- the arguments ---------------------------------------------------------------

local FIXED = { "run", "--manifests=/etc/moongate/manifests", "--scripts=/etc/moongate/scripts" }

local function argument_texts(arguments)
  local texts, has_probes = { unpack(FIXED) }, false
  for _, argument in ipairs(arguments) do
    if argument.verdict == "same" then
      texts[#texts + 1] = ("--%s=%s"):format(argument.name, tostring(argument.value))
      has_probes = has_probes or argument.name == "healthz-port"
    end
  end
  if not has_probes then
    texts[#texts + 1] = "--healthz-port=9090"
  end
  texts[#texts + 1] = "--log=json"
  return texts
end

local function arguments_text(arguments)
  local lines = {
    comment("A patch of deploy/base/deployment.yaml. Ports of probes follow --healthz-port."),
    "apiVersion: apps/v1",
    "kind: Deployment",
    "metadata:",
    "  name: moongate",
    "spec:",
    "  template:",
    "    spec:",
    "      containers:",
    "      - name: moongate",
    "        args:",
  }
  for _, text in ipairs(argument_texts(arguments)) do
    lines[#lines + 1] = "        - " .. quote(text)
  end
  return table.concat(lines, "\n") .. "\n"
end

--- The files, by name.
---@param report moongate.Migration
---@param judged moongate.Judged
---@param options { flags: table, arguments: moongate.MigratedArgument[],
---  settings: moongate.Object? }
---@return table<string, string>
function M.files(report, judged, options)
  local files = {
    ["ingressclass.yaml"] = classes(judged.store, options.flags),
    ["arguments.yaml"] = arguments_text(options.arguments),
  }
  if options.settings then
    local group = report.by_title[options.settings.title]
    files["configmap.yaml"] = settings_text(options.settings, group)
  end
  return files
end

return M
