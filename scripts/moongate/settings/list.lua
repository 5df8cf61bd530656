-- SPDX-License-Identifier: Apache-2.0
-- The settings: name, type, default, scope, doc. Names are those of ingress-nginx's ConfigMap
-- where it has one. scope: process (threads, shutdown) · listener (client side, limits) · route
-- (may be overridden by an annotation) · control (how objects are read) · log. A sixth field says
-- what becomes of one that is set: "later" is not honoured yet, nor is "guard", where leaving it
-- out would open something; "none" is about nginx itself. A seventh field is the value that says
-- what happens in any case, where that is not the default.
local port = { between = { 1, 65535 } }
local redirect_code = { one_of = { "301", "302", "307", "308" } }

return {
  -- Process.
  { "worker-processes", { "auto", "count" }, "auto", "process",
    "threads; auto: processors", "later" },
  { "worker-shutdown-timeout", "time", "240s", "process", "longest wait for requests at the end" },
  { "shutdown-grace-period", "time", "0s", "process", "pause between not ready and draining" },
  { "reuse-port", "bool", "true", "process", "one accepting socket for each worker", "later" },
  { "bind-address", "list", "", "process", "addresses to listen on; empty: all", "later" },
  { "max-worker-connections", "count", "16384", "process", "connections of one worker", "later" },
  { "public-http-port", port, "80", "listener", "port that clients use for http" },
  { "public-https-port", port, "443", "listener", "port that clients use for https" },

  -- Limits of what a client may send.
  { "client-header-timeout", "time", "10s", "listener", "until the head of a request is there" },
  { "client-body-timeout", "time", "60s", "listener", "between two reads of a body" },
  { "client-send-timeout", "time", "60s", "listener", "between two writes of a response" },
  { "client-header-buffer-size", "size", "1k", "listener", "first buffer for a head", "none" },
  { "large-client-header-buffers", "buffers", "4 8k", "listener", "longest line: 414, 400" },
  { "max-header-size", "size", "32k", "listener", "whole head of a request: 431" },
  { "max-headers", "count", "100", "listener", "number of header lines: 431" },
  { "client-body-buffer-size", "size", "8k", "route",
    "memory for a body that is buffered", "none" },
  { "keep-alive", "time", "75s", "listener", "idle client connection" },
  { "keep-alive-requests", "count", "1000", "listener", "requests on one client connection" },
  { "enable-underscores-in-headers", "bool", "false", "listener", "accept x_y as a header name" },
  { "ignore-invalid-headers", "bool", "true", "listener",
    "drop, not refuse, odd header names", "later" },
  { "tunnel-timeout", "time", "3600s", "listener", "idle time of an upgraded connection" },

  -- TLS to clients.
  { "tls-handshake-timeout", "time", "10s", "listener", "until a TLS handshake is done", "later" },
  { "ssl-protocols", "words", "TLSv1.2 TLSv1.3", "listener", "versions of TLS", "later" },
  { "ssl-ciphers", "text", "", "listener",
    "suites of TLS 1.2, names of OpenSSL; empty: ours", "later" },
  { "ssl-ecdh-curve", "text", "auto", "listener", "curves, in order", "later" },
  { "ssl-session-tickets", "bool", "false", "listener", "resume by ticket", "later" },
  { "ssl-session-cache", "bool", "true", "listener", "resume by cache", "later", "false" },
  { "ssl-session-cache-size", "size", "10m", "listener", "room for sessions", "later" },
  { "ssl-session-timeout", "time", "10m", "listener", "life of a session", "later" },
  { "ssl-reject-handshake", "bool", "false", "listener", "refuse unknown names" },
  { "ssl-redirect", "bool", "true", "route", "send http to https where there is a certificate" },
  { "force-ssl-redirect", "bool", "false", "route", "send http to https everywhere" },
  { "http-redirect-code", redirect_code, "308", "listener", "status of those redirects" },
  { "no-tls-redirect-locations", "list", "/.well-known/acme-challenge", "listener",
    "paths of rules that stay on http" },
  { "use-port-in-redirects", "bool", "false", "route", "name the https port in redirects" },
  { "relative-redirects", "bool", "false", "route", "slash redirects without host" },
  { "preserve-trailing-slash", "bool", "false", "route", "keep '/' at the end in https redirects" },
  { "hsts", "bool", "true", "listener", "Strict-Transport-Security on https" },
  { "hsts-max-age", "count", "31536000", "listener", "its max-age in seconds" },
  { "hsts-include-subdomains", "bool", "true", "listener", "its includeSubDomains" },
  { "hsts-preload", "bool", "false", "listener", "its preload" },

  -- HTTP/2 with clients.
  { "use-http2", "bool", "true", "listener", "offer HTTP/2 on https", "later", "false" },
  { "http2-max-concurrent-streams", "count", "128", "listener",
    "streams of a connection", "later" },
  { "http2-header-table-size", "size", "4k", "listener", "HPACK table", "later" },
  { "http2-max-resets", "count", "200", "listener",
    "resets within 10 s before a connection ends", "later" },

  -- Address of the client.
  { "use-forwarded-headers", "bool", "false", "listener", "trust X-Forwarded-*" },
  { "enable-real-ip", "bool", "false", "listener", "trust the address only", "later" },
  { "proxy-real-ip-cidr", "networks", "0.0.0.0/0", "listener", "peers that are trusted" },
  { "trusted-proxies", "networks", "", "listener", "peers whose X-Forwarded-* are believed" },
  { "forwarded-for-header", "text", "X-Forwarded-For", "listener",
    "where the address stands", "later" },
  { "via", "bool", "true", "listener", "add Via to requests (RFC 9110 7.6.3)" },
  { "compute-full-forwarded-for", "bool", "false", "listener", "append the peer to it" },
  { "use-proxy-protocol", "bool", "false", "listener", "expect the PROXY protocol" },
  { "proxy-protocol-header-timeout", "time", "5s", "listener", "until its head is there", "later" },

  -- Towards backends.
  { "proxy-body-size", "size", "1m", "route", "largest body: 413; 0 is no limit" },
  { "proxy-connect-timeout", "time", "5s", "route", "connect: 504" },
  { "proxy-read-timeout", "time", "60s", "route", "between two reads: 504" },
  { "proxy-send-timeout", "time", "60s", "route", "between two writes: 504" },
  { "proxy-next-upstream", "words", "error timeout", "route", "what makes another try" },
  { "proxy-next-upstream-tries", "count", "3", "route", "tries in all; 0 is no limit" },
  { "proxy-next-upstream-timeout", "time", "0", "route", "no new try after that; 0 is no limit" },
  { "retry-non-idempotent", "bool", "false", "route", "repeat POST, LOCK, PATCH as well" },
  { "proxy-request-buffering", "switch", "on", "route", "whole body first, then the backend" },
  { "proxy-buffering", "switch", "off", "route", "buffer responses", "later" },
  { "proxy-buffer-size", "size", "4k", "route", "largest head of a response: 502", "later" },
  { "proxy-buffers-number", "count", "4", "route", "memory only", "none" },
  { "proxy-busy-buffers-size", "size", "8k", "route", "memory only", "none" },
  { "proxy-max-temp-file-size", "size", "1024m", "route",
    "no effect: nothing goes to disk", "none" },
  { "proxy-http-version", { one_of = { "1.0", "1.1" } }, "1.1", "route", "towards backends" },
  { "proxy-redirect-from", "text", "off", "route", "what to replace in Location", "later" },
  { "proxy-redirect-to", "text", "off", "route", "by what", "later" },
  { "proxy-cookie-path", "text", "off", "route", "Path of cookies, from and to", "later" },
  { "proxy-cookie-domain", "text", "off", "route", "Domain of cookies, from and to", "later" },
  { "proxy-add-original-uri-header", "bool", "false", "route", "send X-Original-Uri" },
  { "service-upstream", "bool", "false", "route", "one upstream, the ClusterIP" },
  { "load-balance", { one_of = { "round_robin", "ewma" } }, "round_robin", "route", "algorithm" },
  { "upstream-keepalive-connections", "count", "320", "process", "idle ones of an endpoint" },
  { "upstream-keepalive-time", "time", "1h", "process", "life of a connection" },
  { "upstream-keepalive-timeout", "time", "60s", "process", "idle connection" },
  { "upstream-keepalive-requests", "count", "10000", "process", "requests on a connection" },
  { "serve-terminating-endpoints", "bool", "false", "control",
    "use endpoints that end but still serve when there is no other" },

  -- Headers.
  { "add-headers", "reference", "", "listener", "ConfigMap of response headers" },
  { "proxy-set-headers", "reference", "", "listener", "ConfigMap of request headers" },
  { "hide-headers", "list", "", "listener", "response headers to remove" },
  { "server-tokens", "bool", "false", "listener", "send Server", "later" },
  { "allow-backend-server-header", "bool", "false", "listener", "pass the backend's Server" },
  { "generate-request-id", "bool", "true", "listener", "X-Request-ID where there is none" },
  { "global-allowed-response-headers", "list", "", "control", "names that custom-headers may set" },

  -- Access.
  { "whitelist-source-range", "networks", "", "route", "who may pass" },
  { "denylist-source-range", "networks", "", "route", "who may not" },
  { "block-cidrs", "networks", "", "listener", "403 everywhere" },
  { "block-user-agents", "list", "", "listener", "403; '~' begins a pattern" },
  { "block-referers", "list", "", "listener", "403; '~' begins a pattern" },
  { "limit-req-status-code", { between = { 400, 599 } }, "503", "listener",
    "rate is exceeded", "later" },
  { "limit-conn-status-code", { between = { 400, 599 } }, "503", "listener",
    "too many at once", "later" },
  { "limit-rate", "count", "0", "route", "KiB a second of a response", "later" },
  { "limit-rate-after", "count", "0", "route", "after that many KiB", "later" },
  { "no-auth-locations", "list", "/.well-known/acme-challenge", "listener",
    "paths of rules without authentication" },
  { "global-auth-url", "text", "", "listener", "external authentication for all", "guard" },
  { "global-auth-method", "text", "", "listener", "its method", "later" },
  { "global-auth-signin", "text", "", "listener", "where 401 goes", "later" },
  { "global-auth-signin-redirect-param", "text", "rd", "listener", "its parameter", "later" },
  { "global-auth-response-headers", "list", "", "listener", "copied to the backend", "later" },
  { "global-auth-request-redirect", "text", "", "listener", "X-Auth-Request-Redirect", "later" },
  { "global-auth-cache-key", "text", "", "listener", "key of the cache", "later" },
  { "global-auth-cache-duration", "text", "200 202 401 5m", "listener", "codes and time", "later" },
  { "global-auth-always-set-cookie", "bool", "false", "listener",
    "cookies on errors too", "later" },

  -- Error pages and compression.
  { "custom-http-errors", "codes", "", "route", "codes that the default backend answers", "later" },
  { "disable-proxy-intercept-errors", "bool", "false", "route", "only the gateway's own", "later" },
  { "use-gzip", "bool", "false", "listener", "compress responses", "later" },
  { "gzip-level", { between = { 1, 9 } }, "1", "listener", "effort", "later" },
  { "gzip-min-length", "size", "256", "listener", "smaller ones stay as they are", "later" },
  { "gzip-types", "words",
    "application/atom+xml application/javascript application/x-javascript application/json " ..
    "application/rss+xml application/vnd.ms-fontobject application/x-font-ttf " ..
    "application/x-web-app-manifest+json application/xhtml+xml application/xml font/opentype " ..
    "image/svg+xml image/x-icon text/css text/javascript text/plain text/x-component",
    "listener", "types of content", "later" },
  { "gzip-disable", "text", "", "listener", "pattern of agents without", "later" },
  { "enable-brotli", "bool", "false", "listener", "compress with brotli", "later" },
  { "brotli-level", { between = { 0, 11 } }, "4", "listener", "effort", "later" },
  { "brotli-min-length", "size", "20", "listener", "smaller ones stay as they are", "later" },
  { "brotli-types", "words", "text/plain text/css application/json", "listener", "types", "later" },

  -- Logs.
  { "disable-access-log", "bool", "false", "log", "no access log at all" },
  { "disable-http-access-log", "bool", "false", "log", "none for HTTP" },
  { "access-log-path", "text", "", "log", "file; empty: standard output" },
  { "http-access-log-path", "text", "", "log", "file of HTTP requests" },
  { "error-log-path", "text", "", "log", "file; empty: standard error", "later" },
  { "error-log-level", "text", "notice", "log", "least level", "later" },
  { "skip-access-log-urls", "list", "", "log", "paths without a line" },
  { "enable-access-log-for-default-backend", "bool", "false", "log", "lines for 404s" },
  { "log-format-upstream", "text",
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent ' ..
    '"$http_referer" "$http_user_agent" $request_length $request_time ' ..
    "[$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr " ..
    "$upstream_response_length $upstream_response_time $upstream_status $req_id",
    "log", "template of a line" },
  { "log-format-escape-json", "bool", "false", "log", "escape values for JSON" },
  { "log-format-escape-none", "bool", "false", "log", "escape nothing" },

  -- Tracing.
  { "enable-opentelemetry", "bool", "false", "route", "spans by OTLP", "later" },
  { "opentelemetry-trust-incoming-span", "bool", "true", "route", "continue traceparent", "later" },
  { "otlp-collector-host", "text", "", "process", "where spans go", "later" },
  { "otlp-collector-port", port, "4317", "process", "its port", "later" },
  { "otel-service-name", "text", "nginx", "process", "service.name", "later" },
  { "otel-sampler", "text", "AlwaysOn", "process", "which are recorded", "later" },
  { "otel-sampler-ratio", "text", "0.01", "process", "share of TraceIdRatioBased", "later" },
  { "otel-sampler-parent-based", "bool", "true", "process", "follow the caller", "later" },

  -- How objects are judged.
  { "annotations-risk-level", { one_of = { "Low", "Medium", "High", "Critical" } }, "High",
    "control", "riskier annotations are refused" },
  { "allow-snippet-annotations", "bool", "false", "control",
    "no effect: there are no snippets", "none" },
  { "allow-drop-snippets", "bool", "false", "control", "serve without them, with a warning" },
  { "allow-cross-namespace-resources", "bool", "false", "control",
    "annotations may name objects of other namespaces" },
  { "annotation-value-word-blocklist", "list", "", "control", "words that are refused" },
  { "strict-validate-path-type", "bool", "true", "control",
    "Exact and Prefix paths hold only letters, digits, . _ / -" },
  { "path-mode", { one_of = { "ingress-nginx", "conformance" } }, "ingress-nginx", "control",
    "conformance: no redirect to the trailing slash, as the Ingress specification has it" },
}
