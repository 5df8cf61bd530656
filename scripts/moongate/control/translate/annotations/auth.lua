-- SPDX-License-Identifier: Apache-2.0
-- Annotations of authentication: basic, external, client certificates. All of them guard: one
-- that cannot be honoured denies. Fields: see annotations/init.lua.
local function guard(name, kind, risk, rest)
  local entry = { name = name, type = kind, risk = risk, scope = "location", guards = true }
  for key, value in pairs(rest) do
    entry[key] = value
  end
  return entry
end

local function later(name, kind, risk, doc, default)
  return guard(name, kind, risk, { supported = "later", wrong = "deny", doc = doc,
    default = default })
end

-- Details of an annotation that is later; without the one they belong to they do nothing.
local function detail(name, kind, risk, of, doc, default)
  local entry = later(name, kind, risk, doc, default)
  entry.detail_of = of
  return entry
end

return {
  guard("auth-type", { "basic", "digest" }, "Low", { wrong = "drop", doc = "basic or digest" }),
  guard("auth-secret", "reference", "Medium", { wrong = "deny", doc = "Secret with the users" }),
  guard("auth-secret-type", { "auth-file", "auth-map" }, "Low", { default = "auth-file",
    wrong = "deny", doc = "auth-file: key auth in htpasswd form; auth-map: a key for each user" }),
  guard("auth-realm", "text", "Medium", { default = "", wrong = "drop", doc = "realm" }),
  later("satisfy", { "all", "any" }, "Low", "any: one of the checks is enough", "all"),

  later("auth-url", "text", "High", "service that judges each request"),
  detail("auth-signin", "text", "High", "auth-url", "where 401 is sent"),
  detail("auth-signin-redirect-param", "text", "Medium", "auth-url", "its parameter", "rd"),
  detail("auth-method", "method", "Low", "auth-url", "method of the question"),
  detail("auth-response-headers", "list", "Medium", "auth-url", "copied to the backend"),
  detail("auth-request-redirect", "text", "Medium", "auth-url", "X-Auth-Request-Redirect"),
  detail("auth-always-set-cookie", "bool", "Low", "auth-url", "cookies on errors too", false),
  detail("auth-cache-key", "text", "Medium", "auth-url", "key of the cache"),
  detail("auth-cache-duration", "text", "Medium", "auth-url", "codes and time", "200 202 401 5m"),
  detail("auth-keepalive", "count", "Low", "auth-url", "idle connections", 0),
  detail("auth-keepalive-requests", "count", "Low", "auth-url", "requests on one", 1000),
  detail("auth-keepalive-timeout", "seconds", "Low", "auth-url", "idle time", 60000),
  detail("auth-keepalive-share-vars", "bool", "Low", "auth-url", "share variables", false),
  detail("auth-proxy-set-headers", "reference", "Medium", "auth-url", "ConfigMap of headers"),
  guard("enable-global-auth", "bool", "Low", { default = true,
    doc = "false: not subject to global-auth-url" }),
  { name = "auth-snippet", type = "text", risk = "Critical", scope = "location",
    supported = "refused", replacement = "a plugin with an `access` hook" },

  later("auth-tls-secret", "reference", "Medium", "Secret with the CA of client certificates"),
  detail("auth-tls-verify-client", { "on", "off", "optional", "optional_no_ca" }, "Medium",
    "auth-tls-secret", "how strict", "on"),
  detail("auth-tls-verify-depth", "count", "Low", "auth-tls-secret", "length of the chain", 1),
  detail("auth-tls-error-page", "text", "High", "auth-tls-secret", "302 instead of 400"),
  detail("auth-tls-pass-certificate-to-upstream", "bool", "Low", "auth-tls-secret",
    "send ssl-client-cert", false),
  detail("auth-tls-match-cn", "text", "High", "auth-tls-secret", "what the subject must match"),
}
