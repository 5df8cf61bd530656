-- SPDX-License-Identifier: Apache-2.0
--
-- mg.shared: dictionaries that all workers share. Each call is atomic; a dictionary's memory is
-- bounded, what was used longest ago goes first; it survives reloads, not the process.
local ffi = require("ffi")

local C = require("moongate.api.core")
local clock = require("moongate.api.clock")
local errors = require("moongate.api.errors")
local values = require("moongate.api.values")
local vm = require("moongate.api.vm")

local M = {}

local NOTHING, NUMBER, TEXT, FALSE, TRUE = 0, 1, 2, 3, 4
local SET, ADD, REPLACE = 0, 1, 2

local found = ffi.new("struct mg_shared_value")
local wanted = ffi.new("struct mg_shared_value")
local before = ffi.new("struct mg_shared_value")
local number = ffi.new("double[1]")
local initial = ffi.new("double[1]")
local verdict = ffi.new("double[2]")
local text = ffi.new("struct mg_text")
local place = ffi.new("struct dict *[1]")

---@class moongate.Shared
local Shared = {}
Shared.__index = Shared

local function failure(code)
  return nil, errors.text(code), code == errors.LIMIT and "too_large" or errors.name(code)
end

local function check_key(key)
  if type(key) ~= "string" then
    error("a key is a string, not a " .. type(key), 3)
  end
end

-- Fills a cdata with a value; its string must live until the call.
local function put(into, value)
  local kind = type(value)
  into.data, into.length, into.number = nil, 0, 0
  if kind == "number" then
    into.kind, into.number = NUMBER, value
  elseif kind == "string" then
    into.kind, into.data, into.length = TEXT, value, #value
  elseif kind == "boolean" then
    into.kind = value and TRUE or FALSE
  elseif kind == "nil" then
    into.kind = NOTHING
  else
    error(("a value is a string, a number or a boolean, not a %s; encode it"):format(kind), 3)
  end
end

local function expires(ttl, now)
  if ttl == nil then
    return 0
  end
  local seconds = values.seconds(ttl)
  return seconds > 0 and now + seconds or 0
end

