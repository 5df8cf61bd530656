-- SPDX-License-Identifier: Apache-2.0
--
-- Profiles of TLS towards other servers: who asks for the same shares one, and so kept connections.
local ffi = require("ffi")

local C = require("moongate.api.core")
local json = require("moongate.api.json")
local vm = require("moongate.api.vm")

local M = {}

local profiles = {} -- JSON of what is asked -> { profile, err }, for as long as the thread lives
local count = 0
local error_text = ffi.new("char[256]")

local VERSIONS = { ["TLSv1.2"] = 12, ["TLSv1.3"] = 13 }

local function versions(text)
  local least, most = 0, 0
  for word in (text or ""):gmatch("%S+") do
    local version = VERSIONS[word]
    if version then
      least = least == 0 and version or math.min(least, version)
      most = math.max(most, version)
    end
  end
  return least, most
end

local function make(tls, version)
  local options = ffi.new("struct mg_tls_options")
  local function set(field, value)
    options[field].data, options[field].length = value, value and #value or 0
  end
  options.verify = tls.verify and 1 or 0
  options.depth = tls.verify_depth or -1
  set("ca", tls.ca)
  set("certificate", tls.certificate)
  set("key", tls.key)
  options.server_name = tls.send_server_name ~= false and tls.server_name or nil
  options.verify_name = tls.server_name
  options.min_version, options.max_version = versions(
    type(tls.protocols) == "table" and table.concat(tls.protocols, " ") or tls.protocols
  )
  options.protocol = version
  options.suites = tls.ciphers
  local profile = C.mg_tls_client_new(vm, options, error_text, ffi.sizeof(error_text))
  if profile == nil then
    return nil, ffi.string(error_text)
  end
  return ffi.gc(profile, C.mg_tls_client_free)
end

--- The profile for what is asked, made once.
---@param tls table  { verify, verify_depth, ca, certificate, key, server_name, protocols, … }
---@param version integer?  of HTTP: 0 (default) 1.1, 1 HTTP/2, 2 what is agreed on
---@param most integer?  none is made when there are so many; for what requests can name
---@return ffi.cdata*? profile  struct mg_tls_client *
---@return string? err
---@return boolean? is_new  it was made by this call
function M.profile(tls, version, most)
  version = version or 0
  local key = version .. json.encode(tls)
  local known = profiles[key]
  if known then
    return known.profile, known.err, false
  end
  if most and count >= most then
    return nil, ("%d names and settings of TLS are in use, no further one is taken"):format(count)
  end
  local profile, err = make(tls, version)
  count = count + 1
  profiles[key] = { profile = profile, err = err }
  return profile, err, true
end

return M
