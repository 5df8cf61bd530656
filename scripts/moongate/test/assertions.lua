-- SPDX-License-Identifier: Apache-2.0
--
-- Assertions on responses and on what upstreams received:
--
--   assert.response(res).has.status(404).json({ error = "…" }).header("Name", "value")
--   assert.http_stub("GET http://a/b").was.called(2)
--   assert.upstream(h).received.header("Name", "value"); assert.upstream(h).was_not.called()
local http = require("moongate.test.http")
local json = require("moongate.api.json")
local luassert = require("luassert")
local say = require("say")
local util = require("luassert.util")

local M = {}

-- The text of a failure is made where it is known, and luassert has nothing to add.
say:set("assertion.moongate.any", "")

local function subject(state, what)
  local found = rawget(state, "moongate_subject")
  if not found then
    error(("assert.%s needs assert.response(…) or assert.upstream(…) before it"):format(what), 4)
  end
  return found
end

-- For what follows in the same chain: the same subject, without `not` and without words.
local function chain(found)
  local state = luassert.state()
  rawset(state, "moongate_subject", found)
  return { state }
end

local function describe(found)
  local text = found.body and #found.body > 0 and (" with body %q"):format(found.body:sub(1, 300))
  return (found.line or "no message") .. (text or "")
end

local function expect(state, found, ok, wanted)
  local words = ("Expected %s%s, but there is:\n%s"):format(state.mod and "" or "not ", wanted,
    describe(found))
  rawset(state, "failure_message", words)
  return ok, chain(found)
end

local function message_of(found)
  if found.requests then
    return found.requests[#found.requests] or { fields = {}, headers = {}, line = "no request" }
  end
  return found
end

local function value_of(message, name)
  return message.headers[name:lower()]
end

local checks = {}

function checks.status(state, arguments)
  local found = subject(state, "status")
  return expect(state, found, found.status == arguments[1], "status " .. tostring(arguments[1]))
end

function checks.header(state, arguments)
  local found = subject(state, "header")
  local name, wanted = arguments[1], arguments[2]
  local value = value_of(message_of(found), name)
  local ok = value ~= nil and (wanted == nil or value == tostring(wanted))
  local text = wanted and (" of %q, not %s"):format(tostring(wanted), tostring(value)) or ""
  local same, retained = expect(state, message_of(found), ok, ("header %s%s"):format(name, text))
  retained[1] = chain(found)[1]
  return same, retained
end

function checks.body(state, arguments)
  local found = subject(state, "body")
  local message = message_of(found)
  local ok = message.body == arguments[1]
  local same, retained = expect(state, message, ok, ("body %q"):format(tostring(arguments[1])))
  retained[1] = chain(found)[1]
  return same, retained
end

function checks.json(state, arguments)
  local found = subject(state, "json")
  local message = message_of(found)
  local value = json.decode(message.body or "")
  local ok = value ~= nil and util.deepcompare(value, arguments[1], true)
  local same, retained = expect(state, message, ok, "JSON " .. json.encode(arguments[1]))
  retained[1] = chain(found)[1]
  return same, retained
end

-- What luassert's `called` counts.
local function counted(server)
  return {
    called = function(_, times)
      local count = #server.requests
      return times and count == times or not times and count > 0, { count, times or 1 }
    end,
  }
end

local function response(state, arguments)
  if arguments then
    local message = arguments[1]
    if type(message) ~= "table" or not message.fields then
      error("assert.response takes a response, and this is " .. tostring(message), 4)
    end
    rawset(state, "moongate_subject", message)
  end
  return state
end

local function upstream(state, arguments)
  if arguments then
    local server = arguments[1] and (arguments[1].server or arguments[1])
    rawset(state, "moongate_subject", server)
    rawset(state, "payload", counted(server))
  end
  return state
end

local function http_stub(state, arguments)
  if arguments then
    rawset(state, "payload", counted(http.find(arguments[1])))
  end
  return state
end

local function nothing(state)
  return state
end

function M.install()
  luassert:register("modifier", "response", response)
  luassert:register("modifier", "upstream", upstream)
  luassert:register("modifier", "received", nothing)
  luassert:register("modifier", "http", nothing)
  luassert:register("modifier", "stub", http_stub)
  for name, check in pairs(checks) do
    local any = "assertion.moongate.any"
    luassert:register("assertion", name, check, any, any)
  end
end

return M
