-- SPDX-License-Identifier: Apache-2.0
--
-- A change is translated with what the last translation left; the model must be the one that a
-- translation from nothing gives, whatever has changed. Objects that are wrong are what they were
-- before: that is known to both.
local control = require("spec.support.control")

local build = require("moongate.control")
local encode = require("moongate.snapshot.encode").encode
local memory = require("moongate.control.translate.memory")
local x509 = require("spec.support.certificates")

local _ = control -- stands in for C

local STEPS, SEEDS = 60, 6

-- --- objects as texts, with what may vary in them ------------------------------------

local function ingress(o)
  local notes = {}
  for key, value in pairs(o.notes) do
    notes[#notes + 1] = ("    %s: %q"):format(key, value)
  end
  notes[#notes + 1] = o.unquoted and "    x/y: 8" or nil
  table.sort(notes)
  return ([[
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: %s
  creationTimestamp: "2026-01-%02dT00:00:00Z"
  annotations:
    x: "1"
%s
spec:
  ingressClassName: nginx
%s  rules:
  - host: %q
    http: {paths: [{path: %s, pathType: %s, backend: {service: {name: %s, port: {number: 80}}}}]}
]]):format(o.name, o.day, table.concat(notes, "\n"),
    o.secret and ("  tls: [{hosts: [%q], secretName: %s}]\n"):format(o.host, o.secret) or "",
    o.host, o.path, o.type, o.service)
end

local FIXED = [[
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
]]

-- An address of 0 is one that no API server takes.
local function service(name, ip)
  local text = ([[
apiVersion: v1
kind: Service
metadata: {name: %s}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s-1, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.0.0.%d]}]
]]):format(name, name, name, ip)
  return ip == 0 and text:gsub("10.96.0.1", "5") or text
end

local function config_map(name, value)
  return ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {X-Custom: %q}\n"):format(
    name, value)
end

local function settings(value)
  return ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ingress-nginx-controller, namespace: "
    .. "ingress-nginx}\ndata: {proxy-read-timeout: %q, "
    .. "global-allowed-response-headers: X-Custom}\n"):format(tostring(value))
end

local function secret(name)
  local made = x509.make(name, { san = "DNS:h1.test" })
  local certificate, key = x509.read(made.certificate_path), x509.read(made.key_path)
  return ("apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData:\n  tls.crt: |\n    %s\n"
    .. "  tls.key: |\n    %s\n"):format(name, certificate:gsub("\n", "\n    "),
    key:gsub("\n", "\n    "))
end

-- --- random changes --------------------------------------------------------------------