---@param key string
---@return string|number|boolean|nil
function Shared:get(key)
  check_key(key)
  if C.mg_shared_get(vm, self.dict, key, #key, clock.monotonic(), found) ~= 1 then
    return nil
  elseif found.kind == TEXT then
    return found.length > 0 and ffi.string(found.data, found.length) or ""
  elseif found.kind == NUMBER then
    return found.number
  end
  return found.kind == TRUE
end

local function store(self, key, value, ttl, mode)
  check_key(key)
  if value == nil then
    error("a value is not nil; use delete", 3)
  end
  put(wanted, value)
  local now = clock.monotonic()
  local result = C.mg_shared_set(self.dict, key, #key, now, wanted, expires(ttl, now), mode)
  if result < 0 then
    return failure(result)
  end
  return result == 1
end

--- Errors: `too_large`: more than the dictionary may hold.
---@param key string
---@param value string|number|boolean
---@param ttl number|string|nil  for ever unless given
---@return true?
---@return string? err
---@return string? code
function Shared:set(key, value, ttl)
  return store(self, key, value, ttl, SET)
end

--- Sets a key that is not there; false when it is.
---@return boolean?
---@return string? err
---@return string? code
function Shared:add(key, value, ttl)
  return store(self, key, value, ttl, ADD)
end

--- Sets a key that is there; false when it is not.
---@return boolean?
---@return string? err
---@return string? code
function Shared:replace(key, value, ttl)
  return store(self, key, value, ttl, REPLACE)
end

--- Adds to a number and returns it. With `init` one that is not there begins with that, and ends
--- after `ttl`, which later calls leave as it is.
---
--- Errors: `not_found`, `not_a_number`, `too_large`.
---@param key string
---@param by number?  1 unless given
---@param options { init: number?, ttl: number|string|nil }?
---@return number? value
---@return string? err
---@return string? code
function Shared:incr(key, by, options)
  check_key(key)
  local init = options and options.init
  initial[0] = init or 0
  local now = clock.monotonic()
  local ends = expires(options and options.ttl, now)
  local result =
    C.mg_shared_incr(self.dict, key, #key, now, by or 1, init and initial or nil, ends, number)
  if result == 1 then
    return number[0]
  elseif result == 0 then
    return nil, "there is no such key", "not_found"
  elseif result == errors.LIMIT then
    return failure(result)
  end
  return nil, "the value is not a number", "not_a_number"
end

--- Puts `value` where `old` is; nil stands for a key that is not there. False: there is another.
---@param key string
---@param old string|number|boolean|nil
---@param value string|number|boolean|nil
---@param ttl number|string|nil
---@return boolean?
---@return string? err
---@return string? code
function Shared:cas(key, old, value, ttl)
  check_key(key)
  put(before, old)
  put(wanted, value)
  local now = clock.monotonic()
  local result =
    C.mg_shared_swap(self.dict, key, #key, now, before, wanted, expires(ttl, now))
  if result < 0 then
    return failure(result)
  end
  return result == 1
end

---@param key string
---@return boolean  whether it was there
function Shared:delete(key)
  check_key(key)
  return C.mg_shared_delete(self.dict, key, #key, clock.monotonic()) == 1
end

--- Seconds until the key ends; nil when it is not there, math.huge when it never does.
---@param key string
---@return number?
function Shared:ttl(key)
  check_key(key)
  local now = clock.monotonic()
  if C.mg_shared_expires(self.dict, key, #key, now, number) ~= 1 then
    return nil
  end
  return number[0] > 0 and number[0] - now or math.huge
end

--- Ends the key after `ttl` from now; nil: never.
---@param key string
---@param ttl number|string|nil
---@return boolean  whether it is there
function Shared:expire(key, ttl)
  check_key(key)
  local now = clock.monotonic()
  return C.mg_shared_expire(self.dict, key, #key, now, expires(ttl, now)) == 1
end

--- Some of the keys, those that were used last first.
---@param most integer?  1000 unless given
---@return string[]
function Shared:keys(most)
  local list = {}
  if C.mg_shared_keys(vm, self.dict, clock.monotonic(), most or 1000, text) < 0 then
    return list
  end
  local bytes = text.length > 0 and ffi.string(text.data, text.length) or ""
  local at = 1
  while at < #bytes do
    local a, b, c, d = bytes:byte(at, at + 3)
    if ffi.abi("be") then
      a, b, c, d = d, c, b, a
    end
    local length = a + b * 256 + c * 65536 + d * 16777216
    list[#list + 1] = bytes:sub(at + 4, at + 3 + length)
    at = at + 4 + length
  end
  return list
end

--- How many keys there are; some may have ended already.
---@return integer
function Shared:size()
  return C.mg_shared_count(self.dict)
end

--- Removes all keys.
function Shared:flush()
  C.mg_shared_flush(self.dict)
end

local function limit_result(result)
  if result < 0 then
    return failure(result)
  end
  return result == 1, verdict[0], verdict[1]
end

--- Takes a token of a bucket that holds `burst` and gets `rate` a second.
---@param key string
---@param rate number   above 0
---@param burst number  at least 1
---@return boolean? taken
---@return number|string remaining  tokens that are left
---@return number|string wait  seconds until there is one
function Shared:take_token(key, rate, burst)
  check_key(key)
  if not (rate > 0 and burst >= 1) then
    error("take_token takes a rate above 0 and a burst of at least 1", 2)
  end
  local now = clock.monotonic()
  return limit_result(
    C.mg_shared_take_token(self.dict, key, #key, now, rate, burst, verdict)
  )
end

--- Counts one in a sliding window, unless `limit` is reached there.
---@param key string
---@param limit number
---@param window number|string  seconds, or "1m"
---@return boolean? counted
---@return number|string remaining
---@return number|string reset  seconds until the present window ends
function Shared:window_add(key, limit, window)
  check_key(key)
  local seconds = values.seconds(window)
  if seconds <= 0 then
    error("window_add takes a window above 0", 2)
  end
  local now = clock.monotonic()
  return limit_result(
    C.mg_shared_window_add(self.dict, key, #key, now, limit, seconds, verdict)
  )
end

local function open(_, name, options)
  if type(name) ~= "string" or name == "" then
    error("mg.shared takes a name", 2)
  end
  local size = 0
  if options and options.size then
    local err
    size, err = values.parse_bytes(options.size)
    if not size then
      error("mg.shared: size: " .. err, 2)
    end
  end
  local result = C.mg_shared(vm, name, #name, size, place)
  if result < 0 then
    error("mg.shared: " .. errors.text(result), 2)
  end
  return setmetatable({ dict = place[0] }, Shared)
end

--- `mg.shared(name, { size = "1m" })`: the dictionary of that name, made when it is first named.
--- The size that was said last counts; 1 MiB unless one is.
return setmetatable(M, { __call = open })
