-- SPDX-License-Identifier: Apache-2.0
--
-- ctx.request: the request as received. Read-only but in the rewrite hook, where method, host and
-- target may be changed because routes have not been matched yet.
local ffi = require("ffi")

local C = require("moongate.api.core")
local body = require("moongate.api.body")
local fields = require("moongate.api.fields")
local url = require("moongate.api.url")

local M = {}

local Request = {}
local text = ffi.new("struct mg_text")

local VERSIONS = { [10] = "1.0", [11] = "1.1", [20] = "2" }

local function string_of(value)
  return value.data ~= nil and ffi.string(value.data, value.length) or nil
end

-- What is read as a field: ctx.request.method and so on.
local READ = {
  method = function(record)
    return string_of(record.method)
  end,
  target = function(record)
    return string_of(record.target)
  end,
  path = function(record)
    return string_of(record.path)
  end,
  raw_path = function(record)
    local target = string_of(record.target)
    local mark = target:find("?", 1, true)
    return mark and target:sub(1, mark - 1) or target
  end,
  query_string = function(record)
    return string_of(record.query)
  end,
  host = function(record)
    return string_of(record.host)
  end,
  authority = function(record)
    return string_of(record.authority)
  end,
  public_authority = function(record)
    return string_of(record.public_authority)
  end,
  scheme = function(record)
    return record.secure == 1 and "https" or "http"
  end,
  port = function(record)
    return record.local_port
  end,
  http_version = function(record)
    return VERSIONS[record.version]
  end,
  start_time = function(record)
    return C.mg_time_now() - (C.mg_time_monotonic() - record.started_s)
  end,
  is_upgrade = function(record)
    return record.upgrade == 1
  end,
  id = function(record, generation)
    return C.mg_request_id(record, generation, text) == 1 and string_of(text) or nil
  end,
}

function Request.__index(self, key)
  local method = Request[key]
  if method then
    return method
  end
  local read = READ[key]
  if read then
    fields.check(self)
    return read(self.record, self.generation)
  end
end

function Request.__newindex(_, key)
  error(("ctx.request.%s is read-only; ctx.upstream holds what will be sent"):format(key), 2)
end

--- The first field of that name, without case.
---@param name string
---@return string? value
function Request:header(name)
  return fields.get(self, fields.REQUEST, name, 0)
end

---@param name string
---@return string[] values  of all fields of that name, in order
function Request:header_values(name)
  return fields.values(self, fields.REQUEST, name)
end

---@return { [1]: string, [2]: string }[]  name and value, in order
function Request:headers()
  return fields.list(self, fields.REQUEST)
end

---@return { [1]: string, [2]: string }[]  once the body is whole
function Request:trailers()
  return fields.list(self, fields.REQUEST_TRAILERS)
end

--- The first value of a query parameter, decoded.
---@param name string
---@return string?
function Request:query(name)
  return url.query_value(self.query_string or "", name)
end

---@return table<string, string[]>
function Request:query_all()
  return url.query_table(self.query_string or "")
end

---@param name string
---@return string?
function Request:cookie(name)
  for _, header in ipairs(self:header_values("cookie")) do
    local value = url.cookie_value(header, name)
    if value then
      return value
    end
  end
end

--- Waits for the whole body and keeps it: it is sent on from memory then.
---
--- Errors: `body_too_large`, `client_gone`.
---@param max integer?  bytes, 1 MiB unless given
---@return string? body
---@return string? err
---@return string? code
function Request:body(max)
  return body.read(self, body.REQUEST, max)
end

--- Has a copy of the body kept as it passes, for the log hook: nothing waits for it.
---@param max integer?  bytes, 1 MiB unless given; of a longer body nothing is kept
function Request:keep_body(max)
  fields.check(self)
  fields.must(C.mg_request_keep(self.record, self.generation, max or body.BYTES_MAX))
end

--- What keep_body has kept, once the body is whole; nil when it was too long or did not come whole.
---@return string?
function Request:kept_body()
  fields.check(self)
  if C.mg_request_kept(self.record, self.generation, text) == 1 then
    return text.length > 0 and ffi.string(text.data, text.length) or ""
  end
end

---@return any? value
---@return string? err
function Request:body_json(max)
  return body.read_json(self, body.REQUEST, max)
end

--- Bytes of the body as announced; nil when it is not known in advance.
---@return integer?
function Request:body_size()
  fields.check(self)
  local length = tonumber(self.record.body_length)
  return length >= 0 and length or nil
end

-- --- for the rewrite hook ----------------------------------------------------

local function before_route(self, name)
  fields.check(self)
  if self.record.route ~= nil then
    error(("ctx.request:%s belongs in the rewrite hook; later, ctx.upstream changes what is "
      .. "sent"):format(name), 3)
  end
end

--- Changes path and query as if they had been received so.
---@param target string  path, optionally with ?query
function Request:set_target(target)
  before_route(self, "set_target")
  fields.must(C.mg_request_set_target(self.record, self.generation, target, #target))
end

--- Changes the host that routes match.
---@param host string
function Request:set_host(host)
  before_route(self, "set_host")
  fields.must(C.mg_request_set_host(self.record, self.generation, host, #host))
end

---@param record ffi.cdata*  struct mg_request *
---@param generation integer
function M.new(record, generation)
  return setmetatable({ record = record, generation = generation }, Request)
end

return M
