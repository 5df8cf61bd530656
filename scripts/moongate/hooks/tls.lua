-- SPDX-License-Identifier: Apache-2.0
--
-- TLS towards upstreams: services that ask for the same share a profile, and so kept connections.
local ffi = require("ffi")

local C = require("moongate.api.core")
local json = require("moongate.api.json")
local log = require("moongate.api.log")
local vm = require("moongate.api.vm")

local M = {}

local profiles = {} -- JSON of what is asked -> struct mg_tls_client *, or false
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

local function make(tls)
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
  local profile = C.mg_tls_client_new(vm, options, error_text, ffi.sizeof(error_text))
  if profile == nil then
    return nil, ffi.string(error_text)
  end
  return profile
end

--- The profile of connections to a balancer's service: nil for plain ones, false when what is asked
--- cannot be had.
---@param balancer moongate.Balancer
---@return ffi.cdata*|false|nil profile  struct mg_tls_client *
function M.profile(balancer)
  local tls = balancer.tls
  if not tls then
    return nil
  end
  local key = json.encode(tls)
  local profile = profiles[key]
  if profile == nil then
    local err
    profile, err = make(tls)
    if not profile then
      log.error("upstream_tls_rejected", { service = balancer.name, error = err })
      profile = false
    end
    profiles[key] = profile
  end
  return profile
end

return M
