-- SPDX-License-Identifier: Apache-2.0
--
-- Every annotation with values that were written to break something: nothing but that object may
-- change, what is wrong is said of it, and nothing that could end a line reaches a plugin.
require("spec.support.control")

local build = require("moongate.control")
local annotations = require("moongate.control.translate.annotations")
local encode = require("moongate.snapshot.encode").encode
local judge = require("moongate.control.judge")

local PREFIX = "nginx.ingress.kubernetes.io/"

local VALUES = {
  ["a line break"] = "a\nb",
  ["a carriage return"] = "a\rX-Evil: 1",
  ["a header behind it"] = "a\r\nX-Evil: 1\r\n\r\n",
  ["NUL"] = "a\0b",
  ["a directive"] = "a; } location / { return 200; }",
  ["quotes"] = [["'`]],
  ["a variable that is none"] = "$lua_code",
  ["an open variable"] = "${",
  ["a lone dollar"] = "$",
  ["a brace"] = "}",
  ["a comment"] = "# {",
  ["bytes that are no UTF-8"] = "\255\254\192\128",
  ["an overlong list"] = ("a,"):rep(20000),
  ["a megabyte"] = ("x"):rep(1048576),
  ["a pattern that explodes"] = "(a+)+$",
  ["a pattern that is none"] = "(((",
  ["many groups"] = ("("):rep(500) .. (")"):rep(500),
  ["a huge number"] = "99999999999999999999",
  ["a negative number"] = "-1",
  ["infinity"] = "inf",
  ["hexadecimal"] = "0x10",
  ["nothing"] = "",
  ["blanks"] = "   ",
  ["a path that climbs"] = "../../etc/passwd",
  ["another namespace"] = "kube-system/secret",
  ["a URL of the machine"] = "http://127.0.0.1:9090/metrics",
  ["a URL with a user"] = "http://u:p@host/",
  ["a Lua chunk"] = "]] os.exit() --[[",
  ["YAML"] = "{a: &x [*x]}",
  ["a template"] = "{{ .Values.x }}",
}

-- What the detail of another annotation needs to mean anything.
local WITH = {
  ["auth-url"] = "http://auth.test/",
  ["auth-tls-secret"] = "default/ca",
  ["enable-cors"] = "true",
  ["canary"] = "true",
  ["affinity"] = "cookie",
  ["mirror-target"] = "http://copy.test/",
  ["limit-rps"] = "1",
  ["limit-rate"] = "1",
  ["custom-http-errors"] = "404",
}

local function object(kind, name, rest, notes)
  local value = { apiVersion = kind == "Ingress" and "networking.k8s.io/v1" or "v1", kind = kind,
    metadata = { name = name, namespace = "default", annotations = notes } }
  for key, part in pairs(rest) do
    value[key] = part
  end
  return { value = value, file = "in.yaml", line = 1 }
end

local function ingress(name, host, notes)
  local backend = { service = { name = "svc", port = { number = 80 } } }
  local path = { path = "/", pathType = "Prefix", backend = backend }
  local rule = { host = host, http = { paths = { path } } }
  return object("Ingress", name, { spec = { ingressClassName = "nginx", rules = { rule } } }, notes)
end

local function objects(notes)
  local class = object("IngressClass", "nginx", { spec = { controller = "k8s.io/ingress-nginx" } })
  class.value.apiVersion, class.value.metadata.namespace = "networking.k8s.io/v1", nil
  return {
    class,
    object("Service", "svc", { spec = { clusterIP = "10.0.0.9", ports = { { port = 80 } } } }),
    ingress("good", "good.test", {}),
    ingress("bad", "bad.test", notes),
  }
end

local function model_of(notes)
  local model = build.build(objects(notes), {})
  judge.new({}):model(model)
  return model
end

-- A text in there that a head must not hold, or nil.
local function evil(value)
  if type(value) == "string" then
    return value:find("[\r\n%z]") and value or nil
  elseif type(value) == "table" then
    for key, inner in pairs(value) do
      local found = evil(key) or evil(inner)
      if found then
        return found
      end
    end
  end
end

describe("annotations with hostile values", function()
  local neighbour = encode(model_of({}).hosts["good.test"])

  for _, name in ipairs(annotations.names) do
    it("leave the rest alone: " .. name, function()
      local entry = annotations.known[name]
      for what, value in pairs(VALUES) do
        local notes = { [PREFIX .. name] = value }
        if entry.detail_of and WITH[entry.detail_of] then
          notes[PREFIX .. entry.detail_of] = WITH[entry.detail_of]
        end
        local model = model_of(notes)
        assert.equal(neighbour, encode(model.hosts["good.test"]), what)
        for _, fault in ipairs(model.faults) do
          assert.equal("Ingress default/bad", fault.object, what .. ": " .. fault.message)
          assert.truthy(fault.message and #fault.message < 600, what)
        end
        if what == "a line break" then
          assert.is_true(#model.faults > 0, what)
        end
        for _, route in ipairs(model.hosts["bad.test"] and model.hosts["bad.test"].routes or {}) do
          assert.is_nil(not route.fault and evil(route.plugins) or nil, what)
        end
      end
    end)
  end
end)

describe("entries of TCP and UDP services with hostile texts", function()
  local FLAGS = {
    TCP = { ["tcp-services-configmap"] = "default/ports" },
    UDP = { ["udp-services-configmap"] = "default/ports" },
  }

  local function ports_of(data, flags)
    local list = objects({})
    list[#list + 1] = object("ConfigMap", "ports", { data = data })
    return build.build(list, { flags = flags })
  end

  -- Values, and parts of one; keys may hold letters, digits, '-', '_' and '.' alone.
  for transport, flags in pairs(FLAGS) do
    it("open nothing, spoil nothing and are told: " .. transport, function()
      local good = ports_of({ ["80"] = "default/svc:80" }, flags).ports[1]
      for what, value in pairs(VALUES) do
        for _, text in ipairs({ value, "default/" .. value .. ":80", value .. "/svc:80",
          "default/svc:" .. value, "default/svc:80:" .. value .. ":x" }) do
          local model = ports_of({ ["80"] = "default/svc:80", ["81"] = text }, flags)
          assert.equal(encode(good), encode(model.ports[1]), what)
          local told = 0
          for _, fault in ipairs(model.faults) do
            told = told + (fault.field == 'data["81"]' and 1 or 0)
            assert.truthy(#fault.message < 700, what)
          end
          assert.is_true(told > 0, what .. ": " .. text:sub(1, 60))
          assert.is_nil(model.ports[2] and evil(model.ports[2].service), what)
        end
      end
    end)
  end

  it("are no more than there may be", function()
    local data = {}
    for number = 1, 1030 do
      data[tostring(number)] = "default/svc:80"
    end
    local model = ports_of(data, FLAGS.TCP)
    assert.equal(1024, #model.ports)
    local told = 0
    for _, fault in ipairs(model.faults) do
      told = told + (fault.message:find("one port too many", 1, true) and 1 or 0)
    end
    assert.equal(6, told)
  end)
end)
