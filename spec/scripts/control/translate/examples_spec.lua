-- SPDX-License-Identifier: Apache-2.0
--
-- The reference page's example of each annotation: it is valid, and something follows from it.
require("spec.support.control")

local build = require("moongate.control")
local certificates = require("spec.support.certificates")
local annotations = require("moongate.control.translate.annotations")
local examples = require("moongate.control.translate.annotations.examples")
local encode = require("moongate.snapshot.encode").encode

local PREFIX = "nginx.ingress.kubernetes.io/"

local TRUSTED = { ["backend-protocol"] = "HTTPS", ["proxy-ssl-secret"] = "default/backend-tls" }
local VERIFIED = { ["backend-protocol"] = "HTTPS", ["proxy-ssl-verify"] = "on",
  ["proxy-ssl-secret"] = "default/backend-tls" }

-- What else has to be written for something to follow.
local WITH = {
  ["preserve-trailing-slash"] = { ["force-ssl-redirect"] = "true" },
  ["ssl-redirect"] = { tls = true },
  ["use-port-in-redirects"] = { ["force-ssl-redirect"] = "true" },
  ["relative-redirects"] = { path = "/a/" },
  ["permanent-redirect-code"] = { ["permanent-redirect"] = "https://b.test/" },
  ["temporal-redirect-code"] = { ["temporal-redirect"] = "https://b.test/" },
  ["x-forwarded-prefix"] = { ["rewrite-target"] = "/b" },
  ["canary-by-header"] = { canary = "true" },
  ["canary-by-header-value"] = { canary = "true", ["canary-by-header"] = "X-Canary" },
  ["canary-by-header-pattern"] = { canary = "true", ["canary-by-header"] = "X-Canary" },
  ["canary-by-cookie"] = { canary = "true" },
  ["canary-weight"] = { canary = "true" },
  ["canary-weight-total"] = { canary = "true", ["canary-weight"] = "5" },
  ["affinity-canary-behavior"] = { canary = "true", ["canary-weight"] = "5",
    main = { [PREFIX .. "affinity"] = "cookie" } },
  ["auth-secret"] = { ["auth-type"] = "basic" },
  ["auth-secret-type"] = { ["auth-type"] = "basic", ["auth-secret"] = "users" },
  ["auth-realm"] = { ["auth-type"] = "basic", ["auth-secret"] = "users" },
  ["satisfy"] = { ["allowlist-source-range"] = "203.0.113.0/24", ["auth-type"] = "basic",
    ["auth-secret"] = "users" },
  ["auth-cache-duration"] = { ["auth-cache-key"] = "$remote_user" },
  ["limit-allowlist"] = { ["limit-rps"] = "1" },
  ["limit-rate-after"] = { ["proxy-buffering"] = "on" },
  ["limit-rate"] = { ["proxy-buffering"] = "on" },
  ["proxy-buffering"] = { ["limit-rate"] = "512" },
  ["proxy-redirect-from"] = { ["proxy-redirect-to"] = "/" },
  ["proxy-redirect-to"] = { ["proxy-redirect-from"] = "/a" },
  ["custom-http-errors"] = { ["default-backend"] = "error-pages" },
  ["disable-proxy-intercept-errors"] = { ["default-backend"] = "error-pages" },
  ["upstream-hash-by-subset"] = { ["upstream-hash-by"] = "$request_uri" },
  ["upstream-hash-by-subset-size"] = { ["upstream-hash-by"] = "$request_uri",
    ["upstream-hash-by-subset"] = "true" },
  ["enable-global-auth"] = { settings = { ["global-auth-url"] = "http://auth.test/" } },
  ["ssl-passthrough"] = { path = "/", flags = { ["enable-ssl-passthrough"] = true } },
  ["proxy-ssl-secret"] = { ["backend-protocol"] = "HTTPS" },
  ["proxy-ssl-verify"] = TRUSTED,
  ["proxy-ssl-verify-depth"] = VERIFIED,
  ["proxy-ssl-name"] = VERIFIED,
  ["proxy-ssl-server-name"] = VERIFIED,
  ["proxy-ssl-ciphers"] = { ["backend-protocol"] = "HTTPS" },
  ["proxy-ssl-protocols"] = { ["backend-protocol"] = "HTTPS" },
  ["affinity-mode"] = { affinity = "cookie" },
}

