-- SPDX-License-Identifier: Apache-2.0
--
-- mg.http: requests of scripts. They go over kept connections, wait without holding up anybody
-- else, and end within a time and a size.
local ffi = require("ffi")

local C = require("moongate.api.core")
local dns = require("moongate.api.dns")
local errors = require("moongate.api.errors")
local json = require("moongate.api.json")
local protocols = require("moongate.protocols")
local task = require("moongate.api.task")
local tls = require("moongate.api.tls")
local TOKEN = require("moongate.api.token")
local url = require("moongate.api.url")
local values = require("moongate.api.values")
local vm = require("moongate.api.vm")

local M = {}

local TIMEOUT_SECONDS = 5
local BODY_BYTES = 1048576

local name_text = ffi.new("struct mg_text")
local value_text = ffi.new("struct mg_text")

---@class moongate.HttpRequest
---@field url string
---@field method string?           GET, or POST with a body, unless given
---@field headers table<string, string|string[]>?
---@field body string?
---@field json any                 sent as the body, with its Content-Type
---@field query table<string, string|number>?  added to the URL
---@field timeout number|string?   for all of it, 5 s unless given
---@field max_body integer|string? of the response, 1 MiB unless given
---@field service string?          name of a service of the gateway: one of its endpoints is asked
---@field tls table?               { verify, ca, certificate, key, server_name }; verifies by itself

---@class moongate.HttpResponse
---@field status integer
---@field headers table<string, string>  by lower-case name, values joined by ", "
---@field trailers table<string, string>  fields behind the body, the same way
---@field body string
local Response = {}
Response.__index = Response

--- The first value of a field.
---@param name string
---@return string?
function Response:header(name)
  return self:header_values(name)[1]
end

