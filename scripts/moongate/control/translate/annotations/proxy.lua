-- SPDX-License-Identifier: Apache-2.0
-- Annotations of proxying and of TLS to backends. Fields: see annotations/init.lua.
local function entry(name, kind, risk, rest)
  local made = { name = name, type = kind, risk = risk, scope = "location" }
  for key, value in pairs(rest) do
    made[key] = value
  end
  return made
end

-- Those with a setting of the same name as their default.
local function set(name, kind, risk, doc, supported)
  return entry(name, kind, risk, { setting = name, doc = doc, supported = supported })
end

local function tls(name, kind, risk, default, doc)
  return { name = name, type = kind, risk = risk, scope = "ingress", default = default, doc = doc }
end

return {
  set("proxy-body-size", "size", "Medium", "largest body; 0 is no limit"),
  set("proxy-connect-timeout", "seconds", "Low", "connect"),
  set("proxy-read-timeout", "seconds", "Low", "between two reads"),
  set("proxy-send-timeout", "seconds", "Low", "between two writes"),
  set("proxy-next-upstream", "next_upstream", "Medium", "what makes another try"),
  set("proxy-next-upstream-tries", "count", "Low", "tries in all; 0 is no limit"),
  set("proxy-next-upstream-timeout", "seconds", "Low", "no new try after that"),
  set("proxy-request-buffering", "switch", "Low", "whole body first, then the backend"),
  set("proxy-buffering", "switch", "Low", "buffer responses"),
  set("proxy-buffer-size", "buffer_size", "Low", "largest head of a response"),
  set("proxy-buffers-number", "count", "Low", "memory only", "none"),
  set("proxy-busy-buffers-size", "size", "Low", "memory only", "none"),
  set("proxy-max-temp-file-size", "size", "Low", "nothing goes to disk", "none"),
  entry("client-body-buffer-size", "size", "Low", { setting = "client-body-buffer-size",
    wrong = "drop", doc = "memory only", supported = "none" }),
  set("proxy-http-version", { "1.0", "1.1" }, "Low", "version towards the backend"),
  set("proxy-cookie-domain", "from_to", "Medium", "Domain of cookies, from and to"),
  set("proxy-cookie-path", "from_to", "Medium", "Path of cookies, from and to"),
  set("proxy-redirect-from", "text", "Medium", "what to replace in Location"),
  set("proxy-redirect-to", "template_text", "Medium", "by what"),
  entry("upstream-vhost", "host_template", "Low", { wrong = "drop",
    doc = "Host for the backend, a text with variables" }),
  { name = "service-upstream", type = "bool", risk = "Low", scope = "ingress",
    setting = "service-upstream", doc = "the ClusterIP instead of the endpoints" },
  entry("backend-protocol",
    { "HTTP", "HTTPS", "AUTO_HTTP", "GRPC", "GRPCS", "FCGI", fold = true }, "Low",
    { default = "HTTP", doc = "protocol of the backend" }),
  entry("connection-proxy-header", { "close", "keep-alive" }, "Low", { wrong = "drop",
    doc = "Connection for the backend" }),
  entry("custom-headers", "reference", "Medium", { wrong = "deny",
    doc = "ConfigMap of response headers" }),
  { name = "mirror-target", type = "url_template", risk = "High", scope = "ingress",
    differs = "the certificate of an https target is verified; requests without a body are copied "
      .. "at once, others when they are over",
    doc = "where a copy of each request goes" },
  { name = "mirror-request-body", type = "switch", risk = "Low", scope = "ingress", default = true,
    differs = "off leaves Content-Length out as well", detail_of = "mirror-target",
    doc = "copy the body" },
  { name = "mirror-host", type = "host", risk = "High", scope = "ingress",
    detail_of = "mirror-target", doc = "Host of the copy" },
  entry("default-backend", "reference", "Low", {
    doc = "Service when there are no endpoints, and for error pages" }),
  entry("custom-http-errors", "codes", "Low", { setting = "custom-http-errors", wrong = "drop",
    doc = "codes that the default backend answers",
    differs = "401 and 403 of address lists and of authentication are not replaced",
    differs_for = function(text) return text:find("40[13]") ~= nil end }),
  entry("disable-proxy-intercept-errors", "bool", "Low", {
    setting = "disable-proxy-intercept-errors", detail_of = "custom-http-errors",
    doc = "only codes of the gateway" }),

  tls("proxy-ssl-secret", "reference", "Medium", nil, "client certificate and CA"),
  tls("proxy-ssl-verify", "switch", "Low", false, "verify the backend; 502"),
  tls("proxy-ssl-verify-depth", "count", "Low", 1, "length of the chain"),
  tls("proxy-ssl-name", "host", "High", nil, "name for verification and SNI"),
  tls("proxy-ssl-server-name", "switch", "Low", false, "send SNI"),
  tls("proxy-ssl-ciphers", "text", "Medium", "DEFAULT", "suites, names of OpenSSL"),
  tls("proxy-ssl-protocols", "words", "Low", nil, "versions of TLS"),
}
