-- SPDX-License-Identifier: Apache-2.0
-- Annotations of address lists and limits. Fields: see annotations/init.lua.
local function list(name, risk, rest)
  local entry = { name = name, type = "some_networks", risk = risk, scope = "location",
    guards = true, wrong = "deny" }
  for key, value in pairs(rest) do
    entry[key] = value
  end
  return entry
end

local function limit(name, default, doc, of)
  return { name = name, type = "count", risk = "Low", scope = "location", default = default,
    guards = true, wrong = "drop", doc = doc, detail_of = of }
end

return {
  list("allowlist-source-range", "Medium", { setting = "whitelist-source-range",
    empty_denies = true, doc = "who may pass; others get 403" }),
  list("whitelist-source-range", "Medium", { alias_of = "allowlist-source-range" }),
  list("denylist-source-range", "Medium", { setting = "denylist-source-range",
    empty_denies = true, doc = "who gets 403; judged before the other list" }),
  limit("limit-rps", 0, "requests a second of one address"),
  limit("limit-rpm", 0, "requests a minute of one address"),
  limit("limit-burst-multiplier", 5, "burst, in multiples", "limit-rps"),
  limit("limit-connections", 0, "requests at once of one address"),
  list("limit-allowlist", "Low", { doc = "addresses without limit" }),
  list("limit-whitelist", "Low", { alias_of = "limit-allowlist" }),
  { name = "limit-rate", type = "count", risk = "Low", scope = "location", setting = "limit-rate",
    wrong = "drop", doc = "KiB a second of a response, only with proxy-buffering on" },
  { name = "limit-rate-after", type = "count", risk = "Low", scope = "location",
    setting = "limit-rate-after", wrong = "drop", doc = "after that many KiB",
    detail_of = "limit-rate" },
}