---@param name string
---@return string[]
function Response:header_values(name)
  local list = {}
  for _, field in ipairs(self.fields) do
    if field[1]:lower() == name:lower() then
      list[#list + 1] = field[2]
    end
  end
  return list
end

---@return string
function Response:text()
  return self.body
end

--- Errors: `invalid`.
---@return any? value
---@return string? err
---@return string? code
function Response:json()
  return json.decode(self.body)
end

local function by_name(fields)
  local all = {}
  for _, field in ipairs(fields) do
    local name = field[1]:lower()
    all[name] = all[name] and all[name] .. ", " .. field[2] or field[2]
  end
  return all
end

--- A response of parts; what tests answer with.
---@param status integer
---@param fields { [1]: string, [2]: string }[]
---@param body string
---@param trailers { [1]: string, [2]: string }[]?
---@return moongate.HttpResponse
function M.response(status, fields, body, trailers)
  return setmetatable({
    status = status,
    headers = by_name(fields),
    trailers = by_name(trailers or {}),
    fields = fields,
    body = body,
  }, Response)
end

-- --- where it goes -----------------------------------------------------------

-- A profile lives as long as the thread, and names may come from requests.
local PROFILES_MAX = 1000

local function profile_of(request, target)
  local protocol = protocols[target.scheme]
  if not protocol.tls then
    return nil
  end
  local wanted = { verify = true, server_name = target.host }
  for key, value in pairs(request.tls or {}) do
    wanted[key] = value
  end
  return tls.profile(wanted, protocol.version, PROFILES_MAX)
end

-- Where requests went of late: an endpoint's kept connections go when it is released.
local KEEP_SECONDS = 60
local endpoints = {} -- "address port version profile" -> { number, uses, used_at }

local function sweep(now)
  for key, endpoint in pairs(endpoints) do
    if endpoint.uses == 0 and now - endpoint.used_at > KEEP_SECONDS then
      endpoints[key] = nil
      C.mg_endpoint_release(vm, endpoint.number)
    end
  end
end

local function endpoint_of(address, port, version, profile)
  local key = ("%s %d %d %s"):format(address, port, version, tostring(profile))
  local endpoint = endpoints[key]
  if not endpoint then
    sweep(C.mg_time_monotonic())
    local number = C.mg_endpoint(vm, address, #address, port, version, profile)
    if number < 0 then
      return nil, number
    end
    endpoint = { number = number, uses = 0 }
    endpoints[key] = endpoint
  end
  return endpoint
end

-- --- sending -----------------------------------------------------------------

local function put_headers(fetch, headers)
  local seen = {}
  for name, value in pairs(headers) do
    seen[name:lower()] = true
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      one = tostring(one)
      local result = C.mg_fetch_header(fetch, name, #name, one, #one)
      if result < 0 then
        return nil, ("header %s: %s"):format(name, errors.text(result))
      end
    end
  end
  return seen
end

local function body_of(request)
  if request.json ~= nil then
    return json.encode(request.json), "application/json"
  end
  return request.body
end

-- Framing is ours: a body has a length, and a method that may have one says so.
local OURS = { ["content-length"] = true, ["transfer-encoding"] = true, connection = true }

local function put_own_headers(fetch, request, target, kind)
  local headers = {}
  for name, value in pairs(request.headers or {}) do
    if not OURS[name:lower()] then
      headers[name] = value
    end
  end
  local seen, err = put_headers(fetch, headers)
  if not seen then
    return nil, err
  end
  return put_headers(fetch, {
    Host = not seen.host and target.authority or nil,
    ["Content-Type"] = not seen["content-type"] and kind or nil,
  })
end

local function new_fetch(request, target)
  local body, kind = body_of(request)
  local method = request.method or (body and "POST" or "GET")
  if not method:find(TOKEN) then
    return nil, ("method %q: not a name of a method"):format(method), "bad_field"
  end
  local fetch = C.mg_fetch_new(vm, method, #method, target.target, #target.target)
  if fetch == nil then
    return nil, "out of memory", "no_memory"
  end
  fetch = ffi.gc(fetch, C.mg_fetch_free)
  local ok, err = put_own_headers(fetch, request, target, kind)
  if not ok then
    return nil, err, "bad_field"
  end
  if body and C.mg_fetch_body(fetch, body, #body) < 0 then
    return nil, "out of memory", "no_memory"
  end
  return fetch
end

local function string_of(text)
  return text.length > 0 and ffi.string(text.data, text.length) or ""
end

local function fields_by(field_at, fetch)
  local fields = {}
  while field_at(fetch, #fields, name_text, value_text) == 1 do
    fields[#fields + 1] = { string_of(name_text), string_of(value_text) }
  end
  return fields
end

local function response_of(fetch)
  local fields = fields_by(C.mg_fetch_head_at, fetch)
  local trailers = fields_by(C.mg_fetch_trailer_at, fetch)
  C.mg_fetch_text(fetch, value_text)
  return M.response(C.mg_fetch_status(fetch), fields, string_of(value_text), trailers)
end

local CODES = { upstream_timeout = "timeout", upstream_send_timeout = "timeout",
  connect_timeout = "timeout" }

local function failure(result)
  local name = errors.name(result)
  return nil, errors.text(result), CODES[name] or name
end

--- Chooses an endpoint of a service of the gateway, in workers: { number, uses, done }, or nil and
--- the code of an error. `done` is told the outcome, as Balancer:done is.
M.choose = nil

-- Where the request goes: { number, uses }, or nil and the code of an error or its text and name.
local function destination(request, target)
  if request.service then
    if not M.choose then
      return nil, "services are known to workers only", "service"
    end
    local endpoint, code = M.choose(request.service)
    if not endpoint then
      return failure(code)
    end
    return endpoint
  end
  local address, err, code = dns.address(target.host)
  if not address then
    return nil, err, code
  end
  local profile
  profile, err = profile_of(request, target)
  if err then
    return nil, err, "tls_config"
  end
  local endpoint
  endpoint, code = endpoint_of(address, target.port, protocols[target.scheme].version, profile)
  if not endpoint then
    return failure(code)
  end
  return endpoint
end

-- The endpoint is in use meanwhile, also when a hook's deadline ends the wait.
local function wait(fetch, endpoint, seconds, limit)
  endpoint.uses = endpoint.uses + 1
  local ok, result = pcall(function()
    return task.wait(C.mg_fetch_wait(vm, fetch, endpoint.number, seconds, seconds, limit))
  end)
  endpoint.uses = endpoint.uses - 1
  endpoint.used_at = C.mg_time_monotonic()
  if endpoint.done then
    endpoint.done(not ok and "gone" or result < 0 and "failed" or "ok")
  end
  if not ok then
    error(result, 0)
  end
  return result
end

--- Sends a request over the network. Tests put another function here.
---@param request moongate.HttpRequest
---@param target table  of url.parse
---@return moongate.HttpResponse?
---@return string? err
---@return string? code
function M.transport(request, target)
  local seconds = request.timeout and values.seconds(request.timeout) or TIMEOUT_SECONDS
  local until_s = C.mg_time_monotonic() + seconds
  local fetch, err, code = new_fetch(request, target)
  if not fetch then
    return nil, err, code
  end
  local endpoint
  endpoint, err, code = destination(request, target)
  if not endpoint then
    return nil, err, code
  end
  local left = math.max(0.001, until_s - C.mg_time_monotonic())
  local limit = request.max_body and values.parse_bytes(request.max_body) or BODY_BYTES
  local result = wait(fetch, endpoint, left, limit)
  if result < 0 then
    return failure(result)
  end
  return response_of(fetch)
end

local function with_query(text, query)
  local pairs_of = {}
  for name, value in pairs(query) do
    pairs_of[#pairs_of + 1] = url.escape(name) .. "=" .. url.escape(tostring(value))
  end
  table.sort(pairs_of)
  local mark = text:find("?", 1, true) and "&" or "?"
  return #pairs_of > 0 and text .. mark .. table.concat(pairs_of, "&") or text
end

--- Sends a request and waits for the whole response, whatever its status.
---
--- Errors: `timeout`, `connect`, `upstream_closed`, `body_too_large`, `invalid` (the URL), those of
--- mg.dns.resolve and of TLS.
---@param request moongate.HttpRequest
---@return moongate.HttpResponse?
---@return string? err
---@return string? code
function M.request(request)
  if type(request) ~= "table" or type(request.url) ~= "string" then
    error("mg.http.request takes a table with a url", 2)
  end
  local text = request.query and with_query(request.url, request.query) or request.url
  local target, err, code = url.parse(text)
  if not target then
    return nil, err, code
  end
  return M.transport(request, target)
end

local function with(method, text, options)
  local request = { method = method, url = text }
  for key, value in pairs(options or {}) do
    request[key] = value
  end
  return M.request(request)
end

---@param text string  the URL
---@param options moongate.HttpRequest?
---@return moongate.HttpResponse?
---@return string? err
---@return string? code
function M.get(text, options)
  return with("GET", text, options)
end

function M.delete(text, options)
  return with("DELETE", text, options)
end

---@param text string  the URL
---@param body string|table|nil  a table is sent as JSON
---@param options moongate.HttpRequest?
---@return moongate.HttpResponse?
---@return string? err
---@return string? code
function M.post(text, body, options)
  local all = { [type(body) == "table" and "json" or "body"] = body }
  for key, value in pairs(options or {}) do
    all[key] = value
  end
  return with("POST", text, all)
end

function M.put(text, body, options)
  local all = { [type(body) == "table" and "json" or "body"] = body }
  for key, value in pairs(options or {}) do
    all[key] = value
  end
  return with("PUT", text, all)
end

return M
