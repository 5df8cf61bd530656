-- SPDX-License-Identifier: Apache-2.0
local control = require("spec.support.control")
local json = require("moongate.api.json")
local report = require("moongate.control.report")

describe("report", function()
  it("writes place, object, field and message on one line", function()
    assert.equal("a.yaml:3:5: Ingress default/web: spec.rules: is required", report.line({
      severity = "error", file = "a.yaml", line = 3, column = 5, object = "Ingress default/web",
      field = "spec.rules", message = "is required",
    }))
  end)

  it("says that a warning is one, and leaves out what is not known", function()
    assert.equal("warning: Ingress default/web: odd",
      report.line({ severity = "warning", object = "Ingress default/web", message = "odd" }))
  end)

  it("keeps a message on its line whatever it quotes", function()
    assert.equal("x y", report.line({ severity = "error", message = "x\n\ry" }))
  end)

  it("sorts by file, then line as a number", function()
    local lines = report.lines({
      { severity = "error", file = "b", line = 1, message = "3" },
      { severity = "error", file = "a", line = 10, message = "2" },
      { severity = "error", file = "a", line = 9, message = "1" },
    })
    assert.same({ "a:9:1: 1", "a:10:1: 2", "b:1:1: 3" }, lines)
  end)

  it("has a list of faults, also when there is none", function()
    local summary = report.summary((control.build(control.services("svc-a"))))
    assert.equal("[]", json.encode(summary.faults))
  end)

  it("sums a model up, a shared list of routes once", function()
    local text = control.services("svc-a")
      .. control.ingress("web", "a.test", { { "/", "Prefix", "svc-a" } },
        { ["server-alias"] = "b.test", ["fastcgi-index"] = "index.php" })
    local model, held = control.build(text .. "kind: Pod\napiVersion: v1\nmetadata: {name: x}\n")
    local summary = report.summary(model, held.ignored)
    assert.equal(3, summary.hosts)
    assert.equal(2, summary.routes)
    assert.equal(0, summary.errors)
    assert.equal(1, summary.warnings)
    assert.same({ ["fastcgi-index"] = 1 }, summary.unsupported_annotations)
    assert.same({ ["v1 Pod"] = 1 }, summary.ignored_objects)
  end)
end)
