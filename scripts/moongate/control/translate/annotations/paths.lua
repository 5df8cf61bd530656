-- SPDX-License-Identifier: Apache-2.0
-- Annotations of paths, rewriting and redirects. Fields: see annotations/init.lua.
local function of(scope, risk)
  return function(entry)
    entry.scope, entry.risk = scope, risk
    return entry
  end
end
local low, medium = of("location", "Low"), of("location", "Medium")

return {
  of("ingress", "Medium")({ name = "rewrite-target", type = "target", default = "",
    doc = "what the matched text of the path becomes; $1..$9 are groups; a URL redirects" }),
  low({ name = "use-regex", type = "bool", default = false,
    doc = "all paths of the host are regular expressions" }),
  medium({ name = "app-root", type = "path_template",
    doc = "where a request for / is sent, for the whole host" }),
  medium({ name = "preserve-trailing-slash", type = "bool", setting = "preserve-trailing-slash",
    doc = "keep '/' at the end in the https redirect" }),
  low({ name = "ssl-redirect", type = "bool", setting = "ssl-redirect",
    doc = "send http to https if the host has a certificate" }),
  medium({ name = "force-ssl-redirect", type = "bool", setting = "force-ssl-redirect",
    doc = "send http to https without one too" }),
  low({ name = "use-port-in-redirects", type = "bool", setting = "use-port-in-redirects",
    doc = "name the https port in the redirect" }),
  low({ name = "relative-redirects", type = "bool", setting = "relative-redirects",
    doc = "redirect for a missing slash without host" }),
  medium({ name = "permanent-redirect", type = "url", wrong = "drop",
    doc = "answer 301 to this URL" }),
  low({ name = "permanent-redirect-code", type = "int", default = 301, doc = "300 to 308" }),
  medium({ name = "temporal-redirect", type = "url", wrong = "drop",
    doc = "answer 302 to this URL; wins over permanent-redirect" }),
  low({ name = "temporal-redirect-code", type = "int", default = 302, doc = "300 to 307" }),
  low({ name = "from-to-www-redirect", type = "bool", default = false,
    doc = "redirect www.HOST to HOST, or the other way round" }),
  medium({ name = "x-forwarded-prefix", type = "text", wrong = "drop",
    doc = "sent as X-Forwarded-Prefix where a rewrite applies" }),
  of("ingress", "High")({ name = "server-alias", type = "aliases", wrong = "drop",
    doc = "further names of the host; '~' begins a regular expression" }),
}
