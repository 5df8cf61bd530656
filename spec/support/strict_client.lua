-- SPDX-License-Identifier: Apache-2.0
--
-- What the differential specs share: a client that writes bytes as they are and reads answers
-- byte for byte.
local assert = require("luassert")
local mg = require("moongate")
local strict = require("spec.support.strict")

local M = {}

--- The request that ends a connection of HTTP/1.1.
M.NEXT = "GET /next HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"

local function write_in_pieces(conn, text, size)
  for at = 1, #text, size do
    if not conn:write(text:sub(at, at + size - 1)) then
      return
    end
    mg.task.sleep(0)
  end
end

--- All final answers up to the end of the connection; the last request says that it is the last.
---@param gateway moongate.test.Gateway
---@param bytes string
---@param method string  of the first request
---@param size integer   bytes of a write
function M.answers_to(gateway, bytes, method, size)
  local conn = gateway:connect()
  local writer = mg.task.spawn(write_in_pieces, conn, bytes, size)
  local reader, answers = strict.reader(conn), {}
  local answer, why = reader:response(method)
  while answer do
    if answer.status >= 200 then
      answers[#answers + 1] = answer
      method = nil
    end
    answer, why = reader:response(method)
  end
  mg.task.join(writer)
  conn:close()
  assert.equal("end", why)
  return answers
end

--- The number that the backend gave a request in its answer; nil: the gateway's own.
function M.seen_of(answer)
  return tonumber(strict.values(answer, "x-seen")[1])
end

--- What holds for all final answers of a connection of HTTP/1.1: those of the backend come in the
--- order of its requests, of which none was smuggled.
---@param answers table[]
---@param requests { target: string }[]  those the backend has
---@return integer[] own  the statuses that the gateway itself gave
---@return integer forwarded  how many answers are the backend's
function M.is_in_step(answers, requests)
  local own, forwarded = {}, 0
  for _, answer in ipairs(answers) do
    local seen = M.seen_of(answer)
    if seen then
      forwarded = forwarded + 1
      assert.equal(forwarded, seen)
    else
      own[#own + 1] = answer.status
    end
  end
  for _, request in ipairs(requests) do
    assert.is_nil(request.target:find("smuggled", 1, true))
  end
  return own, forwarded
end

--- Whether a row's request was refused by the gateway, with the status that it wants.
---@param begun integer  requests that the backend saw the beginning of
function M.is_refused(row, answers, own, begun)
  assert.same({ row.wanted }, own)
  assert.equal(row.goes_on and 2 or 1, #answers)
  assert.equal(#answers - 1, begun)
end

--- Whether a row's request of HTTP/2 got what it wants.
---@param answer table?
---@param err string?  where there is no answer
---@param begun integer  requests that the backend saw the beginning of
---@param whole integer  those it has
function M.is_answered_h2(row, answer, err, begun, whole)
  local status = answer and answer.status
  if row.wanted == "pass" then
    assert.equal(200, status or err)
  elseif row.wanted == "malformed" or row.wanted == "cut" then
    assert.is_true(status == 400 or err == "PROTOCOL_ERROR", status or err)
    assert.equal(0, row.wanted == "cut" and whole or begun)
  else
    assert.equal(row.wanted, status or err)
    assert.equal(0, begun)
  end
end

--- Whether fields are what they should be, by name; false: none.
function M.has(message, wanted)
  for name, value in pairs(wanted or {}) do
    local found = strict.values(message, name)
    assert.same(value and { value } or {}, found, name)
  end
end

--- Whether a connection of HTTP/2 goes on, and each request has its own answer.
function M.next_is_answered(conn)
  for i = 1, 2 do
    local target = "/next/" .. i
    local answer = conn:exchange({ path = target })
    assert.equal(target, answer and answer.body)
  end
end

return M
