-- SPDX-License-Identifier: Apache-2.0
--
-- mg.trace: which trace a request belongs to, as `traceparent` and `tracestate` say (W3C Trace
-- Context), and what the service is told. What `read` has found counts until it is called again,
-- with no wait between; of a request that nobody records, no string is made.
local bit = require("bit")
local ffi = require("ffi")

local C = require("moongate.api.core")
local fields = require("moongate.api.fields")
local vm = require("moongate.api.vm")

local M = {}

-- version-trace-parent-flags, of 2, 32, 16 and 2 digits; a later version may go on behind a dash.
local TRACE, PARENT, FLAGS, LENGTH = 3, 36, 53, 55
local TRACE_BYTES, SPAN_BYTES = 16, 8

local NAME = "traceparent"
local ZERO, ONE, DASH, LAST = ("01-f"):byte(1, 4)

local VALUE = {} -- of a hexadecimal digit in lower case, by its byte
for value = 0, 15 do
  VALUE[("%x"):format(value):byte()] = value
end

local found, further = ffi.new("struct mg_text"), ffi.new("struct mg_text")
local bytes = ffi.new("char[?]", TRACE_BYTES)

-- What the service is told, but for the last digit, and the span that was there before, if so.
local own = ffi.new("char[?]", LENGTH + 1, "00-" .. ("0"):rep(32) .. "-" .. ("0"):rep(16) .. "-00")
local parent = ffi.new("char[?]", 2 * SPAN_BYTES)
local has_parent = false

-- --- reading -----------------------------------------------------------------

-- All bits of the digits together, 0 when each of them is 0; nil where there are others. A number,
-- since a boolean that changes within the loop is of two types to the compiler.
local function digits(text, first, count)
  local bits = 0
  for at = first, first + count - 1 do
    local value = VALUE[text[at]]
    if not value then
      return nil
    end
    bits = bit.bor(bits, value)
  end
  return bits
end

local function is_id(text, first, count)
  local bits = digits(text, first, count)
  return bits ~= nil and bits ~= 0
end

local function is_version(text, length)
  if length < LENGTH or not digits(text, 0, 2) or text[0] == LAST and text[1] == LAST then
    return false
  end
  local is_first = text[0] == ZERO and text[1] == ZERO
  return length == LENGTH or not is_first and text[LENGTH] == DASH
end

local function is_valid(text, length)
  return is_version(text, length)
    and text[TRACE - 1] == DASH
    and text[PARENT - 1] == DASH
    and text[FLAGS - 1] == DASH
    and is_id(text, TRACE, 2 * TRACE_BYTES)
    and is_id(text, PARENT, 2 * SPAN_BYTES)
    and digits(text, FLAGS, 2) ~= nil
end

-- More than one is as none.
local function is_continued(ctx)
  local record, generation = ctx.record, ctx.generation
  return C.mg_head_get(record, generation, fields.REQUEST, NAME, #NAME, 0, found) == 1
    and is_valid(found.data, found.length)
    and C.mg_head_get(record, generation, fields.REQUEST, NAME, #NAME, 1, further) ~= 1
end

local function draw(into, count)
  fields.must(C.mg_random_hex(vm, into, count))
end

--- Looks at a request, and gives it a span of its own, of the trace that the caller has begun or of
--- another.
---@param ctx moongate.Ctx
---@param trusts boolean  whether the caller is believed
---@return boolean goes_on
---@return boolean? is_sampled  by the caller
function M.read(ctx, trusts)
  fields.check(ctx)
  has_parent = trusts and is_continued(ctx)
  draw(own + PARENT, SPAN_BYTES)
  if not has_parent then
    draw(own + TRACE, TRACE_BYTES)
    return false
  end
  ffi.copy(own + TRACE, found.data + TRACE, 2 * TRACE_BYTES)
  ffi.copy(parent, found.data + PARENT, 2 * SPAN_BYTES)
  return true, VALUE[found.data[FLAGS + 1]] % 2 == 1
end

-- 52 bits, of which a double holds each.
local SHARE_DIGITS = 13

--- Where the trace lies in [0, 1): the same for all who sample it, by the end of its number, which
--- is random.
---@return number
function M.point()
  local value = 0
  for at = PARENT - 1 - SHARE_DIGITS, PARENT - 2 do
    value = value * 16 + VALUE[own[at]]
  end
  return value / 16 ^ SHARE_DIGITS
end

local function raw(text, first, count)
  for i = 0, count - 1 do
    bytes[i] = VALUE[text[first + 2 * i]] * 16 + VALUE[text[first + 2 * i + 1]]
  end
  return ffi.string(bytes, count)
end

--- The numbers of the trace, of the request's own span and of the one before, as bytes.
---@return string trace
---@return string span
---@return string? parent
function M.ids()
  return raw(own, TRACE, TRACE_BYTES), raw(own, PARENT, SPAN_BYTES),
    has_parent and raw(parent, 0, SPAN_BYTES) or nil
end

-- --- telling -----------------------------------------------------------------

--- Tells the service. Of the flags only the one of sampling is known here, and none else passed on.
---@param ctx moongate.Ctx
---@param is_sampled boolean
function M.tell(ctx, is_sampled)
  own[LENGTH - 1] = is_sampled and ONE or ZERO
  fields.must(C.mg_head_set(ctx.record, ctx.generation, fields.UPSTREAM, NAME, #NAME, own, LENGTH,
    0))
end

-- --- tracestate --------------------------------------------------------------

local MEMBERS_MAX = 32
local KEYS = { "^%l[%l%d_%-*/]*$", "^[%l%d][%l%d_%-*/]*@%l[%l%d_%-*/]*$" }
local KEY_MAX, TENANT_MAX, SYSTEM_MAX, VALUE_MAX = 256, 241, 14, 256

local function is_key(key)
  local tenant, system = key:match("^([^@]*)@(.*)$")
  if tenant then
    return #tenant <= TENANT_MAX and #system <= SYSTEM_MAX and key:find(KEYS[2]) ~= nil
  end
  return #key <= KEY_MAX and key:find(KEYS[1]) ~= nil
end

local function is_value(value)
  return #value > 0 and #value <= VALUE_MAX and not value:find("[^ -~]") and not value:find("[,=]")
end

local function is_state(text)
  local count, seen = 0, {}
  for member in text:gmatch("[^,]+") do
    member = member:match("^[ \t]*(.-)[ \t]*$")
    local key, value = member:match("^([^=]*)=(.*)$")
    if member ~= "" then
      count = count + 1
      if not key or seen[key] or count > MEMBERS_MAX or not is_key(key) or not is_value(value) then
        return false
      end
      seen[key] = true
    end
  end
  return count > 0
end

--- What callers say to each other in tracestate: it goes on to the service, unless the trace does
--- not, or it is not valid.
---@param ctx moongate.Ctx
---@param goes_on boolean  of `read`
---@return string? state
function M.state(ctx, goes_on)
  if not ctx.request:header("tracestate") then
    return nil
  end
  local text = table.concat(ctx.request:header_values("tracestate"), ",")
  if goes_on and is_state(text) then
    return text
  end
  ctx.upstream:remove_header("tracestate")
end

return M
