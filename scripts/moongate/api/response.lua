-- SPDX-License-Identifier: Apache-2.0
--
-- ctx.response: the answer to the client, made by an upstream, a plugin or the gateway itself.
local C = require("moongate.api.core")
local body = require("moongate.api.body")
local errors = require("moongate.api.errors")
local fields = require("moongate.api.fields")
local json = require("moongate.api.json")

local M = {}

local Response = {}

local SOURCES = {
  [C.MG_SOURCE_UPSTREAM] = "upstream",
  [C.MG_SOURCE_PLUGIN] = "plugin",
  [C.MG_SOURCE_GATEWAY] = "gateway",
}

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

-- Whether a list of names, as Vary has them, holds a lower-case one or `*`.
local function covers(list, wanted)
  for name in list:gmatch("[^,%s]+") do
    if name == "*" or name:lower() == wanted then
      return true
    end
  end
  return false
end

--- Says that the answer depends on a field of the request (RFC 9110 12.5.5), unless it says so.
---@param name string
function Response:add_vary(name)
  local wanted = name:lower()
  for _, list in ipairs(self:header_values("vary")) do
    if covers(list, wanted) then
      return
    end
  end
  self:add_header("Vary", name)
end

--- Appends a Set-Cookie field (RFC 6265 4.1).
---@param cookie string  name=value and attributes, as it stands in the field
function Response:set_cookie(cookie)
  fields.set(self, fields.RESPONSE, "Set-Cookie", cookie, 1)
end

--- Waits for the whole body, as it came: compressed where Content-Encoding says so. The head can
--- still be changed.
---
--- Errors: `body_too_large`, `upstream_closed`.
---@param max integer?  bytes, 1 MiB unless given
---@return string? body
---@return string? err
---@return string? code
function Response:body(max)
  return body.read(self, body.RESPONSE, max)
end

--- As `body`, decoded as JSON.
---
--- Errors: those of `body`, `invalid`, `coded` where Content-Encoding says that it is compressed.
---@param max integer?
---@return any? value
---@return string? err
---@return string? code
function Response:body_json(max)
  local coding = self:header("content-encoding")
  if coding and coding:lower() ~= "identity" then
    return nil, ("the body is coded as %s; remove Accept-Encoding from the request in `access`")
      :format(coding), "coded"
  end
  return body.read_json(self, body.RESPONSE, max)
end

--- Replaces the body; Content-Length follows, a validator and an encoding that no longer fit go.
---@param content string
function Response:set_body(content)
  fields.must(C.mg_response_drop_body(self.record, self.generation))
  fields.must(C.mg_respond_body(self.record, self.generation, content, #content))
  for _, name in ipairs({ "ETag", "Content-Encoding", "Content-MD5", "Content-Range" }) do
    fields.remove(self, fields.RESPONSE, name)
  end
end

local CODINGS = { gzip = 0, br = 1 }

--- Sends the body in a content coding, piece by piece, and says so in the head.
---@param coding "gzip"|"br"
---@param level integer  1 to 9, of br 0 to 11
function Response:encode(coding, level)
  fields.must(C.mg_response_encode(self.record, self.generation, CODINGS[coding], level))
  self:set_header("Content-Encoding", coding)
  for _, name in ipairs({ "Accept-Ranges", "Content-MD5" }) do
    fields.remove(self, fields.RESPONSE, name)
  end
  local tag = self:header("etag")
  if tag and tag:sub(1, 2) ~= "W/" then
    self:set_header("ETag", "W/" .. tag) -- the bytes are others (RFC 9110 8.8.1)
  end
end

--- Bytes of the body that response_body hooks see at most at once; as they come unless set.
---@param bytes integer  at least 1
function Response:set_piece_size(bytes)
  fields.check(self)
  self.record.piece_bytes = bytes
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
