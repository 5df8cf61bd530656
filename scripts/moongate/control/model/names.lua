-- SPDX-License-Identifier: Apache-2.0
-- The rules of Kubernetes for names, hosts and addresses. Each function takes a text and returns
-- nil when it is right, else what is wrong.
local M = {}

local function is_label(text)
  return #text <= 63 and text:find("^[a-z0-9]") and text:find("[a-z0-9]$")
    and not text:find("[^a-z0-9-]")
end

--- DNS-1123 label: names of Namespaces and of Services (which RFC 1035 restricts no further here).
function M.label(text)
  if not is_label(text) then
    return "must be a DNS label: lower-case letters, digits and '-', at most 63"
  end
end

--- DNS-1123 subdomain: names of most objects, hosts of rules.
function M.subdomain(text)
  local right = #text > 0 and #text <= 253 and not text:find("%.%.") and not text:find("%.$")
  for label in text:gmatch("[^.]+") do
    right = right and is_label(label)
  end
  if not right or text:find("^%.") then
    return "must be a DNS name: lower-case letters, digits, '-' and '.'"
  end
end

--- Host of an Ingress rule: a DNS name, or `*.` before one.
function M.host(text)
  if text:find("^%d+%.%d+%.%d+%.%d+$") or text:find(":", 1, true) then
    return "must be a DNS name, not an address"
  end
  local rest = text:match("^%*%.(.+)$") or text
  if rest:find("*", 1, true) then
    return "may have one '*', alone as its first label: \"*.example.com\""
  end
  return M.subdomain(rest)
end

--- Name of a port.
function M.port_name(text)
  if #text > 63 or not is_label(text) then
    return "must be a port name: lower-case letters, digits and '-', at most 63"
  end
end

--- Key of a Secret or a ConfigMap.
function M.key(text)
  if #text == 0 or #text > 253 or text:find("[^%w._-]") or text == "." or text == ".." then
    return "must be a key of letters, digits, '-', '_' and '.'"
  end
end

--- Text that may go into a field of a head: on one line, without control characters but the tab.
function M.field_text(text)
  if text:find("[\r\n]") then
    return "holds a line break"
  elseif text:find("[%z\1-\8\11\12\14-\31\127]") then
    return "holds a control character"
  end
end

--- Port number.
function M.port(number)
  if number < 1 or number > 65535 or number % 1 ~= 0 then
    return "must be a port from 1 to 65535"
  end
end

return M
