-- SPDX-License-Identifier: Apache-2.0
-- Annotations of CORS. Fields: see annotations/init.lua.
local function later(name, kind, risk, default, doc)
  return { name = name, type = kind, risk = risk, scope = "ingress", default = default, doc = doc,
    supported = "later", detail_of = name ~= "enable-cors" and "enable-cors" or nil }
end

return {
  later("enable-cors", "bool", "Low", false, "answer preflights and add the headers"),
  later("cors-allow-origin", "text", "Medium", "*", "origins"),
  later("cors-allow-methods", "text", "Medium", "GET, PUT, POST, DELETE, PATCH, OPTIONS",
    "methods"),
  later("cors-allow-headers", "text", "Medium",
    "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,"
      .. "Content-Type,Range,Authorization", "headers"),
  later("cors-allow-credentials", "bool", "Low", true, "credentials"),
  later("cors-expose-headers", "text", "Medium", "", "headers that scripts may read"),
  later("cors-max-age", "count", "Low", 1728000, "seconds that a preflight holds"),
}
