-- SPDX-License-Identifier: Apache-2.0
-- Text with variables of nginx (`$host`, `${request_uri}`) as a list of parts. The variables are
-- a fixed list; nothing in a text is ever run. A part is { text = "…" } or { var = "host" };
-- whoever fills one in takes an unset variable as the empty text.
local M = {}

--- Names of variables; besides, there are those that begin with http_, arg_ and cookie_.
M.names = {}

local FIXED = {}
for word in ([[
  args binary_remote_addr body_bytes_sent content_length content_type document_uri host hostname
  http_host is_args location_path namespace ingress_name service_name service_port
  remote_addr remote_port remote_user request_id request_method request_uri req_id query_string
  scheme server_name server_port server_protocol uri the_real_ip best_http_host
  pass_access_scheme pass_port
  pass_server_port proxy_add_x_forwarded_for proxy_upstream_name escaped_request_uri
  ssl_client_s_dn ssl_client_i_dn ssl_client_verify ssl_cipher ssl_protocol ssl_server_name
  ssl_client_serial ssl_client_fingerprint ssl_session_reused time_iso8601 time_local msec
]]):gmatch("%S+") do
  FIXED[word] = true
  M.names[#M.names + 1] = word
end

local function is_known(name)
  if FIXED[name] then
    return true
  end
  local family, rest = name:match("^(%a+_)(.+)$")
  return rest ~= nil and (family == "http_" or family == "arg_" or family == "cookie_")
end

--- Parses a text.
---@param text string
---@return { text: string?, var: string? }[]? parts
---@return string? err  an unknown variable
function M.parse(text)
  local parts = {}
  local at = 1
  while at <= #text do
    local dollar = text:find("$", at, true)
    if dollar ~= at then
      parts[#parts + 1] = { text = text:sub(at, (dollar or #text + 1) - 1) }
    end
    if not dollar then
      break
    end
    local name, after = text:match("^%${([%w_]+)}()", dollar)
    if not name then
      name, after = text:match("^%$([%a_][%w_]*)()", dollar)
    end
    if not name then
      return nil, "a '$' must be followed by the name of a variable"
    elseif not is_known(name) then
      return nil, ("there is no variable $%s; see the list of variables"):format(name)
    end
    parts[#parts + 1] = { var = name }
    at = after
  end
  return parts
end

--- True when the parts hold no variable.
function M.is_fixed(parts)
  for _, part in ipairs(parts) do
    if part.var then
      return false
    end
  end
  return true
end

--- The text that parts were made of, each variable in one spelling: equal texts mean the same.
---@param parts { text: string?, var: string? }[]
---@return string
function M.text(parts)
  local out = {}
  for i, part in ipairs(parts) do
    out[i] = part.text or "${" .. part.var .. "}"
  end
  return table.concat(out)
end

--- Whether a value is a list of parts, as `parse` gives.
---@return boolean
function M.are_parts(value)
  for _, part in ipairs(value) do
    local is_text = type(part) == "table" and type(part.text) == "string"
    if not is_text and not (type(part) == "table" and type(part.var) == "string") then
      return false
    end
  end
  return #value > 0
end

return M
