-- SPDX-License-Identifier: Apache-2.0
--
-- What mg.route may say, read before anything is made of it: what is wrong is told with its field,
-- and costs that declaration only.
local plan = require("moongate.hooks.plan")
local s = require("moongate.api.schema")

local M = {}

local MILLISECONDS_MAX = 2 ^ 31 - 1
local BYTES_MAX = 2 ^ 53
local HEAD_BYTES_MAX = 2 ^ 32 - 1
local PRIORITY_MAX = 2 ^ 31 - 1

local function milliseconds()
  return s.integer():between(0, MILLISECONDS_MAX)
end

local function retry_words()
  local words = { "off" }
  for name in pairs(plan.RETRY) do
    words[#words + 1] = name
  end
  table.sort(words)
  return words
end

local HEALTH = s.record({
  path = s.path():description("asked of each endpoint; without it and grpc there are no checks"),
  grpc = s.one_of(s.boolean(), s.string():len(0, 127))
    :description("instead of path: ask by gRPC's health protocol, of this service or of all"),
  host = s.header_value():len(1):description("Host of a check; the endpoint's address by default"),
  status = s.one_of(s.status_code(), s.array(s.status_code()):len(1))
    :description("what a healthy endpoint answers; 200 to 399 by default"),
  interval = s.duration():default("5s"):between("100ms", "1h"),
  timeout = s.duration():default("1s"):between("10ms", "1m"),
  healthy = s.integer():default(2):between(1, 100):description("good checks until it is back"),
  unhealthy = s.integer():default(3):between(1, 100):description("bad checks until it is out"),
  max_fails = s.integer():default(0):between(0, 1000000)
    :description("failed attempts within fail_timeout until it is left out; 0: never"),
  fail_timeout = s.duration():default("10s"):between("1ms", "1d"),
  slow_start = s.duration():default("0s"):between("0s", "1d")
    :description("until an endpoint that is new or back has its full weight"),
})

-- The configuration itself is judged with its plugin.
local PLUGIN = s.record({ name = s.string():required():len(1), config = s.any(), id = s.string() })
  :check(function(plugin)
    if plugin.config ~= nil and type(plugin.config) ~= "table" then
      return ("config must be a table, not a %s"):format(type(plugin.config))
    end
  end)

local function conditions(name)
  return s.array(s.record({
    name = name:required(),
    type = s.enum("exact", "present", "regex"),
    value = s.string(),
  }):requires({ if_field = "type", equals = "regex", then_required = "value" }))
end

local SETTINGS = s.record({
  connect_timeout_ms = milliseconds(),
  send_timeout_ms = milliseconds(),
  read_timeout_ms = milliseconds(),
  tries = s.integer():between(0, 1000000):description("in all; 0 is no limit"),
  tries_ms = milliseconds():description("no new try after that; 0 is no limit"),
  retry_on = s.array(s.enum(retry_words())),
  body_limit_bytes = s.integer():between(0, BYTES_MAX):description("0 is no limit"),
  response_head_limit_bytes = s.integer():between(0, HEAD_BYTES_MAX),
  buffer_request = s.boolean(),
  http_version = s.enum("1.0", "1.1"),
  access_log = s.boolean(),
})

local ROUTE = s.record({
  host = s.string(),
  path = s.string(),
  match = s.enum("prefix", "exact", "regex"),
  methods = s.array(s.http_method()),
  headers = conditions(s.header_name()),
  query = conditions(s.string():len(1)),
  to = s.one_of(s.string():len(1), s.array(s.string():len(1)):len(1)),
  plugins = s.array(s.one_of(s.string():len(1), PLUGIN)),
  settings = SETTINGS,
  balance = s.enum("round_robin", "least_requests", "ewma")
    :description("those of moongate.balance that need no key"),
  health = HEALTH,
  priority = s.integer():between(-PRIORITY_MAX, PRIORITY_MAX),
  name = s.string():len(1),
})

local OF_CHECKS = { "host", "status", "interval", "timeout", "healthy", "unhealthy" }

local function check_without_path(health)
  for _, key in ipairs(OF_CHECKS) do
    if health[key] ~= nil and health.path == nil and not health.grpc then
      return ("health.%s is of checks, which need a path to ask for, or grpc"):format(key)
    end
  end
end

-- As a script would write it: lists begin with 1.
local function field_of(keys)
  local parts = {}
  for i, key in ipairs(keys) do
    local form = type(key) == "number" and "[%d]" or i > 1 and ".%s" or "%s"
    parts[i] = form:format(type(key) == "number" and key or tostring(key))
  end
  return table.concat(parts)
end

local function text_of(faults)
  local list = {}
  for i, one in ipairs(faults) do
    local field, hint = field_of(one.keys), one.hint and "; " .. one.hint or ""
    list[i] = (field ~= "" and field .. ": " or "") .. one.message .. hint
  end
  return table.concat(list, "; ")
end

--- Reads a declaration.
---@param value table  as the script wrote it
---@return table? read  health with its defaults; nothing else has any
---@return string? err  all that is wrong
function M.read(value)
  local read, faults = ROUTE:read(value)
  local err = not read and text_of(faults) or value.health and check_without_path(value.health)
  if err then
    return nil, err
  end
  return read
end

return M
