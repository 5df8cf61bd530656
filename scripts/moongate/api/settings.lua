-- SPDX-License-Identifier: Apache-2.0
--
-- Settings that C reads, from the vocabulary of moongate.settings. Runs in every thread that has
-- connections of clients.
local bit = require("bit")
local ffi = require("ffi")

local C = require("moongate.api.core")
local vm = require("moongate.api.vm")
local version = require("moongate.version")
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

-- enum name_oddity
local UNDERSCORE, OTHER = 1, 2

-- As nginx, which ignores a name with an underscore for being invalid too.
local function dropped_names(values)
  if not values["ignore-invalid-headers"] then
    return 0
  end
  return values["enable-underscores-in-headers"] and OTHER or bit.bor(UNDERSCORE, OTHER)
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

local JSON_STREAM_FORMAT = '{"time":"$time_iso8601","remote_addr":"$remote_addr",'
  .. '"remote_port":"$remote_port","protocol":"$protocol","server_port":$server_port,'
  .. '"status":$status,"bytes_sent":$bytes_sent,"bytes_received":$bytes_received,'
  .. '"session_time":$session_time,"upstream_addr":"$upstream_addr"}'

-- The default format is one of JSON where JSON is asked for.
local function log_format(values, name, json_format)
  local format = values[name]
  local json = values["log-format-escape-json"]
  if format == vocabulary.get(name).default then
    json = json or C.mg_log_is_json() == 1
    format = json and json_format or format
  end
  if json then
    return format, ESCAPE_JSON
  end
  return format, values["log-format-escape-none"] and ESCAPE_NONE or ESCAPE_DEFAULT
end

local function set_text(text, value)
  text.data, text.length = value, #value
end

-- Of TCP and UDP services.
local function apply_stream_log(values)
  local wanted = ffi.new("struct mg_access_log")
  local off = values["disable-access-log"] or values["disable-stream-access-log"]
  local format, escape = log_format(values, "log-format-stream", JSON_STREAM_FORMAT)
  local own_path = values["stream-access-log-path"]
  local path = own_path ~= "" and own_path or values["access-log-path"]
  set_text(wanted.format, off and "" or format)
  set_text(wanted.path, path)
  wanted.escape, wanted.streams = escape, 1
  C.mg_access_log(vm, wanted) -- as below
end

local function apply_access_log(values)
  local wanted = ffi.new("struct mg_access_log")
  local off = values["disable-access-log"] or values["disable-http-access-log"]
  local format, escape = log_format(values, "log-format-upstream", JSON_FORMAT)
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

local function trust(networks, address_only)
  for _, network in ipairs(networks) do
    C.mg_trust(vm, network, #network, address_only and 1 or 0)
  end
end

-- As ingress-nginx, where the PROXY header tells the address unless use-forwarded-headers is on.
local function apply_trust(values)
  local field = values["forwarded-for-header"]
  C.mg_trust_clear(vm, field, #field)
  trust(values["trusted-proxies"])
  if values["use-forwarded-headers"] then
    trust(values["proxy-real-ip-cidr"])
  elseif values["enable-real-ip"] and not values["use-proxy-protocol"] then
    trust(values["proxy-real-ip-cidr"], true)
  end
end

local function apply_http2(settings, values)
  settings.h2 = values["use-http2"] and 1 or 0
  settings.h2_streams = values["http2-max-concurrent-streams"]
  settings.h2_stream_window = values["http2-stream-window"]
  settings.h2_connection_window = values["http2-connection-window"]
  settings.h2_table_bytes = values["http2-header-table-size"]
  settings.h2_continuations = values["http2-max-continuations"]
  settings.h2_resets = values["http2-max-resets"]
  settings.h2_control_frames = values["http2-max-control-frames"]
  settings.upstream_ping_ms = values["upstream-ping-interval"]
  settings.upstream_ping_wait_ms = values["upstream-ping-timeout"]
end

local function apply_tls(values)
  local wanted = ffi.new("struct mg_tls_serve")
  local suites, groups = values["ssl-ciphers"], values["ssl-ecdh-curve"]
  wanted.min_version = values["ssl-protocols"].least
  wanted.max_version = values["ssl-protocols"].most
  wanted.client_order = values["ssl-prefer-server-ciphers"] and 0 or 1
  if values["ssl-session-cache"] or values["ssl-session-tickets"] then
    wanted.resume_s = math.min(math.floor(values["ssl-session-timeout"] / 1000), 604800)
  end
  wanted.suites, wanted.groups = suites, groups
  C.mg_tls_serve(vm, wanted) -- moongate.control.secure tells what is wrong
end

local function apply_streams(settings, values)
  local again = values["proxy-stream-next-upstream"]
  settings.stream_ms = values["proxy-stream-timeout"]
  settings.stream_connect_ms = values["proxy-connect-timeout"]
  settings.stream_tries = again and values["proxy-stream-next-upstream-tries"] or 1
  settings.stream_tries_ms = values["proxy-stream-next-upstream-timeout"]
  settings.stream_responses = values["proxy-stream-responses"]
  settings.udp_sessions = values["max-worker-udp-sessions"]
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
  settings.drop_names = dropped_names(values)
  settings.upstream_idle_count = values["upstream-keepalive-connections"]
  settings.upstream_idle_ms = values["upstream-keepalive-timeout"]
  settings.upstream_requests = math.max(1, values["upstream-keepalive-requests"])
  settings.upstream_life_ms = values["upstream-keepalive-time"]
  settings.public_http_port = values["public-http-port"]
  settings.public_https_port = values["public-https-port"]
  settings.proxy_protocol = values["use-proxy-protocol"] and 1 or 0
  settings.proxy_header_ms = values["proxy-protocol-header-timeout"]
  settings.tls_handshake_ms = values["tls-handshake-timeout"]
  settings.connections = values["max-worker-connections"]
  settings.metric_series = values["max-metric-series"]
  apply_http2(settings, values)
  apply_streams(settings, values)
  settings.request_fields = request_fields(values)
  C.mg_settings_apply(vm)
  apply_tls(values)
  apply_access_log(values)
  apply_stream_log(values)
  apply_trust(values)
  local server = values["server-tokens"] and "moongate/" .. version or ""
  C.mg_server_name(vm, server, #server)
end

return M
