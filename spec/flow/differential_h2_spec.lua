-- SPDX-License-Identifier: Apache-2.0
--
-- Odd messages in front of a backend of HTTP/2 (see differential_spec.lua): requests of both
-- versions, and what such a backend may answer. The backend writes its frames unchecked.
local odd = require("spec.support.odd_messages")
local h2 = require("spec.support.h2")
local h2_upstream = require("spec.support.h2_upstream")
local strict_client = require("spec.support.strict_client")
local t = require("moongate.test")

local has, NEXT = strict_client.has, strict_client.NEXT

local gateway, backend

-- Each answer has the request's number, that a client can tell it from what the gateway says.
local function answer(request)
  return { headers = { ["x-seen"] = #backend.requests, ["content-length"] = #request.target },
    body = request.target }
end

local function list_of(headers)
  local list = {}
  for name, value in pairs(headers or {}) do
    list[#list + 1] = { name, value }
  end
  return list
end

-- Fields of HTTP/1.1's framing have no place in HTTP/2: there are none to be looked at.
local FRAMING = { ["transfer-encoding"] = true, connection = true, ["content-length"] = true,
  host = true, te = true }

local function is_seen_as(request, as)
  for _, part in ipairs({ "method", "target", "body" }) do
    if as[part] then
      assert.equal(as[part], request[part])
    end
  end
  if as.host then
    assert.equal(as.host, request.headers[":authority"])
  end
  for name in pairs(FRAMING) do
    assert.is_true(name == "content-length" or request.headers[name] == nil
      or name == "te" and request.headers.te == "trailers", name)
  end
  for name, value in pairs(as.has or {}) do
    if not FRAMING[name] then
      has(request, { [name] = value })
    end
  end
  has({ fields = list_of(request.trailers) }, as.trailers)
end

describe("in front of a backend of HTTP/2, the gateway", function()
  setup(function()
    backend = h2_upstream.new(answer)
    gateway = t.gateway({
      scripts = ('require("moongate").route({ to = "h2c://127.0.0.1:%d" })\n'):format(backend.port),
      settings = { ["access-log-path"] = "/dev/null", ["client-header-timeout"] = "2s",
        ["client-body-timeout"] = "2s", ["proxy-body-size"] = "0" } }):start()
  end)

  teardown(function()
    gateway:stop()
    backend:close()
  end)

  before_each(function()
    backend.requests = {}
    backend:answer(answer)
  end)

  after_each(function()
    assert.is_nil(backend.failure)
  end)

  local EXPECT = {}

  function EXPECT.pass(row, _, own, seen, forwarded)
    local count = (row.count or 1) + (row.last and 0 or 1)
    assert.same(row.refused_behind and { 400 } or {}, own)
    assert.equal(row.refused_behind and 1 or count, forwarded)
    assert.equal(forwarded, seen)
    is_seen_as(backend.requests[1], row.as or {})
  end

  function EXPECT.cut(row, _, own, seen)
    assert.same({ row.status or 400 }, own)
    assert.equal(0, seen)
  end

  for _, row in ipairs(odd.requests) do
    it(("keeps in step at %s (RFC %s)"):format(row.what, row.rule), function()
      for _, size in ipairs({ #row.h1 + #NEXT, #row.h1 < 400 and 1 or 1000 }) do
        backend.requests = {}
        local answers = strict_client.answers_to(gateway, row.h1 .. NEXT, row.method, size)
        local own, forwarded = strict_client.is_in_step(answers, backend.requests)
        local expect = EXPECT[row.wanted] or strict_client.is_refused
        expect(row, answers, own, #backend.requests, forwarded)
      end
    end)
  end

  -- --- requests of HTTP/2 -----------------------------------------------------------

  for _, row in ipairs(odd.requests_h2) do
    it(("keeps in step, of HTTP/2, at %s (RFC %s)"):format(row.what, row.rule), function()
      local conn = h2.connect(gateway)
      local found, err = conn:exchange(row.h2)
      local seen = #backend.requests
      strict_client.is_answered_h2(row, found, err, seen, seen)
      if row.wanted == "pass" then
        is_seen_as(backend.requests[1], row.as or {})
      end
      strict_client.next_is_answered(conn)
      conn:close()
    end)
  end

  -- --- responses --------------------------------------------------------------------

  local function answer_oddly(row)
    backend:answer(function(request)
      if request.path ~= "/odd" then
        return answer(request)
      end
      return { raw = function(conn)
        local out = {}
        for i, frame in ipairs(row.frames) do
          out[i] = type(frame) == "string" and frame
            or h2.frame(frame[1], frame[2], frame[4] or request.id, frame[3])
        end
        conn.conn:write(table.concat(out))
      end }
    end)
  end

  local ANSWER = {}

  function ANSWER.pass(row, found)
    assert.is_table(found)
    assert.is_nil(found.error)
    for _, part in ipairs({ "status", "body" }) do
      if row.as[part] then
        assert.equal(row.as[part], found[part])
      end
    end
    has(found, row.as.has)
    has({ fields = found.trailer_fields }, row.as.trailers)
  end

  function ANSWER.bad(_, found)
    assert.equal(502, found and found.status)
  end

  -- Nothing of it may look like another answer.
  function ANSWER.any(_, found, why)
    assert.is_true(found ~= nil or why ~= nil)
    assert.is_true(not found or found.status == 502 or found.error ~= nil
      or ("body"):find(found.body, 1, true) ~= nil)
  end

  for _, row in ipairs(odd.responses_h2) do
    it(("keeps in step behind an answer with %s (RFC %s)"):format(row.what, row.rule), function()
      answer_oddly(row)
      local client = gateway:client()
      local found, why = client:request({ method = row.method, path = "/odd" })
      if found then
        found.trailer_fields = list_of(found.trailers)
      end
      ANSWER[row.wanted](row, found, why)
      for i = 1, 2 do
        assert.equal("/next/" .. i, client:get("/next/" .. i).body)
      end
      client:close()
    end)

    it(("keeps in step, to HTTP/2, behind an answer with %s (RFC %s)"):format(row.what, row.rule),
      function()
        answer_oddly(row)
        local conn = h2.connect(gateway)
        local found, why = conn:exchange({ method = row.method, path = "/odd" })
        if found then
          found.trailer_fields = list_of(found.trailers)
        end
        ANSWER[row.wanted](row, found, why)
        strict_client.next_is_answered(conn)
        conn:close()
      end)
  end
end)
