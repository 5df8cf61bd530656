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

local function is_https(text)
  return text:find("^https:") ~= nil
end

-- Of external authentication.
local function asks(name, kind, risk, doc, default)
  return guard(name, kind, risk, { wrong = "deny", doc = doc, default = default,
    empty_denies = name == "auth-url" or nil,
    differs = name == "auth-url" and "the certificate of a host outside the cluster is verified: "
      .. "SSL_CERT_FILE names authorities of your own" or nil,
    differs_for = is_https, detail_of = name ~= "auth-url" and "auth-url" or nil })
end

local function kept(name, kind, doc)
  return { name = name, type = kind, risk = "Low", scope = "location", supported = "none",
    detail_of = "auth-url", doc = "no effect: " .. doc }
end

return {
  guard("auth-type", { "basic", "digest" }, "Low", { wrong = "drop", empty_denies = true,
    doc = "basic or digest" }),
  guard("auth-secret", "reference", "Medium", { wrong = "deny", doc = "Secret with the users" }),
  guard("auth-secret-type", { "auth-file", "auth-map" }, "Low", { default = "auth-file",
    wrong = "deny", doc = "auth-file: key auth in htpasswd form; auth-map: a key for each user" }),
  guard("auth-realm", "text", "Medium", { default = "", wrong = "drop", doc = "realm",
    differs = "`off` is a realm like any other and does not switch authentication off",
    differs_for = function(text) return text == "off" end }),
  guard("satisfy", { "all", "any" }, "Low", { default = "all", wrong = "deny",
    doc = "any: one of address list, basic and external authentication is enough" }),

  asks("auth-url", "url_template", "High", "service that judges each request"),
  asks("auth-signin", "template", "High", "where 401 is sent"),
  asks("auth-signin-redirect-param", "token", "Medium", "its parameter", "rd"),
  asks("auth-method", "method", "Low", "method of the question"),
  asks("auth-response-headers", "header_names", "Medium", "copied to the backend"),
  asks("auth-request-redirect", "template", "Medium", "X-Auth-Request-Redirect"),
  asks("auth-always-set-cookie", "bool", "Low", "cookies on errors too", false),
  asks("auth-cache-key", "template", "Medium", "key of the cache"),
  asks("auth-cache-duration", "cache_durations", "Medium", "codes and time"),
  kept("auth-keepalive", "count", "connections are kept in any case"),
  kept("auth-keepalive-requests", "count", "see upstream-keepalive-requests"),
  kept("auth-keepalive-timeout", "seconds", "see upstream-keepalive-timeout"),
  kept("auth-keepalive-share-vars", "bool", "variables are always shared"),
  asks("auth-proxy-set-headers", "reference", "Medium", "ConfigMap of headers"),
  guard("enable-global-auth", "bool", "Low", { default = true,
    doc = "false: not subject to global-auth-url" }),
  { name = "auth-snippet", type = "text", risk = "Critical", scope = "location",
    supported = "refused", replacement = "a plugin with an `access` hook" },

  guard("auth-tls-secret", "reference", "Medium", { wrong = "deny", empty_denies = true,
    differs = "requests without TLS get 403 where a certificate is required",
    doc = "Secret with ca.crt (and ca.crl): who may sign certificates of clients" }),
  guard("auth-tls-verify-client", { "on", "off", "optional", "optional_no_ca" }, "Medium",
    { wrong = "deny", detail_of = "auth-tls-secret", doc = "how strict", default = "on" }),
  guard("auth-tls-verify-depth", "count", "Low", { wrong = "deny", detail_of = "auth-tls-secret",
    doc = "intermediate authorities that a chain may have", default = 1 }),
  guard("auth-tls-error-page", "text", "High", { wrong = "deny", detail_of = "auth-tls-secret",
    doc = "URL for 302 instead of 400" }),
  guard("auth-tls-pass-certificate-to-upstream", "bool", "Low", { wrong = "deny",
    detail_of = "auth-tls-secret", doc = "send ssl-client-cert", default = false }),
  guard("auth-tls-match-cn", "text", "High", { wrong = "deny", detail_of = "auth-tls-secret",
    doc = "pattern that the subject must match, else 403" }),
}
