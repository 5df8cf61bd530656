-- SPDX-License-Identifier: Apache-2.0
--
-- Which spec stands for each acceptance case that is told in words alone, and so cannot be played
-- by a runner: a golden case, or a file and a piece of the name of its test.
local CASES = {
  ["ACL-014"] = { "spec/runtime/net/networks_spec.lua", '"2001:db8::/33"' },
  ["AFF-015"] = { "spec/flow/ingress_spec.lua", "(AFF-015)" },
  ["BACK-007"] = { "spec/translate/back-007-only-terminating-endpoints" },
  ["BACK-010"] = { "spec/translate/back-010-headless-with-service-upstream" },
  ["BACK-012"] = { "spec/translate/back-012-external-name-of-the-gateway-itself" },
  ["BODY-009"] = { "spec/flow/annotations_proxy_spec.lua", '"proxy-request-buffering", "off"' },
  ["BODY-010"] = { "spec/translate/every-other-annotation" },
  ["CANARY-044"] = { "spec/flow/ingress_spec.lua", "(CANARY-044)" },
  ["CFG-003"] = { "spec/flow/compress_spec.lua", "with use-gzip and enable-brotli, the gateway" },
  ["CFG-004"] = { "spec/runtime/exchange/access_log_spec.lua",
    "writes variables between the text of its format" },
  ["CFG-005"] = { "spec/flow/annotations_proxy_spec.lua", '"enable-access-log", "false"' },
  ["CFG-006"] = { "spec/flow/ingress_connections_spec.lua", "(CFG-006)" },
  ["CFG-007"] = { "spec/flow/stream_services_spec.lua", "(CFG-007)" },
  ["CFG-008"] = { "spec/flow/dashboards_spec.lua", "(CFG-008)" },
  ["CFG-009"] = { "spec/flow/opentelemetry_spec.lua", "(CFG-009)" },
  ["CFG-011"] = { "spec/flow/opentelemetry_spec.lua", "(CFG-011)" },
  ["CLASS-001"] = { "spec/translate/class-001-controller-of-the-class-is-ours" },
  ["CLASS-002"] = { "spec/translate/class-002-other-or-missing-class-is-ignored" },
  ["CLASS-003"] = { "spec/translate/class-003-annotation-without-class-name" },
  ["CLASS-005"] = { "spec/translate/class-005-class-name-wins-over-the-annotation" },
  ["CLASS-007"] = { "spec/translate/class-007-by-name" },
  ["DYN-002"] = { "spec/flow/ingress_spec.lua", "(DYN-002)" },
  ["DYN-003"] = { "spec/flow/ingress_spec.lua", "(DYN-003)" },
  ["DYN-005"] = { "spec/translate/dyn-005-unknown-names-do-not-stop-anything" },
  ["EXT-033"] = { "spec/flow/ingress_connections_spec.lua", "(EXT-033)" },
  ["MTLS-016"] = { "spec/flow/client_certificates_spec.lua", '{ "depth", "deep", 400 }' },
  ["PROTO-005"] = { "spec/flow/grpc_spec.lua", "hands messages, fields and trailers on" },
  ["PROTO-006"] = { "spec/flow/http2_tls_spec.lua", "is spoken where an Ingress says GRPCS" },
  ["PROTO-009"] = { "spec/flow/ingress_connections_spec.lua", "(PROTO-009)" },
  ["PROTO-011"] = { "spec/flow/protocol_spec.lua", "behind the PROXY protocol, the gateway" },
  ["PROTO-012"] = { "spec/flow/annotations_tls_spec.lua", '"proxy-ssl-protocols"' },
  ["PROTO-013"] = { "spec/flow/annotations_tls_spec.lua", '"proxy-ssl-secret"' },
  ["SAFE-001"] = { "spec/translate/safe-001-snippets-are-refused" },
  ["SAFE-002"] = { "spec/translate/safe-002-line-break-is-refused" },
  ["SAFE-003"] = { "spec/translate/safe-003-metacharacters-are-data" },
  ["SAFE-004"] = { "spec/translate/safe-004-metacharacters-in-paths" },
  ["SAFE-005"] = { "spec/translate/safe-005-auth-method" },
  ["SAFE-006"] = { "spec/translate/safe-006-headers-of-configmaps-are-data" },
  ["SAFE-007"] = { "spec/translate/safe-007-objects-of-other-namespaces" },
  ["SAFE-011"] = { "spec/translate/safe-011-risk-level" },
  ["SAFE-015"] = { "spec/translate/safe-015-second-canary-is-refused" },
  ["SAFE-017"] = { "spec/translate/safe-017-strict-path-types" },
  ["TIME-003"] = { "spec/flow/slow_spec.lua",
    "waits for a backend that is slow and yet goes on" },
  ["TIME-006"] = { "spec/flow/slow_spec.lua",
    "answers 504 when the backend does not take the request" },
  ["TLS-021"] = { "spec/translate/tls-021-certificates-by-host" },
  ["TLS-024"] = { "spec/flow/ingress_spec.lua", "(TLS-024)" },
  ["TLS-025"] = { "spec/flow/ingress_spec.lua", "(TLS-025)" },
  ["TLS-027"] = { "spec/flow/client_hello_spec.lua", "leaves TLS to the service" },
  ["WAF-001"] = { "spec/translate/waf-001-modsecurity-is-refused" },
}

-- What is not this program's doing, or cannot happen in it.
local ARGUED = {
  ["CLASS-008"] = "the API server writes the default class into an Ingress when that is made; what "
    .. "is read here has its class already",
  ["PROTO-010"] = "FastCGI is not spoken: paths with it answer 503, and the message says what to "
    .. "put in front of such a backend (routes_spec)",
  ["STATUS-002"] = "objects come from files, whose status is nobody's; there is no client of the "
    .. "API that could write one",
  ["SAFE-008"] = "Secrets stay in memory: nothing is written to a file, so no name can lead out of "
    .. "a folder",
  ["SAFE-009"] = "there is no admission webhook; `moongate check` judges files, and loads none",
}

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  if file then
    file:close()
  end
  return text
end

describe("acceptance cases in words", function()
  for id, case in pairs(CASES) do
    it(id .. " is covered by " .. case[1], function()
      local path = case[1]:find("^spec/translate/") and case[1] .. "/out.json" or case[1]
      local text = assert(read(path), path .. " is missing")
      assert.truthy(not case[2] or text:find(case[2], 1, true), case[2])
    end)
  end

  it("are 54, each once", function()
    local count, seen = 0, {}
    for _, map in ipairs({ CASES, ARGUED }) do
      for id in pairs(map) do
        assert.is_nil(seen[id], id)
        seen[id], count = true, count + 1
      end
    end
    assert.equal(54, count)
  end)
end)
