-- SPDX-License-Identifier: Apache-2.0
-- Annotations of TLS to clients, observability, WAF, FastCGI, and snippets. Fields: see
-- annotations/init.lua.
local HOOK = "a plugin with an `access` hook"

local function refused(name, risk, scope, replacement, kind)
  return { name = name, type = kind or "text", risk = risk, scope = scope, supported = "refused",
    replacement = replacement, doc = "refused; use " .. replacement }
end

local function guard(entry)
  entry.guards = true
  return entry
end

return {
  { name = "ssl-ciphers", type = "text", risk = "Low", scope = "ingress", wrong = "drop",
    doc = "suites of TLS 1.2 of the host, names of OpenSSL; the setting holds for hosts without" },
  { name = "ssl-prefer-server-ciphers", type = "bool", risk = "Low", scope = "ingress",
    doc = "of these, our order and not the client's counts" },
  { name = "ssl-passthrough", type = "bool", risk = "Low", scope = "ingress", default = false,
    doc = "TLS goes to the backend as it is; needs the flag --enable-ssl-passthrough" },

  { name = "enable-access-log", type = "bool", risk = "Low", scope = "location", default = true,
    doc = "write a line for each request" },
  { name = "enable-rewrite-log", type = "bool", risk = "Low", scope = "location", default = false,
    supported = "none", doc = "no effect" },
  { name = "enable-opentelemetry", type = "bool", risk = "Low", scope = "location",
    setting = "enable-opentelemetry", doc = "spans by OTLP, and traceparent to the backend" },
  { name = "opentelemetry-trust-incoming-span", type = "bool", risk = "Low", scope = "location",
    setting = "opentelemetry-trust-incoming-span", detail_of = "enable-opentelemetry",
    doc = "go on with the trace of traceparent" },
  { name = "opentelemetry-operation-name", type = "template", risk = "Medium", scope = "location",
    setting = "opentelemetry-operation-name", detail_of = "enable-opentelemetry",
    doc = "name of the span, a text with variables" },
  { name = "http2-push-preload", type = "bool", risk = "Low", scope = "location", default = false,
    supported = "none", doc = "no effect: browsers have dropped push" },

  { name = "fastcgi-index", type = "text", risk = "Medium", scope = "location",
    supported = "later", wrong = "drop", doc = "only with backend-protocol FCGI" },
  { name = "fastcgi-params-configmap", type = "reference", risk = "Medium", scope = "location",
    supported = "later", wrong = "drop", doc = "only with backend-protocol FCGI" },

  guard(refused("enable-modsecurity", "Low", "ingress", HOOK, "bool")),
  guard(refused("enable-owasp-core-rules", "Low", "ingress", HOOK, "bool")),
  refused("modsecurity-transaction-id", "High", "ingress", HOOK),
  guard(refused("modsecurity-snippet", "Critical", "ingress", HOOK)),
  guard(refused("configuration-snippet", "Critical", "location",
    "the plugins headers (more_set_headers, proxy_set_header), redirect (return) or ip-restriction "
    .. "(allow, deny), or one of your own with `access` and `response` hooks")),
  guard(refused("server-snippet", "Critical", "ingress",
    "the plugins headers, redirect or ip-restriction, or one of your own with a `rewrite` hook")),
  guard(refused("stream-snippet", "Critical", "ingress", "a plugin with a `client_hello` hook")),
}
