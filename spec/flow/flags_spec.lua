-- SPDX-License-Identifier: Apache-2.0
--
-- Flags of the ingress-nginx controller that say where to listen, and how to stop.
local flags = require("moongate.command.flags")

local function apply(values)
  values.settings = values.settings or {}
  local err = flags.apply(values)
  return values, err
end

describe("flags of ingress-nginx", function()
  it("say where the admin listener is", function()
    assert.equal(":10255", apply({ ["healthz-port"] = "10255" }).admin)
  end)

  it("say nothing where they are not given", function()
    local values = apply({})
    assert.is_nil(values.admin)
    assert.same({}, values.settings)
  end)

  for host, address in pairs({ ["127.0.0.1"] = "127.0.0.1:10254", ["::1"] = "[::1]:10254" }) do
    it(("have the admin listener on %s"):format(host), function()
      assert.equal(address, apply({ ["healthz-host"] = host }).admin)
    end)
  end

  it("yield to what says more", function()
    local values = apply({ ["healthz-port"] = "1",
      admin = "off", ["shutdown-grace-period"] = "5",
      settings = { ["shutdown-grace-period"] = "9s" } })
    assert.equal("off", values.admin)
    assert.equal("9s", values.settings["shutdown-grace-period"])
  end)

  it("say how long to pause before draining", function()
    local values, err = apply({ ["shutdown-grace-period"] = "5" })
    assert.is_nil(err)
    assert.equal("5", values.settings["shutdown-grace-period"])
    assert.truthy(select(2, apply({ ["shutdown-grace-period"] = "soon" }))
      :find("^%-%-shutdown%-grace%-period: "))
  end)
end)
