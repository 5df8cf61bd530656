-- SPDX-License-Identifier: Apache-2.0
-- Annotations of canaries. Fields: see annotations/init.lua.
local function entry(name, kind, risk, default, doc)
  return { name = name, type = kind, risk = risk, scope = "ingress", default = default,
    canary = true, doc = doc }
end

return {
  entry("canary", "bool", "Low", false, "this Ingress is the alternative of another"),
  entry("canary-by-header", "token", "Medium", nil, "header that decides: always, never"),
  entry("canary-by-header-value", "text", "Medium", nil, "value of it that means the canary"),
  entry("canary-by-header-pattern", "text", "Medium", nil, "pattern that means the canary"),
  entry("canary-by-cookie", "token", "Medium", nil, "cookie that decides: always, never"),
  entry("canary-weight", "int", "Low", 0, "share of the requests"),
  entry("canary-weight-total", "int", "Low", 100, "of how many; 100 at least"),
  entry("affinity-canary-behavior", { "sticky", "legacy" }, "Low", "sticky",
    "sticky: sessions stay on their variant"),
}
