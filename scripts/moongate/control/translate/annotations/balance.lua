-- SPDX-License-Identifier: Apache-2.0
-- Annotations of load balancing and session affinity. Fields: see annotations/init.lua.
local function entry(name, kind, risk, scope, default, doc)
  return { name = name, type = kind, risk = risk, scope = scope, default = default, doc = doc,
    canary = true }
end
local function cookie(name, kind, risk, default, doc)
  return entry("session-cookie-" .. name, kind, risk, "ingress", default, doc)
end

return {
  { name = "load-balance", type = { "round_robin", "ewma" }, risk = "Low", scope = "location",
    setting = "load-balance", wrong = "drop", canary = true, doc = "algorithm" },
  { name = "upstream-hash-by", type = "template", risk = "High", scope = "location",
    wrong = "drop", canary = true, doc = "consistent hash of this text" },
  entry("upstream-hash-by-subset", "bool", "Low", "location", false, "hash picks a subset"),
  entry("upstream-hash-by-subset-size", "count", "Low", "location", 3, "of this size"),
  { name = "affinity", type = { "cookie" }, risk = "Low", scope = "ingress", canary = true,
    differs = "cookies that ingress-nginx has set are replaced at the first request, so a session "
      .. "may move once", doc = "sessions stay on an endpoint" },
  entry("affinity-mode", { "balanced", "persistent" }, "Medium", "ingress", "balanced",
    "persistent: they move only when it goes"),
  cookie("name", "token", "Medium", "INGRESSCOOKIE", "its name"),
  cookie("path", "path", "Medium", nil, "its Path; else that of the rule"),
  cookie("domain", "host", "Medium", nil, "its Domain"),
  cookie("max-age", "int", "Medium", nil, "its Max-Age in seconds"),
  cookie("expires", "int", "Medium", nil, "its Expires, seconds from now"),
  cookie("secure", "bool", "Low", nil, "Secure on http too"),
  cookie("samesite", { "None", "Lax", "Strict" }, "Low", nil, "its SameSite"),
  cookie("conditional-samesite-none", "bool", "Low", false, "no SameSite=None for old browsers"),
  cookie("change-on-failure", "bool", "Low", false, "another endpoint after a failure"),
}
