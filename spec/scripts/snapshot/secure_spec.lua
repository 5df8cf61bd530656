-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")
local traffic = require("spec.support.traffic")

core.cdef({ "control/snapshot.h" })
local C = traffic.C

describe("what a snapshot has for server names", function()
  local writer, made, freed, loads

  before_each(function()
    made, freed, loads = {}, {}, 0
    writer = traffic.writer({
      client_auth = function(entry)
        loads = loads + 1
        if entry.ca == "bad" then
          return nil, "it is no authority"
        end
        local auth = ffi.new("int[1]", 1) -- as it begins: its counter
        made[entry.ca] = auth
        return ffi.cast("struct mg_client_auth *", auth)
      end,
      client_auth_free = function(auth)
        freed[#freed + 1] = auth
      end,
    })
  end)

  after_each(function()
    writer:close()
  end)

  local function build(model)
    return writer:build(model, 1)
  end

  local function entry(ca, names)
    return { ca = ca, depth = 1, names = names, source = "Secret n/" .. ca }
  end

  local function auth_of(snapshot, name)
    local found = C.snapshot_client_auth(snapshot, name, #name)
    for ca, auth in pairs(made) do
      if found == ffi.cast("struct mg_client_auth *", auth) then
        return ca
      end
    end
    assert.is_true(found == nil)
  end

  it("is what clients are asked for, by name and wildcard, without a default", function()
    local snapshot = build({
      client_auths = { entry("one", { "a.test", "*.b.test" }), entry("two", { "c.test" }) },
    })
    assert.equal("one", auth_of(snapshot, "a.test"))
    assert.equal("one", auth_of(snapshot, "X.b.test."))
    assert.equal("two", auth_of(snapshot, "c.test"))
    assert.is_nil(auth_of(snapshot, "d.test"))
    assert.is_nil(auth_of(snapshot, ""))
    C.mg_snapshot_unref(snapshot)
  end)

  it("is loaded once, and freed when no model has it", function()
    local first = build({ client_auths = { entry("one", { "a.test" }) } })
    local second = build({ client_auths = { entry("one", { "b.test" }) } })
    assert.equal(1, loads)
    assert.equal(0, #freed)
    local third = build({})
    assert.equal(1, #freed)
    for _, snapshot in ipairs({ first, second, third }) do
      C.mg_snapshot_unref(snapshot)
    end
  end)

  it("is a fault where it cannot be loaded, each time", function()
    for _ = 1, 2 do
      local snapshot, faults = build({ client_auths = { entry("bad", { "a.test" }) } })
      assert.equal(1, #faults)
      assert.equal("Secret n/bad", faults[1].object)
      assert.matches("it is no authority", faults[1].message, 1, true)
      C.mg_snapshot_unref(snapshot)
    end
  end)

  it("is the service that a name's bytes go to", function()
    local snapshot = build({
      services = { one = { protocol = "http", endpoints = {} },
        two = { protocol = "http", endpoints = {} } },
      passthroughs = { { names = { "a.test", "*.b.test" }, service = "two" } },
    })
    local function service_of(name)
      return C.snapshot_passthrough(snapshot, name, #name)
    end
    local id = service_of("a.test")
    assert.is_true(id >= 0)
    assert.equal(id, service_of("x.b.test"))
    local part = ffi.cast("const struct mg_service *", C.mg_snapshot_service(snapshot, id))
    assert.equal("two", ffi.string(ffi.cast("const char *", part) + part.name.at, part.name.length))
    assert.is_true(service_of("c.test") < 0)
    C.mg_snapshot_unref(snapshot)
  end)
end)
