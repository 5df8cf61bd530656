-- SPDX-License-Identifier: Apache-2.0
--
-- Settings that C reads, from the vocabulary of moongate.settings. Runs in every thread that has
-- connections of clients.
local bit = require("bit")

local C = require("moongate.api.core")
local vm = require("moongate.api.vm")

local M = {}

-- enum exchange_fields
local FORWARDED, VIA, REAL_IP, SCHEME, REQUEST_ID, ORIGINAL_URI, APPEND = 1, 2, 4, 8, 16, 32, 64

local function request_fields(values)
  local bits = bit.bor(FORWARDED, REAL_IP, SCHEME)
  local function when(name, flag)
    if values[name] then
      bits = bit.bor(bits, flag)
    end
  end
  when("via", VIA)
  when("generate-request-id", REQUEST_ID)
  when("proxy-add-original-uri-header", ORIGINAL_URI)
  when("compute-full-forwarded-for", APPEND)
  return bits
end

--- Applies a whole table of typed settings (moongate.settings.read): times in ms, sizes in bytes.
---@param values table<string, any>
function M.apply(values)
  local settings = C.mg_settings(vm)
  settings.client_header_ms = values["client-header-timeout"]
  settings.client_body_ms = values["client-body-timeout"]
  settings.keep_alive_ms = values["keep-alive"]
  settings.client_send_ms = values["client-send-timeout"]
  settings.tunnel_ms = values["tunnel-timeout"]
  settings.header_bytes = values["max-header-size"]
  settings.target_bytes = values["large-client-header-buffers"].size
  settings.fields = values["max-headers"]
  settings.public_http_port = values["public-http-port"]
  settings.public_https_port = values["public-https-port"]
  settings.proxy_protocol = values["use-proxy-protocol"] and 1 or 0
  settings.request_fields = request_fields(values)
  C.mg_settings_apply(vm)
  C.mg_trust_clear(vm)
  if values["use-forwarded-headers"] or values["use-proxy-protocol"] then
    for _, network in ipairs(values["proxy-real-ip-cidr"]) do
      C.mg_trust(vm, network, #network)
    end
  end
end

return M
