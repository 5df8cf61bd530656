-- SPDX-License-Identifier: Apache-2.0
--
-- Settings that C reads, from the vocabulary of moongate.settings. Runs in every thread that has
-- connections of clients.
local bit = require("bit")
local ffi = require("ffi")

local C = require("moongate.api.core")
local vm = require("moongate.api.vm")
local vocabulary = require("moongate.settings")

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

-- --- the access log ----------------------------------------------------------

local JSON_FORMAT = '{"time":"$time_iso8601","remote_addr":"$remote_addr",'
  .. '"remote_user":"$remote_user",'
  .. '"request_id":"$req_id","method":"$request_method","host":"$host","uri":"$request_uri",'
  .. '"protocol":"$server_protocol","status":$status,"bytes_sent":$body_bytes_sent,'
  .. '"request_length":$request_length,"request_time":$request_time,"referer":"$http_referer",'
  .. '"user_agent":"$http_user_agent","namespace":"$namespace","ingress":"$ingress_name",'
  .. '"upstream_name":"$proxy_upstream_name","upstream_addr":"$upstream_addr",'
  .. '"upstream_status":"$upstream_status","upstream_response_time":"$upstream_response_time",'
  .. '"upstream_response_length":"$upstream_response_length"}'

local ESCAPE_DEFAULT, ESCAPE_JSON, ESCAPE_NONE = 0, 1, 2

-- The default format is one of JSON where JSON is asked for.
local function log_format(values)
  local format = values["log-format-upstream"]
  local json = values["log-format-escape-json"]
  if format == vocabulary.get("log-format-upstream").default then
    json = json or C.mg_log_is_json() == 1
    format = json and JSON_FORMAT or format
  end
  if json then
    return format, ESCAPE_JSON
  end
  return format, values["log-format-escape-none"] and ESCAPE_NONE or ESCAPE_DEFAULT
end

local function set_text(text, value)
  text.data, text.length = value, #value
end

local function apply_access_log(values)
  local wanted = ffi.new("struct mg_access_log")
  local off = values["disable-access-log"] or values["disable-http-access-log"]
  local format, escape = log_format(values)
  local own_path = values["http-access-log-path"]
  local path = own_path ~= "" and own_path or values["access-log-path"]
  local skip = table.concat(values["skip-access-log-urls"], "\n")
  set_text(wanted.format, off and "" or format)
  set_text(wanted.path, path)
  set_text(wanted.skip, skip)
  wanted.escape = escape
  wanted.not_found = values["enable-access-log-for-default-backend"] and 1 or 0
  C.mg_access_log(vm, wanted) -- C tells what is wrong in the log
end

local function trust(networks)
  for _, network in ipairs(networks) do
    C.mg_trust(vm, network, #network)
  end
end

--- Applies a whole table of typed settings (moongate.settings.read): times in ms, sizes in bytes.
---@param values table<string, any>
function M.apply(values)
  local settings = C.mg_settings(vm)
  settings.client_header_ms = values["client-header-timeout"]
  settings.client_body_ms = values["client-body-timeout"]
  settings.keep_alive_ms = values["keep-alive"]
  -- 0 is none beyond the first, as nginx has it.
  settings.keep_alive_requests = math.max(1, values["keep-alive-requests"])
  settings.client_send_ms = values["client-send-timeout"]
  settings.tunnel_ms = values["tunnel-timeout"]
  settings.header_bytes = values["max-header-size"]
  settings.target_bytes = values["large-client-header-buffers"].size
  settings.field_bytes = values["large-client-header-buffers"].size
  settings.fields = values["max-headers"]
  settings.drop_underscores = values["enable-underscores-in-headers"] and 0 or 1
  settings.upstream_idle_count = values["upstream-keepalive-connections"]
  settings.upstream_idle_ms = values["upstream-keepalive-timeout"]
  settings.upstream_requests = math.max(1, values["upstream-keepalive-requests"])
  settings.upstream_life_ms = values["upstream-keepalive-time"]
  settings.public_http_port = values["public-http-port"]
  settings.public_https_port = values["public-https-port"]
  settings.proxy_protocol = values["use-proxy-protocol"] and 1 or 0
  settings.request_fields = request_fields(values)
  C.mg_settings_apply(vm)
  apply_access_log(values)
  C.mg_trust_clear(vm)
  trust(values["trusted-proxies"])
  if values["use-forwarded-headers"] or values["use-proxy-protocol"] then
    trust(values["proxy-real-ip-cidr"])
  end
end

return M
