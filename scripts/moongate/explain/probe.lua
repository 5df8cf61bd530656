-- SPDX-License-Identifier: Apache-2.0
--
-- Requests that nobody sent: a method, a URL and fields, read by the parser of real ones, so that
-- routes see of them what they would see.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local networks = require("moongate.api.ip")
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
    return nil, ("url %q: the scheme is http or https"):format(text)
  end
  local authority, target = rest:match("^([^/?#]*)([^#]*)")
  local host = authority:match("^(%[[%x:.]*%])") or authority:match("^[^:]*")
  local port = authority:sub(#host + 1):match("^:(%d+)$")
  if #host < #authority and not port then
    return nil, ("url %q: what follows the host is no port"):format(text)
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

local function is_host(field)
  return field:lower():find("^host%s*:") ~= nil
end

local function head_of(method, url, headers)
  local lines = { ("%s %s HTTP/1.1"):format(method, url.target) }
  local has_host
  for _, field in ipairs(headers or {}) do
    has_host = has_host or is_host(field)
    lines[#lines + 1] = field
  end
  if not has_host then
    table.insert(lines, 2, "Host: " .. url.authority)
  end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines, "\r\n")
end

local function read(method, url, headers, ip)
  local head = head_of(method, url, headers)
  local out = ffi.new("struct mg_probe *[1]")
  local tls = url.scheme == "https" and 1 or 0
  local result = C.mg_probe_new(vm, head, #head, ip, #ip, url.port, tls, out)
  return result >= 0 and out[0] or nil, result
end

-- --- what is wrong -------------------------------------------------------------

local SOUND = { scheme = "http", port = 80, authority = "a.test", target = "/" }

-- Only the parser knows what it takes: each part is read beside others that are sound.
local function is_sound(method, part, headers)
  local url = setmetatable(part, { __index = SOUND })
  local handle = read(method, url, headers, CLIENT)
  if handle then
    C.mg_probe_free(handle)
  end
  return handle ~= nil
end

local function wrong_header(headers)
  for _, field in ipairs(headers) do
    if not is_sound("GET", {}, { field }) then
      return ("header %q: write Name: value"):format(field)
    end
  end
end

local function wrong_authority(authority)
  if authority == "" then
    return "url: there is no host; write http://host/path, or give a header Host: host"
  end
  return ("url: %q cannot be a host"):format(authority)
end

-- The part that is wrong, if it is wrong by itself.
local function wrong_part(method, url, headers)
  local has_host = false
  for _, field in ipairs(headers) do
    has_host = has_host or is_host(field)
  end
  if not is_sound(method, {}) then
    return ("method %q: it is none that is known here; write GET and the like, in capitals"):format(
      method)
  elseif not is_sound("GET", { target = url.target }) then
    return ("url: %q cannot be a path"):format(url.target)
  elseif not has_host and not is_sound("GET", { authority = url.authority }) then
    return wrong_authority(url.authority)
  end
  return wrong_header(headers)
end

-- --- requests ------------------------------------------------------------------

local function is_address(text)
  return not text:find("/", 1, true) and networks.cidr_set({ text }) ~= nil
end

local Probe = {}
Probe.__index = Probe

--- A request for matching. To be closed.
---@param method string
---@param url table          of M.parse_url
---@param headers string[]?  lines `Name: value`
---@param client string?     address of the peer
---@return moongate.Probe?
---@return string? err  names the part that is wrong
function M.new(method, url, headers, client)
  if client and not is_address(client) then
    return nil, ("client %q: it is no IP address"):format(client)
  end
  local handle, result = read(method, url, headers, client or CLIENT)
  if not handle then
    return nil, wrong_part(method, url, headers or {}) or errors.text(result)
  end
  local request = C.mg_probe_request(handle)
  local self = { handle = handle, request = request, generation = request.generation }
  return setmetatable(self, Probe)
end

function Probe:close()
  if self.handle then
    C.mg_probe_free(self.handle)
    self.handle, self.request = nil, nil
  end
end

return M
