-- SPDX-License-Identifier: Apache-2.0
--
-- The HTTP/1.1 parser for specs: bytes in, messages as plain tables out.
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "base/buf.h", "base/err.h", "http/head.h", "http/h1/parser.h" })
local C = core.C

local M = {}

local function text_of(arena, span)
  return span.len == 0 and "" or ffi.string(arena.data + span.at, span.len)
end

local function fields_of(arena, head)
  local fields = {}
  for i = 0, head.count - 1 do
    local field = head.fields[i]
    fields[i + 1] = text_of(arena, field.name) .. ": " .. text_of(arena, field.value)
  end
  return fields
end

local function table_of(arena, head)
  return {
    method = text_of(arena, head.method),
    target = text_of(arena, head.target),
    host = text_of(arena, head.host),
    status = head.status,
    version = head.version,
    body_len = tonumber(head.body_len),
    keep_alive = head.keep_alive == 1,
    upgrade = head.upgrade == 1,
    expect_continue = head.expect_continue == 1,
    fields = fields_of(arena, head),
  }
end

-- A callback of C must not be reached from a trace.
local function feed(parser, bytes, len)
  return tonumber(C.h1_parser_feed(parser, bytes, len))
end
jit.off(feed)

local function finish(parser)
  return C.h1_parser_end(parser)
end
jit.off(finish)

local function new_message()
  local self = {
    arena = ffi.gc(ffi.new("struct buf"), C.buf_fini),
    head = ffi.gc(ffi.new("struct head"), C.head_fini),
    trailers = ffi.gc(ffi.new("struct head"), C.head_fini),
  }
  self.message = ffi.new("struct http_message", self.arena, self.head, self.trailers)
  return self
end

local function events_into(state)
  local events = ffi.new("struct h1_parser_events")
  events.on_begin = function()
    local message = new_message()
    state[#state + 1] = message
    return message.message
  end
  events.on_head = function()
    local message = state[#state]
    for name, value in pairs(table_of(message.arena, message.head)) do
      message[name] = value
    end
    message.body = ""
    return state.skip_body and 1 or 0
  end
  events.on_body = function(_, data, len)
    local message = state[#state]
    message.body = message.body .. ffi.string(data, len)
    return 0
  end
  events.on_complete = function()
    local message = state[#state]
    message.complete = true
    message.trailer_fields = fields_of(message.arena, message.trailers)
    return 0
  end
  return events
end

local function free(events)
  for _, name in ipairs({ "on_begin", "on_head", "on_body", "on_complete" }) do
    events[name]:free()
  end
end

local function feed_all(parser, bytes, step, state)
  local at = 1
  while at <= #bytes do
    local piece = bytes:sub(at, at + step - 1)
    local used = feed(parser, piece, #piece)
    if used < 0 then
      state.err = ffi.string(C.err_name(used))
      return
    end
    at = at + used
    if parser.complete == 1 then
      if state.only_first then
        break
      end
      C.h1_parser_next(parser)
    elseif used < #piece then
      error(("the parser used %d of %d bytes"):format(used, #piece))
    end
  end
  state.used = at - 1
end

local LIMITS = { head_bytes = 32768, target_bytes = 8192, fields = 100, drop_names = 0 }

local function limits_of(options)
  local limits = ffi.new("struct http_limits")
  for name, default in pairs(LIMITS) do
    limits[name] = options[name] or default
  end
  return limits
end

--- Parses `bytes` and returns a list of messages with `err` (a name) or `used` (a number).
---
--- options: response, skip_body (as for HEAD), step (bytes a feed), finish (the peer ends),
--- only_first, head_bytes, target_bytes, fields, drop_names (limits).
function M.parse(bytes, options)
  options = options or {}
  local state = { skip_body = options.skip_body, only_first = options.only_first }
  local limits = limits_of(options)
  local events = events_into(state)
  local parser = ffi.new("struct h1_parser")
  C.h1_parser_init(parser, options.response and 1 or 0, limits, events)
  feed_all(parser, bytes, options.step or math.max(#bytes, 1), state)
  if options.finish and not state.err then
    local err = finish(parser)
    state.err = err < 0 and ffi.string(C.err_name(err)) or nil
  end
  free(events)
  return state
end

return M
