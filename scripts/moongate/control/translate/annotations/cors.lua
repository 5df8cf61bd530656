-- SPDX-License-Identifier: Apache-2.0
-- Annotations of CORS. Fields: see annotations/init.lua.
local function cors(name, kind, risk, default, doc, differs)
  return { name = name, type = kind, risk = risk, scope = "ingress", default = default, doc = doc,
    differs = differs, detail_of = name ~= "enable-cors" and "enable-cors" or nil }
end

return {
  cors("enable-cors", "bool", "Low", false, "answer preflights and add the headers"),
  cors("cors-allow-origin", "list", "Medium", { "*" }, "origins; *. stands for one label",
    "an origin is compared as a whole, not from somewhere within"),
  cors("cors-allow-methods", "text", "Medium", "GET, PUT, POST, DELETE, PATCH, OPTIONS",
    "methods"),
  cors("cors-allow-headers", "text", "Medium",
    "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,"
      .. "Content-Type,Range,Authorization", "headers"),
  cors("cors-allow-credentials", "bool", "Low", true, "credentials"),
  cors("cors-expose-headers", "text", "Medium", "", "headers that scripts may read"),
  cors("cors-max-age", "count", "Low", 1728000, "seconds that a preflight holds"),
}
