-- SPDX-License-Identifier: Apache-2.0
--
-- What users of ingress-nginx rely on over time: canary weights, sessions, endpoints and
-- certificates that change while they serve. Annotations are those of nginx.ingress.kubernetes.io/.
local manifests = require("spec.support.manifests")
local program = require("spec.support.program")
local t = require("moongate.test")
local websocket = require("spec.support.websocket")

local annotations = manifests.annotations

local function start(options)
  local gateway = t.gateway({ workers = 1, settings = options.settings })
  for name, answer in pairs(options.upstreams or {}) do
    gateway:upstream(name, answer)
  end
  gateway.options.manifests = options.manifests(gateway)
  return gateway:start()
end

local function curl_https(gateway, host, ...)
  local said = program.curl(gateway, host, "-v", ...)
  return said.errors .. "\n" .. said.output
end

describe("an Ingress over time", function()
  it("keeps a tunnel of main open when the canary gets all of the weight (CANARY-044)", function()
    local function files(gateway, weight)
      return {
        ["a.yaml"] = manifests.join(
          manifests.CLASS,
          manifests.service("main", { gateway:upstream("main").port }),
          manifests.service("next", { gateway:upstream("next").port }),
          manifests.ingress("main", { host = "c.test", service = "main" }),
          manifests.ingress("next", {
            host = "c.test",
            service = "next",
            annotations = annotations({ canary = "true", ["canary-weight"] = tostring(weight) }),
          })
        ),
      }
    end
    local gateway = start({
      upstreams = {
        next = { body = "next" },
        main = websocket.echo("you said"),
      },
      manifests = function(gateway)
        return files(gateway, 0)
      end,
    })
    local client = gateway:client()
    local conn = client:raw()
    conn:write(
      "GET / HTTP/1.1\r\nHost: c.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    )
    assert.equal(101, t.http1.read_response(conn).status)
    gateway:write(files(gateway, 100))
    t.wait_until(function()
      return gateway:client():get("/", { Host = "c.test" }).body == "next"
    end, "the canary's share")
    conn:write("still there\n")
    assert.equal("you said still there", conn:read_until("\n"))
    client:close()
    gateway:stop()
  end)

  it("serves a changed endpoint at once, without an error (DYN-002)", function()
    local function files(gateway, name)
      return {
        ["a.yaml"] = manifests.join(
          manifests.CLASS,
          manifests.service("web", { gateway:upstream(name).port }),
          manifests.ingress("web", { host = "e.test", service = "web" })
        ),
      }
    end
    local gateway = start({
      upstreams = { a = { body = "a" }, b = { body = "b" } },
      manifests = function(gateway)
        return files(gateway, "a")
      end,
    })
    local client = gateway:client()
    for turn = 1, 10 do
      local name = turn % 2 == 0 and "a" or "b"
      gateway:write(files(gateway, name))
      t.wait_until(function()
        local response = client:get("/", { Host = "e.test" })
        assert.equal(200, response.status)
        return response.body == name
      end, "the other endpoint")
    end
    gateway:stop()
  end)

  it("keeps a persistent session on its pod while that lives (AFF-015)", function()
    local function files(gateway, names)
      local ports = {}
      for i, name in ipairs(names) do
        ports[i] = gateway:upstream(name).port
      end
      return {
        ["a.yaml"] = manifests.join(
          manifests.CLASS,
          manifests.service("web", ports),
          manifests.ingress("web", {
            host = "s.test",
            service = "web",
            annotations = annotations({ affinity = "cookie", ["affinity-mode"] = "persistent" }),
          })
        ),
      }
    end
    local upstreams = {}
    for _, name in ipairs({ "p1", "p2", "p3", "p4" }) do
      upstreams[name] = { body = name }
    end
    local gateway = start({
      upstreams = upstreams,
      manifests = function(gateway)
        return files(gateway, { "p1", "p2" })
      end,
    })
    local client = gateway:client()
    local first = client:get("/", { Host = "s.test" })
    local cookie = first:header("set-cookie"):match("^[^;]+")
    local function again()
      return client:get("/", { Host = "s.test", Cookie = cookie })
    end
    gateway:write(files(gateway, { "p1", "p2", "p3", "p4" }))
    t.wait_until(function()
      local seen = {}
      for _ = 1, 8 do
        seen[client:get("/", { Host = "s.test" }).body] = true
      end
      return seen.p3 and seen.p4
    end, "the new pods")
    for _ = 1, 5 do
      assert.equal(first.body, again().body)
    end
    gateway:write(files(gateway, {}))
    t.wait_until(function()
      return again().status == 503
    end, "no pod")
    gateway:write(files(gateway, { "p3", "p4" }))
    t.wait_until(function()
      return again().status == 200
    end, "other pods")
    assert.truthy(again().body:find("^p[34]$"))
    gateway:stop()
  end)
end)

describe("TLS without a certificate", function()
  local function one_host(gateway)
    return {
      ["a.yaml"] = manifests.join(
        manifests.CLASS,
        manifests.service("web", { gateway:upstream("web").port }),
        manifests.ingress("web", { host = "known.test", service = "web" })
      ),
    }
  end

  it("is answered with a self-signed one (TLS-024)", function()
    local gateway = start({ upstreams = { web = true }, manifests = one_host })
    local said = curl_https(gateway, "unknown.test")
    assert.truthy(said:find("HTTP/2 404", 1, true), said)
    assert.truthy(said:find("self-signed certificate", 1, true), said)
    gateway:stop()
  end)

  it("is refused in the handshake with ssl-reject-handshake (TLS-025)", function()
    local gateway = start({
      upstreams = { web = true },
      settings = { ["ssl-reject-handshake"] = "true" },
      manifests = one_host,
    })
    local said = curl_https(gateway, "unknown.test")
    assert.truthy(said:find("unrecognized name", 1, true), said)
    assert.falsy(said:find("HTTP/%d"), said)
    gateway:stop()
  end)
end)

describe("five thousand Ingresses", function()
  it("take up one change while requests go on (DYN-003)", function()
    local texts = {}
    local function file_of(gateway, i)
      local list = {}
      for k = 1, 50 do
        list[k] = manifests.ingress("i" .. i .. "-" .. k, {
          host = ("h%d-%d.test"):format(i, k),
          service = "web",
          paths = { "/a", "/b", "/c", "/d", "/e" },
        })
      end
      return list, gateway
    end
    local gateway = start({
      upstreams = { web = { body = "web" } },
      manifests = function(gateway)
        texts["0.yaml"] = manifests.join(
          manifests.CLASS,
          manifests.service("web", { gateway:upstream("web").port })
        )
        for i = 1, 100 do
          texts[i .. ".yaml"] = manifests.join(unpack((file_of(gateway, i))))
        end
        return texts
      end,
    })
    local client = gateway:client()
    local function status(path)
      return client:get(path, { Host = "h7-7.test" }).status
    end
    assert.equal(404, status("/new"))
    local changed = file_of(gateway, 7)
    changed[7] = manifests.ingress("i7-7", {
      host = "h7-7.test",
      service = "web",
      paths = { "/a", "/new" },
    })
    gateway:write({ ["7.yaml"] = manifests.join(unpack(changed)) })
    t.wait_until(function()
      assert.equal(200, status("/a"))
      return status("/new") == 200 and status("/b") == 404
    end, "the change")
    gateway:stop()
  end)
end)
