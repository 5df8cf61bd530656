-- SPDX-License-Identifier: Apache-2.0
--
-- The whole body of a request or a response, waited for and kept.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local fields = require("moongate.api.fields")
local json = require("moongate.api.json")
local task = require("moongate.api.task")
local vm = require("moongate.api.vm")

local M = {}

M.REQUEST = 0
M.RESPONSE = 1

--- What a body may have unless a limit is given.
M.BYTES_MAX = 1048576

local text = ffi.new("struct mg_text")

---@param object table  ctx.request or ctx.response
---@param which integer
---@param max integer?  bytes
---@return string? body
---@return string? err
---@return string? code
function M.read(object, which, max)
  fields.check(object)
  if C.mg_task_serves(vm, object.record) == 0 then
    error("a body is read in the hooks of its own request only", 3)
  end
  local started = C.mg_body_wait(vm, object.record, object.generation, which, max or M.BYTES_MAX)
  local result = task.wait(started)
  if result < 0 then
    return nil, errors.text(result), errors.name(result)
  end
  fields.must(C.mg_body_get(object.record, object.generation, which, text))
  return text.data ~= nil and ffi.string(text.data, text.length) or ""
end

--- As `read`, decoded as JSON.
function M.read_json(object, which, max)
  local body, err, code = M.read(object, which, max)
  if not body then
    return nil, err, code
  end
  return json.decode(body)
end

return M