local ISSUER = certificates.make("authority", { cn = "authority", ca = true })
local SERVER = certificates.make("server", { cn = "a.test", san = "DNS:a.test" })

local function object(kind, name, rest, notes)
  local value = { kind = kind,
    apiVersion = kind:find("^Ingress") and "networking.k8s.io/v1" or "v1",
    metadata = { name = name, namespace = kind ~= "IngressClass" and "default" or nil,
      annotations = notes } }
  for key, part in pairs(rest) do
    value[key] = part
  end
  return { value = value, file = "in.yaml", line = 1 }
end

local function secret(name, data)
  return object("Secret", name, { stringData = data })
end

local function service(name)
  return object("Service", name, { spec = { clusterIP = "10.0.0.9", ports = { { port = 80 } } } })
end

local function ingress(name, notes, more)
  local backend = { service = { name = name, port = { number = 80 } } }
  local path = { path = more.path or "/a", pathType = "Prefix", backend = backend }
  return object("Ingress", name, { spec = { ingressClassName = "nginx",
    rules = { { host = "a.test", http = { paths = { path } } } },
    tls = more.tls and { { hosts = { "a.test" }, secretName = "server" } } } }, notes)
end

local function model_of(notes, more)
  local pair = { ["ca.crt"] = ISSUER.certificate, ["tls.crt"] = SERVER.certificate,
    ["tls.key"] = SERVER.key }
  local objects = {
    object("IngressClass", "nginx", { spec = { controller = "k8s.io/ingress-nginx" } }),
    service("main"), service("new"), service("error-pages"),
    secret("users", { auth = "alice:{PLAIN}x" }),
    secret("server", pair), secret("authorities", pair), secret("backend-tls", pair),
    ingress(more.canary and "new" or "main", notes, more),
  }
  if more.canary then
    objects[#objects + 1] = ingress("main", more.main or {}, {})
  end
  return build.build(objects, { settings = more.settings, flags = more.flags })
end

-- The model with what it takes for the annotation to mean something, and with or without it.
local function with(name, value)
  local more, entry = WITH[name] or {}, annotations.known[name]
  local notes = {}
  for other, its in pairs(more) do
    if annotations.known[other] then
      notes[PREFIX .. other] = its
    end
  end
  if entry.detail_of then
    notes[PREFIX .. entry.detail_of] = examples[entry.detail_of]
  end
  if name:find("^session%-cookie%-") then
    notes[PREFIX .. "affinity"] = "cookie"
  end
  notes[PREFIX .. name] = value
  return model_of(notes, more)
end

-- What a snapshot is written from: a warning alone is no effect.
local function effects_of(model)
  local parts = {}
  for _, name in ipairs({ "hosts", "services", "certificates", "default_certificate", "settings",
    "passthroughs", "client_auths", "suites" }) do
    parts[name] = model[name]
  end
  return encode(parts)
end

describe("the example of an annotation", function()
  for _, name in ipairs(annotations.names) do
    local entry = annotations.known[name]
    if not entry.supported and not entry.alias_of then
      it("does something: " .. name, function()
        local model = with(name, assert(examples[name]))
        for _, fault in ipairs(model.faults) do
          assert.not_equal("invalid", fault.code, fault.message)
          assert.not_equal("gate", fault.code, fault.message)
        end
        assert.not_equal(effects_of(with(name, nil)), effects_of(model))
      end)
    end
  end

  it("is one of an annotation that is known", function()
    for name in pairs(examples) do
      assert.is_table(annotations.known[name], name)
    end
  end)
end)
