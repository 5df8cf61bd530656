-- SPDX-License-Identifier: Apache-2.0
-- Keys of ingress-nginx's ConfigMap that nothing here corresponds to: they are known, and reported.
local M = {}

local function set_of(text)
  local set = {}
  for word in text:gmatch("%S+") do
    set[word] = true
  end
  return set
end

--- Tuning of nginx itself, and features that nginx has dropped.
M.ignored = set_of([[
  access-log-params http-access-log-params
  enable-syslog syslog-host syslog-port
  enable-multi-accept max-worker-open-files map-hash-bucket-size
  server-name-hash-max-size server-name-hash-bucket-size proxy-headers-hash-max-size
  proxy-headers-hash-bucket-size variables-hash-bucket-size variables-hash-max-size
  nginx-status-ipv4-whitelist nginx-status-ipv6-whitelist
  proxy-ssl-location-only
  ssl-dh-param ssl-buffer-size ssl-session-ticket-key ssl-early-data
  disable-ipv6 disable-ipv6-dns worker-cpu-affinity enable-aio-write enable-serial-reloads
  lua-shared-dicts debug-connections default-type use-geoip use-geoip2 geoip2-autoreload-in-minutes
  http2-max-field-size http2-max-header-size http2-max-requests http2-push-preload
  datadog-collector-host jaeger-collector-host
  zipkin-collector-host enable-opentracing opentracing-operation-name
  opentracing-location-operation-name opentracing-trust-incoming-span opentelemetry-config
  upstream-hash-by dynamic-ssl-configuration-enabled global-rate-limit-memcached-host
  global-rate-limit-memcached-port global-rate-limit-status-code
]])

local FIREWALL = "there is no ModSecurity here: put a web application firewall in front, or write "
  .. "a plugin with an `access` hook"

--- Switches whose `true` guarded, and what to do now.
M.guards = {
  ["enable-modsecurity"] = FIREWALL,
  ["enable-owasp-modsecurity-crs"] = FIREWALL,
}

--- Text that would become configuration. Each has its replacement in Lua.
M.refused = {
  ["main-snippet"] = "one of the settings, or a plugin",
  ["http-snippet"] = "a global plugin in the scripts folder",
  ["server-snippet"] = "a plugin with a `rewrite` or `access` hook",
  ["location-snippet"] = "a plugin with an `access` hook",
  ["stream-snippet"] = "a plugin with a `client_hello` hook",
  ["modsecurity-snippet"] = "a plugin with an `access` hook",
  ["global-auth-snippet"] = "a plugin with an `access` hook",
}

return M
