-- SPDX-License-Identifier: Apache-2.0
-- Annotations of TLS to clients, observability, WAF, FastCGI, and snippets. Fields: see
-- annotations/init.lua.
local HOOK = "a plugin with an `access` hook"

local function later(name, kind, risk, scope, default, doc)
  return { name = name, type = kind, risk = risk, scope = scope, default = default, doc = doc,
    supported = "later" }
end

local function refused(name, risk, scope, replacement, kind)
  return { name = name, type = kind or "text", risk = risk, scope = scope, supported = "refused",
    replacement = replacement, doc = "refused; use " .. replacement }
end

local function guard(entry)
  entry.guards = true
  return entry
end

return {
  { name = "ssl-ciphers", type = "text", risk = "Low", scope = "ingress", supported = "later",
    wrong = "drop", doc = "suites of the host, names of OpenSSL" },
  later("ssl-prefer-server-ciphers", "bool", "Low", "ingress", nil, "order of the suites"),
  { name = "ssl-passthrough", type = "bool", risk = "Low", scope = "ingress", default = false,
    supported = "later", guards = true, flag = "enable-ssl-passthrough",
    doc = "TLS goes to the backend" },

  { name = "enable-access-log", type = "bool", risk = "Low", scope = "location", default = true,
    doc = "write a line for each request" },
  { name = "enable-rewrite-log", type = "bool", risk = "Low", scope = "location", default = false,
    supported = "none", doc = "no effect" },
  { name = "enable-opentelemetry", type = "bool", risk = "Low", scope = "location",
    setting = "enable-opentelemetry", supported = "later", doc = "spans by OTLP" },
  { name = "opentelemetry-trust-incoming-span", type = "bool", risk = "Low", scope = "location",
    setting = "opentelemetry-trust-incoming-span", supported = "later",
    detail_of = "enable-opentelemetry", doc = "continue traceparent" },
  { name = "opentelemetry-operation-name", type = "text", risk = "Medium", scope = "location",
    supported = "later", detail_of = "enable-opentelemetry", doc = "name of the span" },
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
    "a plugin with `access` and `response` hooks")),
  guard(refused("server-snippet", "Critical", "ingress", "a plugin with a `rewrite` hook")),
  guard(refused("stream-snippet", "Critical", "ingress", "a plugin with a `client_hello` hook")),
}
