-- SPDX-License-Identifier: Apache-2.0
--
-- Variables of nginx as data: the names that templates of annotations may hold, and how each is
-- read of a request. Nothing in a template is ever run.
local ffi = require("ffi")

local C = require("moongate.api.core")
local base64 = require("moongate.api.base64")
local url = require("moongate.api.url")

local M = {}

local text = ffi.new("struct mg_text")

local function string_of(value)
  return value.data ~= nil and ffi.string(value.data, value.length) or ""
end

local function header(request, generation, name)
  if C.mg_request_header(request, generation, name, #name, 0, text) == 1 then
    return string_of(text)
  end
  return ""
end

-- All fields of that name, as nginx joins them: nothing may be hidden from a key in a second one.
local function joined(request, generation, name)
  local value, nth = header(request, generation, name), 1
  while C.mg_request_header(request, generation, name, #name, nth, text) == 1 do
    value = value .. (name == "cookie" and "; " or ", ") .. string_of(text)
    nth = nth + 1
  end
  return value
end

local function scheme(request)
  return request.secure == 1 and "https" or "http"
end

local function port(request)
  local settings = C.mg_settings(M.vm)
  return tostring(request.secure == 1 and settings.public_https_port or settings.public_http_port)
end

local function tls_fact(fact)
  return function(request, generation)
    return C.mg_client_tls(request, generation, fact, text) == 1 and string_of(text) or ""
  end
end

-- What a route is called: texts at some distance behind its first byte.
local function name_of(field)
  return function(request)
    local names = request.names
    if names == nil then
      return ""
    end
    return ffi.string(ffi.cast("const char *", request.route) + names[field].at,
      names[field].length)
  end
end

local READ = {
  args = function(request)
    return string_of(request.query)
  end,
  content_length = function(request, generation)
    return header(request, generation, "content-length")
  end,
  content_type = function(request, generation)
    return header(request, generation, "content-type")
  end,
  host = function(request)
    return string_of(request.host)
  end,
  http_host = function(request)
    return string_of(request.authority)
  end,
  best_http_host = function(request)
    return string_of(request.public_authority)
  end,
  is_args = function(request)
    return request.query.length > 0 and "?" or ""
  end,
  remote_user = function(request, generation)
    local encoded = header(request, generation, "authorization"):match("^[Bb]asic +(%S+)")
    local credentials = encoded and base64.decode(encoded)
    return credentials and credentials:match("^([^:]*):") or ""
  end,
  remote_addr = function(request)
    return string_of(request.client_ip)
  end,
  remote_port = function(request)
    return tostring(request.client_port)
  end,
  request_id = function(request, generation)
    return C.mg_request_id(request, generation, text) == 1 and string_of(text) or ""
  end,
  request_method = function(request)
    return string_of(request.method)
  end,
  request_uri = function(request)
    return string_of(request.target)
  end,
  escaped_request_uri = function(request)
    return url.escape(string_of(request.target))
  end,
  scheme = scheme,
  server_port = function(request)
    return tostring(request.local_port)
  end,
  pass_port = port,
  server_protocol = function(request)
    return ({ [10] = "HTTP/1.0", [11] = "HTTP/1.1", [20] = "HTTP/2.0" })[request.version] or ""
  end,
  uri = function(request)
    return string_of(request.path)
  end,
  ingress_name = name_of("ingress"),
  namespace = name_of("space"),
  service_name = name_of("service"),
  service_port = name_of("port"),
  proxy_upstream_name = name_of("upstream"),
  location_path = name_of("path"),
  ssl_protocol = tls_fact(C.MG_TLS_VERSION),
  ssl_cipher = tls_fact(C.MG_TLS_CIPHER),
  ssl_server_name = tls_fact(C.MG_TLS_SNI),
  ssl_session_reused = tls_fact(C.MG_TLS_RESUMED),
  ssl_client_verify = tls_fact(C.MG_TLS_VERIFY),
  ssl_client_s_dn = tls_fact(C.MG_TLS_SUBJECT),
  ssl_client_i_dn = tls_fact(C.MG_TLS_ISSUER),
  ssl_client_serial = tls_fact(C.MG_TLS_SERIAL),
  ssl_client_fingerprint = tls_fact(C.MG_TLS_FINGERPRINT),
  msec = function()
    return ("%.3f"):format(C.mg_time_now())
  end,
  time_iso8601 = function()
    return os.date("!%Y-%m-%dT%H:%M:%S+00:00", math.floor(C.mg_time_now()))
  end,
  time_local = function()
    return os.date("!%d/%b/%Y:%H:%M:%S +0000", math.floor(C.mg_time_now()))
  end,
}

local SAME = {
  query_string = "args",
  document_uri = "uri",
  server_name = "host",
  hostname = "host",
  the_real_ip = "remote_addr",
  binary_remote_addr = "remote_addr", -- as text: what is counted or hashed is the same
  pass_access_scheme = "scheme",
  pass_server_port = "pass_port",
  req_id = "request_id",
}
for name, other in pairs(SAME) do
  READ[name] = READ[other]
end

function READ.proxy_add_x_forwarded_for(request, generation)
  local before = joined(request, generation, "x-forwarded-for")
  local ip = string_of(request.client_ip)
  return before ~= "" and before .. ", " .. ip or ip
end

local FAMILIES = {
  http = function(request, generation, name)
    return joined(request, generation, (name:gsub("_", "-")))
  end,
  arg = function(request, _, name)
    return url.query_value(string_of(request.query), name) or ""
  end,
  cookie = function(request, generation, name)
    return url.cookie_value(joined(request, generation, "cookie"), name) or ""
  end,
}

--- The value of a variable; an unset or unknown one is the empty text.
---@param request ffi.cdata*
---@param generation integer
---@param name string  without `$`
---@return string
function M.value(request, generation, name)
  local read = READ[name]
  if read then
    return read(request, generation)
  end
  local family, rest = name:match("^(%a+)_(.+)$")
  local of = FAMILIES[family]
  return of and of(request, generation, rest) or ""
end

--- Fills a template in.
---@param parts { text: string?, var: string? }[]
---@return string
function M.fill(request, generation, parts)
  local out = {}
  for i, part in ipairs(parts) do
    out[i] = part.text or M.value(request, generation, part.var)
  end
  return table.concat(out)
end

M.vm = require("moongate.api.vm")

return M
