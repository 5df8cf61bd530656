-- SPDX-License-Identifier: Apache-2.0
local traffic = require("spec.support.traffic")
local ffi = require("ffi")

local C = traffic.C
local layout = require("moongate.snapshot.layout")
local reader = require("moongate.snapshot.reader")
local route = require("moongate.route")

local function prefix(path, fields)
  local made = { id = "route " .. path, path = { type = "prefix", value = path } }
  for key, value in pairs(fields or {}) do
    made[key] = value
  end
  return made
end

local function service(address)
  return { protocol = "http", endpoints = { { address = address, port = 80 } } }
end

describe("snapshot writer", function()
  local writer

  before_each(function()
    writer = traffic.writer()
  end)

  after_each(function()
    writer:close()
  end)

  local function build(model)
    local snapshot, faults = writer:build(model, 1)
    return ffi.gc(snapshot, C.mg_snapshot_unref), faults
  end

  local function host_bytes(snapshot, name)
    return C.mg_snapshot_host(snapshot, name, #name)
  end

  local function match(snapshot, path, fields)
    fields = fields or {}
    fields.path = path
    return route.match(snapshot, traffic.request(fields), 1)
  end

  describe("keeps the part of", function()
    local function hosts()
      return {
        ["a.test"] = { routes = { prefix("/") } },
        ["b.test"] = { routes = { prefix("/") } },
      }
    end

    it("a host that is the same table", function()
      local model = { hosts = hosts() }
      local before = host_bytes(build(model), "a.test")
      model.hosts["b.test"] = { routes = { prefix("/b") } }
      local after = build(model)
      assert.is_true(host_bytes(after, "a.test") == before)
      assert.are.equal("route /b", reader.route_id(match(after, "/b", { host = "b.test" })))
    end)

    it("a host with the same content", function()
      local before = build({ hosts = hosts() })
      local after = build({ hosts = hosts() })
      assert.is_true(host_bytes(after, "a.test") == host_bytes(before, "a.test"))
    end)

    it("a service and a plan that stay", function()
      local function model(path)
        local routes = { prefix(path, { service = "s", settings = { tries = 3 } }) }
        return {
          hosts = { ["a.test"] = { routes = routes } },
          services = { s = service("10.0.0.1") },
        }
      end
      local before, after = build(model("/")), build(model("/x"))
      local found = match(after, "/x")
      local id, plan = found.service, found.plan
      assert.is_true(C.mg_snapshot_service(before, id) == C.mg_snapshot_service(after, id))
      assert.is_true(C.mg_snapshot_plan(before, plan) == C.mg_snapshot_plan(after, plan))
    end)

    it("a host whose service gets other endpoints", function()
      local model = { hosts = hosts(), services = { s = service("10.0.0.1") } }
      model.hosts["a.test"].routes[1].service = "s"
      local before = build(model)
      model.services = { s = service("10.0.0.2") }
      local after = build(model)
      assert.is_true(host_bytes(after, "a.test") == host_bytes(before, "a.test"))
      local id = match(after, "/").service
      assert.are.equal("10.0.0.1", reader.endpoints(reader.service(before, id))[1].address)
      assert.are.equal("10.0.0.2", reader.endpoints(reader.service(after, id))[1].address)
    end)

    it("hosts that share their routes", function()
      local routes = { prefix("/") }
      local snapshot = build({
        hosts = { ["a.test"] = { routes = routes }, ["b.test"] = { routes = routes } },
      })
      assert.is_true(host_bytes(snapshot, "a.test") == host_bytes(snapshot, "b.test"))
    end)
  end)

  it("makes another part for a host that changed", function()
    local before = build({ hosts = { ["a.test"] = { routes = { prefix("/") } } } })
    local after = build({ hosts = { ["a.test"] = { routes = { prefix("/"), prefix("/x") } } } })
    assert.is_true(host_bytes(after, "a.test") ~= host_bytes(before, "a.test"))
    assert.are.equal(2, ffi.cast("struct mg_host *", host_bytes(after, "a.test")).route_count)
  end)

  it("forgets hosts and services that are gone", function()
    build({
      hosts = { ["a.test"] = { routes = { prefix("/") } } },
      services = { s = service("::1") },
    })
    local after = build({ hosts = {} })
    assert.is_true(host_bytes(after, "a.test") == nil)
    assert.is_nil(reader.service(after, 0))
  end)

  it("gives routes with equal plugins and settings one plan", function()
    local settings = { tries = 3 }
    local snapshot = build({
      hosts = {
        ["a.test"] = {
          routes = {
            prefix("/a", { settings = settings, plugins = { { name = "cors" } } }),
            prefix("/b", { settings = { tries = 3 }, plugins = { { name = "cors" } } }),
            prefix("/c", { settings = { tries = 2 } }),
          },
        },
      },
    })
    local a, b, c = match(snapshot, "/a"), match(snapshot, "/b"), match(snapshot, "/c")
    assert.are.equal(a.plan, b.plan)
    assert.are_not.equal(a.plan, c.plan)
  end)

  it("decodes a plan once for each part", function()
    local calls = 0
    local plans = reader.plans(function(text)
      calls = calls + 1
      return { text = text }
    end)
    local function snapshot_of(tries)
      return build({
        hosts = { ["a.test"] = { routes = { prefix("/", { settings = { tries = tries } }) } } },
      })
    end
    local first, second = snapshot_of(1), snapshot_of(2)
    for _ = 1, 3 do
      assert.are.equal('{"settings":{"tries":1}}', plans:get(first, match(first, "/").plan).text)
    end
    assert.are.equal(1, calls)
    assert.are.equal('{"settings":{"tries":2}}', plans:get(second, match(second, "/").plan).text)
  end)

  it("does not mistake a new plan for the one that had its id before", function()
    local plans = reader.plans(function(text)
      return text
    end)
    for tries = 1, 5 do
      local snapshot = build({
        hosts = { ["a.test"] = { routes = { prefix("/", { settings = { tries = tries } }) } } },
      })
      local expected = ('{"settings":{"tries":%d}}'):format(tries)
      assert.are.equal(expected, plans:get(snapshot, match(snapshot, "/").plan))
    end
    assert.is_true(writer.plans.next <= 2, "ids are used again")
  end)

  it("writes down all of a route", function()
    local source = { kind = "Ingress", namespace = "default", name = "web" }
    local snapshot = build({
      hosts = { ["a.test"] = { routes = { prefix("/", { service = "s", source = source }) } } },
      services = { s = service("10.0.0.1") },
    })
    local found = match(snapshot, "/")
    assert.are.equal("route /", reader.route_id(found))
    assert.are.equal(
      '{"kind":"Ingress","name":"web","namespace":"default"}',
      reader.route_source(found)
    )
    assert.is_nil(reader.route_fault(found))
    assert.are.equal(0, found.flags)
    assert.is_not_nil(reader.service(snapshot, found.service))
  end)

  it("writes down all of a service", function()
    local snapshot = build({
      services = {
        s = {
          name = "s",
          protocol = "grpcs",
          endpoints = {
            { address = "10.0.0.1", port = 80, weight = 3, zone = "z" },
            { address = "::1", port = 8080 },
          },
          affinity = { cookie = "C" },
        },
      },
    })
    local found = reader.service(snapshot, 0)
    assert.are.same({
      { address = "10.0.0.1", port = 80, weight = 3, zone = "z" },
      { address = "::1", port = 8080, weight = 1 },
    }, reader.endpoints(found))
    assert.are.equal(
      '{"affinity":{"cookie":"C"},"name":"s","protocol":"grpcs"}',
      reader.service_rest(found)
    )
  end)

  it("gives a route without a service none", function()
    local snapshot = build({ hosts = { ["a.test"] = { routes = { prefix("/") } } } })
    local found = match(snapshot, "/")
    assert.are.equal(-1, found.service)
    assert.is_nil(reader.service(snapshot, found.service))
  end)

  it("gives a route whose service is unknown an id without a part", function()
    local routes = { prefix("/", { service = "missing" }) }
    local snapshot = build({ hosts = { ["a.test"] = { routes = routes } } })
    local found = match(snapshot, "/")
    assert.is_true(found.service >= 0)
    assert.is_nil(reader.service(snapshot, found.service))
  end)

  describe("marks as faulty", function()
    local FAULTS = {
      {
        "a path that does not compile",
        { path = { type = "regex", value = "/foo(" } },
        { path = "/foobar" },
        "path",
      },
      {
        "a header's pattern that does not compile",
        { headers = { { name = "X", type = "regex", value = "(" } } },
        { headers = { x = { "1" } } },
        "headers[1]",
      },
      {
        "a parameter's pattern that does not compile",
        { query = { { name = "q", type = "regex", value = "(" } } },
        { query = "q=1" },
        "query[1]",
      },
      {
        "a kind of match that is not known",
        { headers = { { name = "x", type = "suffix", value = "(" } } },
        { headers = { x = { "1" } } },
        "headers[1]",
      },
      {
        "a kind of path that is not known",
        { path = { type = "glob", value = "/a" } },
        { path = "/a" },
        "path",
      },
      {
        "a prefix that is too deep",
        { path = { type = "prefix", value = ("/a"):rep(64) } },
        { path = ("/a"):rep(64) },
        "path",
      },
      {
        "a path that is too long",
        { path = { type = "exact", value = ("/a"):rep(4097) } },
        { path = ("/a"):rep(4096) },
        "path",
      },
    }
    for _, case in ipairs(FAULTS) do
      it(case[1], function()
        local source = { kind = "Ingress", namespace = "n", name = "web" }
        source.file, source.line = "f.yaml", 3
        local faulty = prefix("/", { id = "faulty", source = source })
        for key, value in pairs(case[2]) do
          faulty[key] = value
        end
        local snapshot, faults = build({ hosts = { ["a.test"] = { routes = { faulty } } } })
        local found = match(snapshot, case[3].path or "/", case[3])
        assert.are.equal(layout.FLAG_FAULT, found.flags)
        assert.are.equal(1, #faults)
        assert.are.equal(case[4], faults[1].field)
        assert.are.equal("Ingress n/web", faults[1].object)
        assert.are.equal("error", faults[1].severity)
        assert.are.equal("f.yaml", faults[1].file)
        assert.are.equal(3, faults[1].line)
        assert.matches(reader.route_fault(found), faults[1].message, 1, true)
      end)
    end

    it("what the model says is", function()
      local routes = { prefix("/", { fault = "no such plugin" }) }
      local snapshot, faults = build({ hosts = { ["a.test"] = { routes = routes } } })
      assert.are.equal("no such plugin", reader.route_fault(match(snapshot, "/")))
      assert.are.same({}, faults)
    end)
  end)

  it("lets a faulty pattern take nothing from sound routes", function()
    local snapshot = build({
      hosts = {
        ["a.test"] = {
          routes = {
            { id = "faulty", path = { type = "regex", value = "/foo(" } },
            prefix("/foo"),
            prefix("/foobar"),
          },
        },
      },
    })
    assert.are.equal("route /foo", reader.route_id(match(snapshot, "/foo/x")))
    assert.are.equal("route /foobar", reader.route_id(match(snapshot, "/foobar")))
    assert.are.equal("faulty", reader.route_id(match(snapshot, "/food")))
  end)

  it("stays as it was when the model is out of form", function()
    local hosts = { ["a.test"] = { routes = { prefix("/a", { service = "s" }) } } }
    local before = host_bytes(build({ hosts = hosts }), "a.test")
    local no_path = { routes = { { id = "no path" } } }
    local broken = { ["a.test"] = hosts["a.test"], ["b.test"] = no_path }
    assert.has_error(function()
      writer:build({ hosts = broken }, 2)
    end)
    assert.is_true(host_bytes(build({ hosts = hosts }), "a.test") == before)
  end)

  it("repeats the faults of a host that it kept", function()
    local model = { hosts = { ["a.test"] = { routes = { prefix("("), prefix("/") } } } }
    model.hosts["a.test"].routes[1].path.type = "regex"
    local _, first = build(model)
    local _, second = build(model)
    assert.are.equal(1, #first)
    assert.are.same(first, second)
  end)

  describe("certificate", function()
    local certificates, freed, loads

    before_each(function()
      certificates, freed, loads = {}, {}, 0
      writer = traffic.writer({
        certificate = function(entry)
          loads = loads + 1
          if entry.certificate == "bad" then
            return nil, "it is no certificate"
          end
          local made = ffi.new("int[1]", 1) -- as a certificate begins: its counter
          certificates[entry.certificate] = made
          return ffi.cast("struct mg_certificate *", made)
        end,
        certificate_free = function(certificate)
          freed[#freed + 1] = certificate
        end,
      })
    end)

    local function name_of(snapshot, server_name)
      local found = C.mg_snapshot_certificate(snapshot, server_name, #server_name)
      for name, certificate in pairs(certificates) do
        if found == ffi.cast("struct mg_certificate *", certificate) then
          return name
        end
      end
    end

    local function entry(name, names)
      return { certificate = name, key = "key", names = names, source = "Secret n/" .. name }
    end

    it("is found by its names, of which the first entry counts", function()
      local snapshot = build({
        certificates = {
          entry("one", { "a.test", "*.b.test" }),
          entry("two", { "a.test", "c.test" }),
        },
        default_certificate = entry("default"),
      })
      assert.are.equal("one", name_of(snapshot, "a.test"))
      assert.are.equal("one", name_of(snapshot, "x.b.test"))
      assert.are.equal("two", name_of(snapshot, "c.test"))
      assert.are.equal("default", name_of(snapshot, "d.test"))
      C.mg_snapshot_unref(ffi.gc(snapshot, nil))
    end)

    it("is loaded once, and freed when the model has it no more", function()
      local first = build({ certificates = { entry("one", { "a.test" }) } })
      local second = build({ certificates = { entry("one", { "a.test" }) } })
      assert.are.equal(1, loads)
      assert.are.equal(0, #freed)
      local third = build({})
      assert.are.equal(1, #freed)
      for _, snapshot in ipairs({ first, second, third }) do
        C.mg_snapshot_unref(ffi.gc(snapshot, nil))
      end
    end)

    it("that cannot be loaded is a fault, each time", function()
      for _ = 1, 2 do
        local _, faults = build({ certificates = { entry("bad", { "a.test" }) } })
        assert.are.equal(1, #faults)
        assert.are.equal("Secret n/bad", faults[1].object)
        assert.matches("it is no certificate", faults[1].message, 1, true)
      end
    end)
  end)
end)