local PREFIX = "nginx.ingress.kubernetes.io/"
local NOTES = {
  ["enable-cors"] = { "true", "false", "maybe" },
  ["rewrite-target"] = { "/x" },
  ["use-regex"] = { "true" },
  ["custom-headers"] = { "headers", "nowhere" },
  ["auth-url"] = { "http://s2.default.svc/", "//x", "http://gone.default.svc/" },
  ["custom-http-errors"] = { "404" },
  ["default-backend"] = { "s3", "gone" },
  ["server-alias"] = { "alias.test", "h2.test" },
  ["app-root"] = { "/app" },
  ["from-to-www-redirect"] = { "true" },
  ["canary"] = { "true" },
  ["canary-weight"] = { "20" },
  ["affinity"] = { "cookie" },
  ["auth-type"] = { "basic" },
  ["auth-secret"] = { "gone" },
  ["backend-protocol"] = { "HTTPS", "FCGI" },
  ["auth-tls-secret"] = { "gone", "default/gone" },
  ["ssl-passthrough"] = { "true" },
}
local NAMES = {}
for name in pairs(NOTES) do
  NAMES[#NAMES + 1] = name
end
table.sort(NAMES)

local function pick(list)
  return list[math.random(#list)]
end

local function some_address()
  return math.random(5) > 1 and pick({ 0, math.random(200) }) or nil
end

local function new_ingress(number)
  return {
    name = "i" .. number,
    day = math.random(28),
    notes = {},
    host = pick({ "h1.test", "h2.test", "h3.test", "*.w.test", "a.w.test" }),
    path = pick({ "/", "/a", "/a/", "/b" }),
    type = pick({ "Prefix", "Exact", "ImplementationSpecific" }),
    service = pick({ "s1", "s2", "s3", "gone" }),
    secret = pick({ "tls", "gone", false, false }),
  }
end

local function change_ingress(world)
  local number = math.random(12)
  local kind = math.random(5)
  if kind == 1 then
    world.ingresses[number] = nil
  elseif kind == 5 and world.ingresses[number] then
    world.ingresses[number].unquoted = math.random(3) == 1
  elseif kind == 2 or not world.ingresses[number] then
    world.ingresses[number] = new_ingress(number)
  else
    local name = pick(NAMES)
    local notes = world.ingresses[number].notes
    notes[PREFIX .. name] = not notes[PREFIX .. name] and pick(NOTES[name]) or nil
  end
end

local CHANGES = {
  change_ingress, change_ingress, change_ingress, change_ingress,
  function(world)
    local name = pick({ "s1", "s2", "s3" })
    world.services[name] = some_address()
  end,
  function(world)
    world.header = pick({ "1", "2", false })
  end,
  function(world)
    world.timeout = pick({ 30, 40, "soon" })
  end,
  function(world)
    world.secret = pick({ "right", "empty", "no text", false })
  end,
}

local function files_of(world, tls)
  local files = { { "fixed.yaml", FIXED }, { "settings.yaml", settings(world.timeout) } }
  local function add(name, text)
    files[#files + 1] = { name, text }
  end
  for name, ip in pairs(world.services) do
    add(name .. ".yaml", service(name, ip))
  end
  for number, one in pairs(world.ingresses) do
    add("i" .. number .. ".yaml", ingress(one))
  end
  if world.header then
    add("headers.yaml", config_map("headers", world.header))
  end
  if world.secret then
    add("tls.yaml", world.secret == "right" and tls
      or ("apiVersion: v1\nkind: Secret\nmetadata: {name: tls}\n%s\n"):format(
        world.secret == "empty" and "data: {}" or "stringData: {tls.crt: 5}"))
  end
  table.sort(files, function(a, b)
    return a[1] < b[1]
  end)
  return files
end

local function reader_of(files)
  local i = 0
  return function()
    i = i + 1
    if files[i] then
      return files[i][1], files[i][2]
    end
  end
end

-- One text for a model: hosts, services and the rest, faults in any order.
local function text_of(model)
  local faults = {}
  for i, fault in ipairs(model.faults) do
    faults[i] = encode(fault)
  end
  table.sort(faults)
  return encode({ model.hosts, model.services, model.certificates, model.settings,
    model.passthroughs or false, model.client_auths or false,
    model.suites or false, faults })
end

-- Where two texts begin to differ, for people; nil when they do not.
local function difference(wanted, found)
  if wanted ~= found then
    local at = 1
    while wanted:byte(at) == found:byte(at) do
      at = at + 1
    end
    local from, to = at - 60, at + 100
    return ("wanted …%s\nfound …%s"):format(wanted:sub(from, to), found:sub(from, to))
  end
end

-- Translates what there is now in both ways.
local function pair()
  local kept, known = memory.new(), {}
  local stores, certificates = {}, {}
  return function(files)
    local with, from_nothing
    with, stores.with =
      build.build_files(reader_of(files), { memory = kept }, known, stores.with)
    local nothing = memory.new()
    nothing.pairs = certificates
    from_nothing, stores.without =
      build.build_files(reader_of(files), { memory = nothing }, nil, stores.without)
    return with, difference(text_of(from_nothing), text_of(with))
  end
end

describe("a translation with a memory", function()
  for seed = 1, SEEDS do
    it("gives what one from nothing gives, seed " .. seed, function()
      math.randomseed(seed)
      local tls = secret("tls")
      local world = { ingresses = {}, services = { s1 = 1, s2 = 2 }, timeout = 30, header = "1" }
      local build_both = pair()
      for step = 1, STEPS do
        for _ = 1, math.random(3) do
          pick(CHANGES)(world)
        end
        local _, different = build_both(files_of(world, tls))
        assert.is_nil(different, "step " .. step)
      end
    end)
  end

  -- Ingresses in two files, most of them with nothing that ties hosts together: most changes
  -- concern a few hosts; now and then one does tie, or something else changes.
  describe("of few Ingresses", function()
    local PLAIN = { "enable-cors", "rewrite-target", "auth-url", "custom-http-errors",
      "default-backend", "affinity", "backend-protocol", "auth-secret", "custom-headers",
      "server-alias", "from-to-www-redirect", "app-root", "auth-tls-secret" }
    local TIES = { "canary", "canary", "ssl-passthrough" }
    local HOSTS = 12
    local narrowed = 0

    local function random_ingress(number)
      local one = new_ingress(number)
      one.host = math.random(40) == 1 and pick({ "*.w.test", "a.w.test" })
        or ("n%d.test"):format(math.random(HOSTS))
      for _ = 1, math.random(0, 2) do
        local name = math.random(60) == 1 and pick(TIES) or pick(PLAIN)
        one.notes[PREFIX .. name] = pick(NOTES[name])
      end
      one.other = math.random(4) == 1 and ("n%d.test"):format(math.random(HOSTS)) or nil
      one.class = math.random(15) == 1 and "other" or "nginx"
      one.twice = math.random(60) == 1
      one.unquoted = math.random(10) == 1
      if math.random(60) == 1 then
        one.name = "i" .. math.random(24)
      end
      return one
    end

    -- Some have a second host, some another class, a few are there twice.
    local function text_of_one(one)
      local text = ingress(one):gsub("ingressClassName: nginx", "ingressClassName: " .. one.class)
      if one.other then
        text = text .. ("  - host: %s\n    http: {paths: [{path: /o, pathType: Prefix, backend: "
          .. "{service: {name: s1, port: {number: 80}}}}]}\n"):format(one.other)
      end
      return one.twice and text .. "---\n" .. text or text
    end

    local function files_now(world)
      local files = files_of({ ingresses = {}, services = world.services, timeout = 30,
        header = "1" })
      for half = 0, 1 do
        local texts = {}
        for number = 1, 24 do
          local one = world.ingresses[number]
          texts[#texts + 1] = one and number % 2 == half and text_of_one(one) or nil
        end
        files[#files + 1] = { "z" .. half .. ".yaml", table.concat(texts, "---\n") }
      end
      return files
    end

    local function step(world)
      if math.random(3) == 1 then
        world.services[pick({ "s1", "s2", "s3" })] = some_address()
      end
      local number = math.random(24)
      world.ingresses[number] = math.random(4) > 1 and random_ingress(number) or nil
    end

    -- How many hosts have the very entry that they had.
    local function kept_entries(before, after)
      local count = 0
      for host, entry in pairs(after.hosts) do
        count = count + (before and before.hosts[host] == entry and 1 or 0)
      end
      return count
    end

    for seed = 1, 8 do
      it("gives what one from nothing gives, seed " .. seed, function()
        math.randomseed(seed)
        local world = { ingresses = {}, services = { s1 = 1, s2 = 2 } }
        for number = 1, 24 do
          world.ingresses[number] = random_ingress(number)
        end
        local build_both, before, narrow = pair(), nil, 0
        for i = 1, 80 do
          step(world)
          local with, different = build_both(files_now(world))
          assert.is_nil(different, "step " .. i)
          narrow = narrow + (kept_entries(before, with) > 0 and 1 or 0)
          before = with
        end
        narrowed = narrowed + narrow
      end)
    end

    -- A change of one host that means something for another.
    local function one(name, host, backend, day)
      return { name = name, day = day, notes = {}, host = host, path = "/", type = "Prefix",
        service = backend, class = "nginx" }
    end
    local function canary(name, host, backend, day)
      local made = one(name, host, backend, day)
      made.notes[PREFIX .. "canary"], made.notes[PREFIX .. "canary-weight"] = "true", "20"
      return made
    end
    local function secure(made)
      made.secret = "tls"
      return made
    end
    local function asking(made)
      made.notes[PREFIX .. "auth-url"] = "http://s2.default.svc/"
      return made
    end
    local TIED = {
      ["a Service that goes, and that plugins of two hosts ask"] = {
        { asking(one("i1", "n1.test", "s1", 1)), asking(one("i2", "n2.test", "s1", 2)) },
        { asking(one("i1", "n1.test", "s1", 1)), asking(one("i2", "n2.test", "s1", 2)),
          services = { s1 = 1 } },
        { asking(one("i1", "n1.test", "s1", 1)), asking(one("i2", "n2.test", "s1", 2)) },
      },
      ["a canary whose service is an ordinary one elsewhere"] = {
        { one("i1", "n1.test", "s1", 1), one("i2", "n2.test", "s2", 2) },
        { one("i1", "n1.test", "s1", 1), one("i2", "n2.test", "s2", 2),
          canary("i3", "n1.test", "s2", 3) },
      },
      ["the certificate of a wildcard"] = {
        { one("i2", "a.w.test", "s2", 2), one("i1", "*.w.test", "s1", 1) },
        { one("i2", "a.w.test", "s2", 2), secure(one("i1", "*.w.test", "s1", 1)) },
      },
      ["the first of two of one name, which goes"] = {
        { one("i1", "n1.test", "s1", 1), one("i1", "n2.test", "s2", 2) },
        { one("i1", "n2.test", "s2", 2) },
      },
    }
    for what, worlds in pairs(TIED) do
      it("sees " .. what, function()
        local build_both = pair()
        for _, ingresses in ipairs(worlds) do
          local texts = {}
          for i, made in ipairs(ingresses) do
            texts[i] = text_of_one(made)
          end
          local files = files_of({ ingresses = {}, timeout = 30,
            services = ingresses.services or { s1 = 1, s2 = 2 } })
          files[#files + 1] = { "z.yaml", table.concat(texts, "---\n") }
          local _, different = build_both(files)
          assert.is_nil(different)
        end
      end)
    end

    it("leaves most hosts alone", function()
      assert.is_true(narrowed > 100, narrowed .. " of 640 changes")
    end)
  end)

  it("makes nothing anew where nothing that matters has changed", function()
    local world = { ingresses = {}, services = { s1 = 1, s2 = 2 }, timeout = 30 }
    for number = 1, 4 do
      local one = new_ingress(number)
      one.host, one.service = ("h%d.test"):format(number), number < 3 and "s1" or "s2"
      one.path, one.type, one.secret = "/", "Prefix", false
      world.ingresses[number] = one
    end
    local kept, known = memory.new(), {}
    local before = build.build_files(reader_of(files_of(world)), { memory = kept }, known)
    world.services.s1 = 7
    world.ingresses[4].notes[PREFIX .. "enable-cors"] = "true"
    local after = build.build_files(reader_of(files_of(world)), { memory = kept }, known)
    -- The first host of s1 makes that service anew; the routes to it are as they were.
    for number, is_same in ipairs({ false, true, true, false }) do
      local host = ("h%d.test"):format(number)
      assert.equal(is_same, before.hosts[host].routes == after.hosts[host].routes, host)
    end
    assert.equal(before.services["default-s2-80"], after.services["default-s2-80"])
  end)
end)
