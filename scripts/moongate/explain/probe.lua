-- SPDX-License-Identifier: Apache-2.0
--
-- Requests that nobody sent: a method, a URL and fields, read by the parser of real ones, so that
-- routes see of them what they would see.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local vm = require("moongate.api.vm")

local M = {}

local CLIENT = "127.0.0.1"
local PORTS = { http = 80, https = 443 }

--- Takes a URL apart: `http://host/path`, `host/path` or `/path`.
---@param text string
---@return { scheme: string, authority: string, host: string, port: integer, target: string }?
---@return string? err
function M.parse_url(text)
  local scheme, rest = text:match("^(%a+)://(.*)$")
  scheme, rest = (scheme or "http"):lower(), rest or text
  if not PORTS[scheme] then
    return nil, ("%s: the scheme is http or https"):format(text)
  end
  local authority, target = rest:match("^([^/?#]*)([^#]*)")
  local host = authority:match("^(%[[%x:.]*%])") or authority:match("^[^:]*")
  local port = authority:sub(#host + 1):match("^:(%d+)$")
  if #host < #authority and not port then
    return nil, ("%s: what follows the host is no port"):format(text)
  elseif target:sub(1, 1) ~= "/" then
    target = "/" .. target
  end
  return {
    scheme = scheme,
    authority = authority,
    host = host,
    port = tonumber(port) or PORTS[scheme],
    target = target,
  }
end

local function head_of(method, url, headers)
  local lines = { ("%s %s HTTP/1.1"):format(method, url.target) }
  local has_host
  for _, field in ipairs(headers or {}) do
    has_host = has_host or field:lower():find("^host%s*:")
    lines[#lines + 1] = field
  end
  if not has_host then
    table.insert(lines, 2, "Host: " .. url.authority)
  end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines, "\r\n")
end

local Probe = {}
Probe.__index = Probe

--- A request for matching. To be closed.
---@param method string
---@param url table          of M.parse_url
---@param headers string[]?  lines `Name: value`
---@param client string?     address of the peer
---@return moongate.Probe?
---@return string? err
function M.new(method, url, headers, client)
  local head = head_of(method, url, headers)
  local out = ffi.new("struct mg_probe *[1]")
  local ip = client or CLIENT
  local tls = url.scheme == "https" and 1 or 0
  local result = C.mg_probe_new(vm, head, #head, ip, #ip, url.port, tls, out)
  if result < 0 then
    return nil, errors.text(result)
  end
  local request = C.mg_probe_request(out[0])
  local self = { handle = out[0], request = request, generation = request.generation }
  return setmetatable(self, Probe)
end

function Probe:close()
  if self.handle then
    C.mg_probe_free(self.handle)
    self.handle, self.request = nil, nil
  end
end

return M
