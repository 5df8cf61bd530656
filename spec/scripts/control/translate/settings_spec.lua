-- SPDX-License-Identifier: Apache-2.0
--
-- The keys of ingress-nginx's ConfigMap that real users set: each is honoured, accepted because
-- there is nothing to do, or refused with what to do instead; none is left for later in silence.
local control = require("spec.support.control")
local settings = require("moongate.settings")

local HONOURED, IDLE, REFUSED = {}, {}, {}

local function fill(set, text)
  for name in text:gmatch("%S+") do
    set[name] = true
  end
end

fill(HONOURED, [[
  use-forwarded-headers enable-real-ip proxy-real-ip-cidr forwarded-for-header
  compute-full-forwarded-for use-proxy-protocol proxy-protocol-header-timeout
  proxy-add-original-uri-header
  ssl-redirect force-ssl-redirect http-redirect-code no-tls-redirect-locations
  hsts hsts-max-age hsts-include-subdomains hsts-preload
  ssl-protocols ssl-ciphers ssl-ecdh-curve ssl-session-tickets ssl-session-cache
  ssl-session-timeout ssl-reject-handshake enable-ocsp
  proxy-body-size large-client-header-buffers client-header-timeout client-body-timeout
  enable-underscores-in-headers ignore-invalid-headers
  proxy-connect-timeout proxy-read-timeout proxy-send-timeout proxy-next-upstream
  proxy-next-upstream-tries proxy-next-upstream-timeout retry-non-idempotent proxy-buffering
  proxy-request-buffering proxy-buffer-size proxy-redirect-from proxy-cookie-path
  proxy-cookie-domain service-upstream load-balance
  keep-alive keep-alive-requests upstream-keepalive-connections upstream-keepalive-time
  upstream-keepalive-timeout upstream-keepalive-requests
  use-http2 http2-max-concurrent-streams
  worker-processes max-worker-connections worker-shutdown-timeout bind-address
  use-gzip gzip-level gzip-min-length enable-brotli brotli-level brotli-min-length gzip-types
  brotli-types
  add-headers proxy-set-headers hide-headers server-tokens allow-backend-server-header
  generate-request-id global-allowed-response-headers
  global-auth-url global-auth-method global-auth-signin global-auth-signin-redirect-param
  global-auth-response-headers global-auth-request-redirect global-auth-cache-key
  global-auth-cache-duration global-auth-always-set-cookie no-auth-locations
  whitelist-source-range denylist-source-range block-cidrs block-user-agents block-referers
  limit-req-status-code limit-conn-status-code limit-conn-zone-variable limit-rate
  custom-http-errors disable-proxy-intercept-errors
  log-format-upstream log-format-escape-json log-format-escape-none access-log-path
  disable-access-log skip-access-log-urls enable-access-log-for-default-backend error-log-level
  error-log-path
  enable-opentelemetry otlp-collector-host otlp-collector-port otel-service-name otel-sampler
  otel-sampler-ratio otel-sampler-parent-based opentelemetry-trust-incoming-span
  annotations-risk-level allow-cross-namespace-resources strict-validate-path-type
  annotation-value-word-blocklist
]])

-- About nginx itself, or done in any case.
fill(IDLE, [[
  ssl-session-cache-size ssl-early-data
  client-header-buffer-size client-body-buffer-size proxy-buffers-number
  max-worker-open-files enable-multi-accept reuse-port worker-cpu-affinity
  enable-syslog allow-snippet-annotations
  server-name-hash-max-size map-hash-bucket-size proxy-headers-hash-max-size
  variables-hash-max-size
  enable-aio-write lua-shared-dicts enable-serial-reloads use-geoip use-geoip2
  geoip2-autoreload-in-minutes jaeger-collector-host debug-connections
  nginx-status-ipv4-whitelist nginx-status-ipv6-whitelist
]])

fill(REFUSED, [[
  main-snippet http-snippet server-snippet location-snippet stream-snippet modsecurity-snippet
  global-auth-snippet
]])

-- What becomes of a key: "honoured", "idle", "later", "refused" or "unknown".
local function state_of(name)
  local setting = settings.get(name)
  if setting then
    return setting.unsupported == nil and "honoured"
      or setting.unsupported == "none" and "idle" or setting.unsupported
  end
  local _, _, code = settings.parse(name, "1")
  return code == "ignored" and "idle" or code
end

local function others(set, state)
  local list = {}
  for name in pairs(set) do
    if state_of(name) ~= state then
      list[#list + 1] = name .. " is " .. state_of(name)
    end
  end
  table.sort(list)
  return list
end

describe("keys of ingress-nginx's ConfigMap", function()
  it("are honoured where users set them", function()
    assert.same({}, others(HONOURED, "honoured"))
  end)

  it("are accepted where there is nothing to do", function()
    assert.same({}, others(IDLE, "idle"))
  end)

  it("are refused where they are text of a configuration", function()
    assert.same({}, others(REFUSED, "refused"))
  end)

  it("are told from those that nobody knows", function()
    assert.equal("unknown", state_of("no-such-key"))
  end)

  it("are none of them left for later", function()
    for _, setting in ipairs(settings.list) do
      assert.is_true(setting.unsupported == nil or setting.unsupported == "none", setting.name)
    end
  end)
end)

local CONFIG = [[
apiVersion: v1
kind: ConfigMap
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
data: {%s}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ports, namespace: default}
data: {"5432": "default/app:80"}
---
]]

describe("settings of the start", function()
  local function build(data, options)
    return control.build(CONFIG:format(data) .. control.services("app"), options)
  end

  it("warn where they are others than at the start, at the key or at --set", function()
    local options = { started = { ["worker-processes"] = 2, ["bind-address"] = { "127.0.0.1" } } }
    local model = build('worker-processes: "3", bind-address: 127.0.0.1', options)
    assert.equal(1, #model.faults)
    assert.equal('data["worker-processes"]', model.faults[1].field)
    assert.equal("warning", model.faults[1].severity)
    options.settings = { ["worker-processes"] = "4" }
    model = build("bind-address: 127.0.0.1", options)
    assert.equal("--set worker-processes", model.faults[1].object)
    options.settings = { ["worker-processes"] = "2" }
    assert.same({}, build('worker-processes: "3", bind-address: 127.0.0.1', options).faults)
  end)

  it("say that ports of TCP and UDP services are open at all addresses", function()
    local flags = { ["tcp-services-configmap"] = "default/ports" }
    local model = build("bind-address: 127.0.0.1", { flags = flags })
    assert.truthy(control.fault(model, "are open at all addresses"))
    assert.same({}, build("bind-address: 127.0.0.1").faults)
    assert.same({}, build('hsts: "true"', { flags = flags }).faults)
  end)
end)
