-- SPDX-License-Identifier: Apache-2.0
--
-- What users of ingress-nginx rely on about connections: tunnels outlive changes of the ConfigMap,
-- connections to a service that judges are used again, HTTP/2 ends at the gateway.
local manifests = require("spec.support.manifests")
local program = require("spec.support.program")
local t = require("moongate.test")
local websocket = require("spec.support.websocket")

local function config_map(allowed)
  return ([[
apiVersion: v1
kind: ConfigMap
metadata: {namespace: ingress-nginx, name: ingress-nginx-controller}
data: {whitelist-source-range: "%s"}
]]):format(allowed)
end

local function start(answer, annotations, more)
  local gateway = t.gateway({ workers = 1 })
  gateway:upstream("web", answer)
  gateway:upstream("auth")
  gateway.options.manifests = {
    ["a.yaml"] = manifests.join(manifests.CLASS,
      manifests.service("web", { gateway:upstream("web").port }),
      manifests.ingress("web", { host = "a.test", service = "web",
        annotations = manifests.annotations(annotations or {}) })),
    ["map.yaml"] = more or config_map("127.0.0.0/8"),
  }
  return gateway:start()
end

describe("connections of an Ingress", function()
  it("outlive a change of the ConfigMap, which holds at once (CFG-006)", function()
    local gateway = start(websocket.echo("you said"))
    local conn = gateway:client():raw()
    conn:write("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    assert.equal(101, t.http1.read_response(conn).status)
    gateway:write({ ["map.yaml"] = config_map("10.0.0.0/8") })
    t.wait_until(function()
      return gateway:client():get("/", { Host = "a.test" }).status == 403
    end, "the changed list")
    conn:write("still there\n")
    assert.equal("you said still there", conn:read_until("\n"))
    gateway:stop()
  end)

  it("are kept to a service that judges, whatever auth-keepalive says (EXT-033)", function()
    for _, kept in ipairs({ "0", "10" }) do
      local gateway = start("web", { ["auth-url"] = "${auth}/", ["auth-keepalive"] = kept,
        ["auth-keepalive-share-vars"] = "true" })
      local client = gateway:client()
      for _ = 1, 5 do
        assert.equal(200, client:get("/", { Host = "a.test" }).status)
      end
      assert.equal(5, #gateway:upstream("auth").requests)
      assert.equal(1, gateway:upstream("auth").connections)
      gateway:stop()
    end
  end)

  it("speak HTTP/2 to clients and HTTP/1.1 to the backend (PROTO-009)", function()
    local gateway = start("web")
    assert.equal("web 2",
      program.curl(gateway, "a.test/x", "--http2", "-w", " %{http_version}\\n").output)
    local request = gateway:upstream("web"):request()
    assert.equal("GET /x HTTP/1.1", request.line)
    assert.truthy(request:header("host"):find("^a%.test"))
    gateway:stop()
  end)
end)
