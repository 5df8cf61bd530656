-- SPDX-License-Identifier: Apache-2.0
--
-- Annotations of load balancing and session affinity, each with and without it.
local annotated = require("spec.support.annotated")

local HASHED = { ["upstream-hash-by"] = "$arg_k" }

-- How many pods answer requests of one key.
local function pods(at)
  return (at:spread(20, "/?k=1"))
end

annotated.describe("annotations of load balancing", {
  { "load-balance", "ewma", service = "uneven", gives = true, sees = function(at)
    local _, counts = at:spread(12, "/")
    return (counts.slow or 0) < 5
  end },
  { "upstream-hash-by", "$arg_k", gives = 1, sees = pods },
  { "upstream-hash-by-subset", "true", with = HASHED, gives = 3, sees = pods },
  { "upstream-hash-by-subset-size", "1", gives = 1, sees = pods,
    with = { ["upstream-hash-by"] = "$arg_k", ["upstream-hash-by-subset"] = "true" } },
})

local SESSION = { affinity = "cookie" }
local OLD_PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 12_0 like Mac OS X) AppleWebKit/605.1"

-- What is written of an attribute in the cookie.
local function cookie(pattern)
  return function(at)
    local text = at:get("/", { ["User-Agent"] = OLD_PHONE }):header("set-cookie") or ""
    return text:match(pattern) or "none"
  end
end

annotated.describe("annotations of sessions", {
  { "affinity", "cookie", gives = 1, sees = function(at)
    local set = at:get("/"):header("set-cookie") or ""
    return (at:spread(9, "/", { Cookie = set:match("^[^;]*") }))
  end },
  { "session-cookie-name", "mine", with = SESSION, gives = "mine", sees = cookie("^[^=]+") },
  { "session-cookie-path", "/a", with = SESSION, gives = "/a", sees = cookie("Path=([^;]*)") },
  { "session-cookie-domain", "a.test", with = SESSION, gives = "a.test",
    sees = cookie("Domain=([^;]*)") },
  { "session-cookie-max-age", "60", with = SESSION, gives = "60",
    sees = cookie("Max%-Age=([^;]*)") },
  { "session-cookie-expires", "60", with = SESSION, gives = "Expires", sees = cookie("Expires") },
  { "session-cookie-secure", "true", with = SESSION, gives = "Secure", sees = cookie("Secure") },
  { "session-cookie-samesite", "Lax", with = SESSION, gives = "Lax",
    sees = cookie("SameSite=([^;]*)") },
  { "session-cookie-conditional-samesite-none", "true", gives = "none",
    with = { affinity = "cookie", ["session-cookie-samesite"] = "None" },
    sees = cookie("SameSite=([^;]*)") },
  { "session-cookie-change-on-failure", "true", service = "half", gives = true,
    with = { affinity = "cookie", ["proxy-next-upstream"] = "http_503" },
    sees = function(at)
      -- A POST is not repeated: one of the sessions belongs to the pod that fails, and moves.
      for _ = 1, 6 do
        local first = at:send({ method = "POST" }):header("set-cookie")
        local again = first and at:get("/", { Cookie = first:match("^[^;]+") })
        if again and again:header("set-cookie") then
          return true
        end
      end
      return false
    end },
})
