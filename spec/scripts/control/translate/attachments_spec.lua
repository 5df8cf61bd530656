-- SPDX-License-Identifier: Apache-2.0
--
-- Names of annotations below moongate.dev/: whoever misspells one wanted a guard there.
local control = require("spec.support.control")

local WHERE = {
  Ingress = "Ingress default/web",
  Service = "Service default/svc-a",
  Namespace = "Namespace default",
}

-- The annotations stand on one of the three objects.
local function manifests(kind, annotations)
  local lines = { "x.test/y: none" }
  for key, value in pairs(annotations) do
    lines[#lines + 1] = ("%s: %q"):format(key, value)
  end
  local map = "{" .. table.concat(lines, ", ") .. "}"
  local function on(one)
    return one == kind and map or "{}"
  end
  return ([[
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: v1
kind: Namespace
metadata: {name: default, annotations: %s}
---
apiVersion: v1
kind: Service
metadata: {name: svc-a, annotations: %s}
spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: %s}
spec:
  ingressClassName: nginx
  rules:
  - host: a.test
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: svc-a, port: {number: 80}}}}
]]):format(on("Namespace"), on("Service"), on("Ingress"))
end

local LIST = "moongate.dev/plugins"
local FORMS = "there are moongate.dev/plugins and moongate.dev/config.NAME"

describe("an annotation below moongate.dev/", function()
  -- annotations, the one that is wrong, what is said of it
  local ROWS = {
    { { ["moongate.dev/plugin"] = "apikey" }, "moongate.dev/plugin",
      "unknown annotation; did you mean moongate.dev/plugins?" },
    { { ["moongate.dev/pluginz"] = "apikey" }, "moongate.dev/pluginz",
      "unknown annotation; did you mean moongate.dev/plugins?" },
    { { ["moongate.dev/rate"] = "3" }, "moongate.dev/rate", "unknown annotation; " .. FORMS },
    { { ["moongate.dev/config."] = "{}" }, "moongate.dev/config.",
      "unknown annotation; " .. FORMS },
    { { ["moongate.dev/config.x"] = "{}" }, "moongate.dev/config.x",
      LIST .. " does not name the plugin x; name it there, or remove this" },
    { { [LIST] = "", ["moongate.dev/config.x"] = "{}" }, "moongate.dev/config.x",
      LIST .. " does not name the plugin x; name it there, or remove this" },
    { { [LIST] = "api-key", ["moongate.dev/config.apikey"] = "{}" },
      "moongate.dev/config.apikey", LIST .. " does not name the plugin apikey; "
        .. "did you mean moongate.dev/config.api-key?" },
    { { [LIST] = "limit", ["moongate.dev/config-limit"] = "{}" }, "moongate.dev/config-limit",
      "unknown annotation; did you mean moongate.dev/config.limit?" },
  }
  for kind, title in pairs(WHERE) do
    for i, row in ipairs(ROWS) do
      it(("closes the paths when it is wrong on a %s (%d)"):format(kind, i), function()
        local model = control.build(manifests(kind, row[1]))
        local fault = model.faults[#model.faults]
        assert.same({ title, "error", row[3] .. "; its paths answer 503" },
          { fault.object, fault.severity, fault.message })
        assert.truthy(fault.field:find(row[2], 1, true))
        assert.equal(row[2] .. ": " .. fault.message, model.hosts["a.test"].routes[1].fault)
      end)
    end
  end

  it("that names no plugin is none, with a warning", function()
    local model = control.build(manifests("Ingress", { [LIST] = " , " }))
    assert.is_nil(model.hosts["a.test"].routes[1].fault)
    assert.same({ "warning", "names no plugin; name one, or remove it" },
      { model.faults[1].severity, model.faults[1].message })
  end)

  it("is judged with all others where those have that prefix too", function()
    local text = manifests("Ingress", { ["moongate.dev/enable-cors"] = "true" })
    local options = { flags = { ["annotations-prefix"] = "moongate.dev" } }
    local model = control.build(text, options)
    assert.same({}, model.faults)
    assert.is_nil(model.hosts["a.test"].routes[1].fault)
    assert.truthy(control.plugin(model.hosts["a.test"].routes[1], "cors"))
  end)
end)
