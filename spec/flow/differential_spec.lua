-- SPDX-License-Identifier: Apache-2.0
--
-- Odd messages between strict ends (spec/support/odd_messages.lua). Whatever a row is: the backend
-- sees as many requests as the gateway answers with the backend's answers, what the gateway refuses
-- is never seen, and the next request on the connection gets its own answer.
local odd = require("spec.support.odd_messages")
local h2 = require("spec.support.h2")
local read_to_end = require("spec.support.read_to_end")
local strict = require("spec.support.strict")
local strict_client = require("spec.support.strict_client")
local strict_server = require("spec.support.strict_server")
local t = require("moongate.test")

local has, NEXT = strict_client.has, strict_client.NEXT

local gateway, backend

-- What holds for every row; returns the statuses that the gateway itself gave.
local function is_in_step(answers)
  local own, forwarded = strict_client.is_in_step(answers, backend.requests)
  assert.same({}, backend.faults)
  assert.equal(forwarded, #backend.requests)
  return own
end

local function is_seen_as(request, as)
  for _, part in ipairs({ "method", "target", "body" }) do
    if as[part] then
      assert.equal(as[part], request[part])
    end
  end
  if as.host then
    assert.equal(as.host, strict.values(request, "host")[1])
  end
  has(request, as.has)
  has({ fields = request.trailers or {} }, as.trailers)
end

local EXPECT = {}

function EXPECT.pass(row, answers, own)
  local count = (row.count or 1) + (row.last and 0 or 1)
  assert.same(row.refused_behind and { 400 } or {}, own)
  assert.equal(row.refused_behind and 2 or count, #answers)
  assert.equal(0, backend.cut)
  is_seen_as(backend.requests[1], row.as or {})
end

function EXPECT.cut(row, answers, own)
  assert.same({ row.status or 400 }, own)
  assert.equal(1, #answers)
  assert.is_true(backend.begun <= 1)
end

-- --- responses ---------------------------------------------------------------------

-- One final answer; nil and "cut" where it breaks off.
local function exchange(conn, reader, method, target)
  conn:write(("%s %s HTTP/1.1\r\nHost: a.test\r\n\r\n"):format(method, target))
  local answer, why
  repeat
    answer, why = reader:response(method)
  until not answer or answer.status >= 200
  return answer, why
end

local function closes(answer)
  return strict.values(answer, "connection")[1] == "close"
end

-- The connection goes on, or a new one does, and the next request gets its own answer.
local function next_is_its_own(conn, reader, ended)
  if ended then
    assert.equal("", read_to_end(conn))
    conn:close()
    conn = gateway:connect()
    reader = strict.reader(conn)
  end
  for i = 1, 3 do
    local target = "/next/" .. i
    local answer = exchange(conn, reader, "GET", target)
    assert.equal(target, answer and answer.body)
  end
  assert.is_false(reader:has_rest())
  conn:close()
end

local ANSWER = {}

function ANSWER.pass(row, answer)
  assert.is_table(answer)
  for _, part in ipairs({ "status", "body" }) do
    if row.as[part] then
      assert.equal(row.as[part], answer[part])
    end
  end
  has(answer, row.as.has)
  has({ fields = answer.trailers or {} }, row.as.trailers)
end

function ANSWER.bad(_, answer)
  assert.equal(502, answer and answer.status)
end

-- Before its head has gone, an answer that breaks off may be replaced, or never begin.
function ANSWER.cut(_, answer, why)
  assert.is_true(why == "cut" or why == "end" or answer ~= nil and answer.status == 502)
end

-- The same answers, to a client of HTTP/2.

local ANSWER_H2 = {}

function ANSWER_H2.pass(row, answer, err)
  assert.is_nil(err or answer.error)
  local trailers = {}
  for name, value in pairs(answer.trailers or {}) do
    trailers[#trailers + 1] = { name, value }
  end
  ANSWER.pass(row, { status = answer.status, body = answer.body, fields = answer.fields,
    trailers = trailers })
end

function ANSWER_H2.bad(_, answer, err)
  assert.equal(502, answer and answer.status or err)
end

function ANSWER_H2.cut(_, answer, err)
  assert.is_true(answer == nil and err ~= "closed" or answer.error ~= nil or answer.status == 502)
end

describe("between strict ends of HTTP/1.1, the gateway", function()
  setup(function()
    backend = strict_server.new()
    gateway = t.gateway({ proxy = backend:url(),
      settings = { ["access-log-path"] = "/dev/null", ["client-header-timeout"] = "2s",
        ["client-body-timeout"] = "2s" } }):start()
  end)

  teardown(function()
    gateway:stop()
    backend:close()
  end)

  before_each(function()
    backend:begin()
  end)

  for _, row in ipairs(odd.requests) do
    it(("keeps in step at %s (RFC %s)"):format(row.what, row.rule), function()
      for _, size in ipairs({ #row.h1 + #NEXT, #row.h1 < 400 and 1 or 1000 }) do
        backend:begin()
        local answers = strict_client.answers_to(gateway, row.h1 .. NEXT, row.method, size)
        local expect = EXPECT[row.wanted] or strict_client.is_refused
        expect(row, answers, is_in_step(answers), backend.begun)
      end
    end)
  end

  for _, row in ipairs(odd.requests_h2) do
    it(("keeps in step, of HTTP/2, at %s (RFC %s)"):format(row.what, row.rule), function()
      local conn = h2.connect(gateway)
      local answer, err = conn:exchange(row.h2)
      local before = #backend.requests
      strict_client.is_answered_h2(row, answer, err, backend.begun, before)
      if row.wanted == "pass" then
        is_seen_as(backend.requests[1], row.as or {})
      end
      strict_client.next_is_answered(conn)
      assert.equal(before + 2, #backend.requests)
      assert.same({}, backend.faults)
      conn:close()
    end)
  end

  for _, row in ipairs(odd.responses) do
    it(("keeps in step behind an answer with %s (RFC %s)"):format(row.what, row.rule), function()
      backend:begin({ bytes = row.h1, close = row.close })
      local conn = gateway:connect()
      local reader = strict.reader(conn)
      local answer, why = exchange(conn, reader, row.method or "GET", "/odd")
      ANSWER[row.wanted](row, answer, why)
      next_is_its_own(conn, reader, not answer or closes(answer))
      assert.same({}, backend.faults)
    end)
  end

  for _, row in ipairs(odd.responses) do
    it(("keeps in step, to HTTP/2, behind an answer with %s (RFC %s)"):format(row.what, row.rule),
      function()
        backend:begin({ bytes = row.h1, close = row.close })
        local conn = h2.connect(gateway)
        ANSWER_H2[row.wanted](row, conn:exchange({ method = row.method, path = "/odd" }))
        strict_client.next_is_answered(conn)
        assert.same({}, backend.faults)
        conn:close()
      end)
  end
end)
