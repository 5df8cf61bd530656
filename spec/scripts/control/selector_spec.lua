-- SPDX-License-Identifier: Apache-2.0
--
-- Label selectors, as `kubectl -l` and --watch-namespace-selector take them.
local selector = require("moongate.control.model.selector")

local LABELS = { team = "web", tier = "1", ["app.kubernetes.io/part-of"] = "shop", empty = "" }

describe("a label selector", function()
  for text, wanted in pairs({
    [""] = true,
    ["  "] = true,
    ["team"] = true,
    ["nobody"] = false,
    ["!nobody"] = true,
    ["! team"] = false,
    ["team=web"] = true,
    ["team==web"] = true,
    ["team = web"] = true,
    ["team=we"] = false,
    ["team=webs"] = false,
    ["nobody=web"] = false,
    ["team!=web"] = false,
    ["team!=ops"] = true,
    ["nobody!=web"] = true,
    ["empty="] = true,
    ["team="] = false,
    ["team in (ops,web)"] = true,
    ["team in ( ops , web )"] = true,
    ["team in (ops)"] = false,
    ["nobody in (ops)"] = false,
    ["team notin (ops,web)"] = false,
    ["team notin (ops)"] = true,
    ["nobody notin (ops)"] = true,
    ["app.kubernetes.io/part-of=shop"] = true,
    ["team=web,tier in (1,2),!nobody"] = true,
    ["team=web, tier in (2,3)"] = false,
    ["team in (a,b),tier=1"] = false,
  }) do
    it(("%s %q"):format(wanted and "takes" or "leaves out", text), function()
      assert.equal(wanted, assert(selector.read(text))(LABELS))
    end)
  end

  for _, text in ipairs({ ",", "team,", "=web", "team in", "team in web", "team in (a",
    "team like x", "team=a b", "team=(a)", "!", "!=x", "team>1", "te am", "team=web;tier=1" }) do
    it(("says that %q is none"):format(text), function()
      local selects, err = selector.read(text)
      assert.is_nil(selects)
      assert.truthy(err:find("is no requirement on labels; write a=b", 1, true), err)
    end)
  end
end)
