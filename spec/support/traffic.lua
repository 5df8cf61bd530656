-- SPDX-License-Identifier: Apache-2.0
--
-- Snapshots and requests for specs of what workers do in Lua, without a worker.
local core = require("spec.support.core")
local ffi = require("ffi")

local M = {}

local lib = core.api()
local anchors = setmetatable({}, { __mode = "k" })
local headers_of = {}

local function set_text(into, text, kept)
  kept[#kept + 1] = text
  into.data, into.length = text, #text
end

-- The exchange is not in this process: header fields come from the request's table.
local function request_header(request, _, name, length, nth, out)
  local fields = headers_of[request.slot]
  local values = fields and fields[ffi.string(name, length)]
  local value = values and values[nth + 1]
  if not value then
    return 0
  end
  out.data, out.length = value, #value
  return 1
end

-- What `moongate.api.core` is in the gateway.
M.C = setmetatable({ mg_request_header = request_header }, {
  __index = function(self, name)
    local found = lib[name]
    self[name] = found
    return found
  end,
})
package.loaded["moongate.api.core"] = M.C

local slot = 0

--- A `struct mg_request *` of `fields`: host, path, method, query, headers {name = {values}}.
function M.request(fields)
  local request = ffi.new("struct mg_request")
  local kept = {}
  anchors[request] = kept
  slot = slot + 1
  request.slot, request.generation = slot, 1
  headers_of[slot] = fields.headers
  set_text(request.method, fields.method or "GET", kept)
  set_text(request.path, fields.path or "/", kept)
  set_text(request.host, fields.host or "a.test", kept)
  set_text(request.client_ip, fields.client_ip or "127.0.0.1", kept)
  if fields.query then
    set_text(request.query, fields.query, kept)
  end
  return request
end

--- A snapshot of `model`, freed with the cdata.
function M.snapshot(model)
  local writer = M.writer()
  local snapshot = writer:build(model, 1)
  writer:close()
  return ffi.gc(snapshot, M.C.mg_snapshot_unref)
end

function M.writer(options)
  options = options or {}
  options.encode = options.encode or require("moongate.snapshot.encode").encode
  return require("moongate.snapshot.writer").new(options)
end

return M
