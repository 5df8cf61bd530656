-- SPDX-License-Identifier: Apache-2.0
--
-- Flags of the ingress-nginx controller that say where to listen, and how to stop.
local arguments = require("moongate.command.arguments")
local flags = require("moongate.command.flags")

local function apply(values)
  values.settings = values.settings or {}
  local err = flags.apply(values)
  return values, err
end

describe("flags of ingress-nginx", function()
  it("say where the admin listener is", function()
    assert.equal(":10255", apply({ ["healthz-port"] = "10255" }).admin)
    assert.is_true(apply({ ["healthz-port"] = "10255" }).probes_only)
    assert.is_nil(apply({ admin = ":1", ["healthz-port"] = "10255" }).probes_only)
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

  local function parse(...)
    local parsed, err = arguments.parse({ ... }, flags.options, flags.ALIASES)
    return parsed and parsed.values, err
  end

  it("are as Go reads them", function()
    local values = parse("--watch-ingress-without-class=True", "--enable-metrics=f", "-v=2",
      "--deep-inspect", "--logtostderr", "--dynamic-configuration-retries", "15")
    assert.same({ true, false, "2", true, true, "15" }, { values["watch-ingress-without-class"],
      values["enable-metrics"], values.v, values["deep-inspect"], values.logtostderr,
      values["dynamic-configuration-retries"] })
    assert.equal("2", parse("-v", "2").v)
  end)

  it("are refused with a value that none is", function()
    assert.equal("--enable-metrics must be true or false, not maybe",
      select(2, parse("--enable-metrics=maybe")))
  end)

  it("say how long to pause before draining", function()
    local values, err = apply({ ["shutdown-grace-period"] = "5" })
    assert.is_nil(err)
    assert.equal("5", values.settings["shutdown-grace-period"])
    assert.truthy(select(2, apply({ ["shutdown-grace-period"] = "soon" }))
      :find("^%-%-shutdown%-grace%-period: "))
  end)
end)
