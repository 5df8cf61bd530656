-- SPDX-License-Identifier: Apache-2.0
--
-- ctx.response: the answer to the client, made by an upstream, a plugin or the gateway itself.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local fields = require("moongate.api.fields")
local json = require("moongate.api.json")
local task = require("moongate.api.task")
local vm = require("moongate.api.vm")

local M = {}

local Response = {}

local SOURCES = {
  [C.MG_SOURCE_UPSTREAM] = "upstream",
  [C.MG_SOURCE_PLUGIN] = "plugin",
  [C.MG_SOURCE_GATEWAY] = "gateway",
}
local text = ffi.new("struct mg_text")

local READ = {
  status = function(record)
    return record.status
  end,
  source = function(record)
    return SOURCES[record.source]
  end,
  upstream_status = function(record)
    return record.upstream_status > 0 and record.upstream_status or nil
  end,
  error = function(record)
    return record.error ~= 0 and errors.name(record.error) or nil
  end,
}

function Response.__index(self, key)
  local method = Response[key]
  if method then
    return method
  end
  local read = READ[key]
  if read then
    fields.check(self)
    return read(self.record)
  end
end

function Response.__newindex(_, key)
  error(("ctx.response.%s is read-only; use ctx.response:set_%s"):format(key, key), 2)
end

---@param name string
---@return string?
function Response:header(name)
  return fields.get(self, fields.RESPONSE, name, 0)
end

---@param name string
---@return string[]
function Response:header_values(name)
  return fields.values(self, fields.RESPONSE, name)
end

---@return { [1]: string, [2]: string }[]
function Response:headers()
  return fields.list(self, fields.RESPONSE)
end

---@return { [1]: string, [2]: string }[]
function Response:trailers()
  return fields.list(self, fields.RESPONSE_TRAILERS)
end

---@param status integer  200 to 599
function Response:set_status(status)
  fields.must(C.mg_response_set_status(self.record, self.generation, status))
end

---@param name string
---@param value string|number
function Response:set_header(name, value)
  fields.set(self, fields.RESPONSE, name, value, 0)
end

---@param name string
---@param value string|number
function Response:add_header(name, value)
  fields.set(self, fields.RESPONSE, name, value, 1)
end

---@param name string
function Response:remove_header(name)
  fields.remove(self, fields.RESPONSE, name)
end

---@param headers table<string, string|number>
function Response:set_headers(headers)
  for name, value in pairs(headers) do
    fields.set(self, fields.RESPONSE, name, value, 0)
  end
end

--- Appends a Set-Cookie field (RFC 6265 4.1).
---@param cookie string  name=value and attributes, as it stands in the field
function Response:set_cookie(cookie)
  fields.set(self, fields.RESPONSE, "Set-Cookie", cookie, 1)
end

--- Waits for the whole body; the head can still be changed.
---
--- Errors: `body_too_large`, `upstream_closed`.
---@param max integer?  bytes, 1 MiB unless given
---@return string? body
---@return string? err
---@return string? code
function Response:body(max)
  fields.check(self)
  local result = task.wait(C.mg_body_wait(vm, self.record, self.generation, 1, max or 1048576))
  if result < 0 then
    return nil, errors.text(result), errors.name(result)
  end
  fields.must(C.mg_body_get(self.record, self.generation, 1, text))
  return text.data ~= nil and ffi.string(text.data, text.length) or ""
end

---@return any? value
---@return string? err
function Response:body_json(max)
  local body, err, code = self:body(max)
  if not body then
    return nil, err, code
  end
  return json.decode(body)
end

--- Replaces the body; Content-Length follows, a validator and an encoding that no longer fit go.
---@param body string
function Response:set_body(body)
  fields.must(C.mg_response_drop_body(self.record, self.generation))
  fields.must(C.mg_respond_body(self.record, self.generation, body, #body))
  for _, name in ipairs({ "ETag", "Content-Encoding", "Content-MD5", "Content-Range" }) do
    fields.remove(self, fields.RESPONSE, name)
  end
end

---@param value any
function Response:set_body_json(value)
  self:set_body(json.encode(value))
  self:set_header("Content-Type", "application/json")
end

function M.new(record, generation)
  return setmetatable({ record = record, generation = generation }, Response)
end

return M
