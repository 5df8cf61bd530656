-- SPDX-License-Identifier: Apache-2.0
--
-- The affinity cookie as text: `NAME=<key>|<backend key>`, as ingress-nginx writes it, so that
-- sessions of either are at least understood by the other.
local ffi = require("ffi")

local C = require("moongate.api.core")
local samesite = require("moongate.balance.samesite")

local M = {}

local DEFAULT_NAME = "INGRESSCOOKIE"
local HEADER = "cookie"

local text = ffi.new("struct mg_text")
local digest = ffi.new("char[33]")

---@return string hexadecimal
function M.md5(value)
  if C.mg_md5(value, #value, digest) < 0 then
    error("out of memory", 0)
  end
  return ffi.string(digest, 32)
end

--- What stands for a service in its cookies.
---@return string
function M.backend_key(service_name)
  return M.md5(M.md5(service_name) .. service_name)
end

---@return string
function M.name_of(affinity)
  return affinity.cookie or DEFAULT_NAME
end

local function value_in(header, name)
  for pair in header:gmatch("[^;]+") do
    local key, value = pair:match("^%s*([^=]*)=(.-)%s*$")
    if key == name then
      return value
    end
  end
end

--- Key and backend key of the request's cookie; nil without one.
---@param request ffi.cdata*
---@return string? key
---@return string? backend_key
function M.read(request, generation, name)
  local nth = 0
  while C.mg_request_header(request, generation, HEADER, #HEADER, nth, text) == 1 do
    local value = value_in(ffi.string(text.data, text.length), name)
    if value and value ~= "" then
      local key, backend = value:match("^([^|]*)|?([^|]*)")
      return key, backend ~= "" and backend or nil
    end
    nth = nth + 1
  end
end

---@class moongate.CookieContext
---@field path? string
---@field secure boolean  the request came by https
---@field user_agent? string
---@field now? number

-- Cookies without the attribute are safer with browsers that misread it.
local function wants_samesite(affinity, agent)
  return affinity.samesite ~= "None"
    or not affinity.conditional_samesite_none
    or samesite.takes_none(agent)
end

--- The value of a Set-Cookie field.
---
--- `path` is that of the route, for an affinity that names none; `now` is the time of day.
---@param affinity table  of the model's service
---@param value string
---@param context moongate.CookieContext  with `now`
---@return string
function M.write(affinity, value, context)
  local parts = { ("%s=%s"):format(M.name_of(affinity), value) }
  local function add(attribute, content)
    if content and content ~= "" then
      parts[#parts + 1] = ("%s=%s"):format(attribute, content)
    end
  end
  if affinity.expires then
    add("Expires", os.date("!%a, %d-%b-%y %H:%M:%S GMT", context.now + affinity.expires))
  end
  add("Max-Age", affinity.max_age and ("%d"):format(affinity.max_age))
  add("Domain", affinity.domain)
  add("Path", affinity.path or context.path or "/")
  if affinity.secure or context.secure then
    parts[#parts + 1] = "Secure"
  end
  parts[#parts + 1] = "HttpOnly"
  if wants_samesite(affinity, context.user_agent) then
    add("SameSite", affinity.samesite)
  end
  return table.concat(parts, "; ")
end

return M
