-- SPDX-License-Identifier: Apache-2.0
--
-- Calls between a client and a backend of gRPC's own library: first without a gateway, to know that
-- they work, then through one, plain and over TLS on either side.
local certificates = require("spec.support.certificates")
local grpc = require("spec.support.grpc")
local manifests = require("spec.support.manifests")
local t = require("moongate.test")

local CASES = { "unary", "metadata", "trailers_only", "unimplemented", "server_stream",
  "failure_behind_messages", "client_stream", "bidi_stream", "large_messages", "compressed",
  "deadline", "cancelled", "cancelled_stream", "many_calls" }

local ca, pair, plain, secure

local VERIFY = { ["proxy-ssl-verify"] = "on", ["proxy-ssl-secret"] = "default/authority",
  ["proxy-ssl-name"] = "a.test", ["proxy-ssl-server-name"] = "on" }

local function ingress(name, protocol, more)
  local annotations = { ["backend-protocol"] = protocol, ["ssl-redirect"] = "false" }
  for key, value in pairs(more or {}) do
    annotations[key] = value
  end
  local full = {}
  for key, value in pairs(annotations) do
    full["nginx.ingress.kubernetes.io/" .. key] = value
  end
  return manifests.ingress(name, { host = "a.test", service = name, secret = "pair",
    annotations = full })
end

local WAYS = {
  ["no gateway"] = {},
  ["no gateway, over TLS"] = { tls = true, secure = true },
  ["a route to grpc://"] = { to = "grpc" },
  ["a route to grpc://, over TLS"] = { to = "grpc", tls = true },
  ["an Ingress with GRPC"] = { protocol = "GRPC" },
  ["an Ingress with GRPC, over TLS"] = { protocol = "GRPC", tls = true },
  ["an Ingress with GRPCS"] = { protocol = "GRPCS", secure = true },
  ["an Ingress with GRPCS that is verified, over TLS"] = { protocol = "GRPCS", secure = true,
    tls = true, annotations = VERIFY },
}

-- The gateway of a way, or none.
local function gateway_of(way, backend)
  local options = { settings = { ["proxy-body-size"] = "0", ["access-log-path"] = "/dev/null" },
    args = { "--cert", pair.certificate_path, "--key", pair.key_path } }
  if way.to then
    options.scripts = ('require("moongate").route({ to = "%s://127.0.0.1:%d" })\n'):format(way.to,
      backend.port)
  elseif way.protocol then
    options.manifests = { ["all.yaml"] = manifests.join(manifests.CLASS,
      manifests.service("calls", { backend.port }), manifests.secret("pair", pair),
      manifests.authority("authority", ca), ingress("calls", way.protocol, way.annotations)) }
  else
    return nil
  end
  return t.gateway(options):start()
end

setup(function()
  ca = certificates.make("ca", { ca = true })
  pair = certificates.make("pair", { san = "DNS:a.test,IP:127.0.0.1", issuer = ca })
  plain = grpc.serve()
  secure = grpc.serve("--cert", pair.certificate_path, "--key", pair.key_path)
end)

for name, way in pairs(WAYS) do
  describe("gRPC by " .. name, function()
    local gateway, outcome

    setup(function()
      local backend = way.secure and secure or plain
      gateway = gateway_of(way, backend)
      local port = not gateway and backend.port or way.tls and gateway.https_port or gateway.port
      outcome = grpc.call(port, CASES, { ca = way.tls and ca })
    end)

    teardown(function()
      if gateway then
        gateway:stop()
      end
    end)

    for _, case in ipairs(CASES) do
      it("has its calls answered: " .. case, function()
        assert.equal("ok", outcome[case])
      end)
    end
  end)
end
