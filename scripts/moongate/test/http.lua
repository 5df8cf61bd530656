-- SPDX-License-Identifier: Apache-2.0
--
-- mg.http for tests of plugins: answers that the test says beforehand. What nobody said an answer
-- for goes nowhere, and the test fails.
local http = require("moongate.api.http")
local json = require("moongate.api.json")
local state = require("moongate.test.state")

local M = {}

local real = http.transport
local stubs = {} -- "METHOD url" -> { answer, requests }
local missing

--- The requests that came, in order.
M.calls = {}

local function fields_of(headers)
  local fields = {}
  for name, value in pairs(headers or {}) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      fields[#fields + 1] = { name, tostring(one) }
    end
  end
  return fields
end

local function answer_of(stub, request)
  local answer = stub.answer
  if type(answer) == "table" and answer[1] ~= nil then
    answer = answer[math.min(#stub.requests, #answer)]
  end
  if type(answer) == "function" then
    answer = answer(request)
  end
  return answer
end

local function find(method, url)
  local bare = url:match("^[^?]*"):gsub("/$", "")
  return stubs[method .. " " .. url] or stubs[method .. " " .. bare]
end

local function seen_of(request, target)
  local body = request.body
  if request.json ~= nil then
    body = json.encode(request.json)
  end
  return {
    method = request.method or (body and "POST" or "GET"),
    url = ("%s://%s%s"):format(target.scheme, target.authority, target.target),
    headers = request.headers or {},
    body = body,
  }
end

local function response_of(answer)
  local fields, body = fields_of(answer.headers), answer.body or ""
  if answer.json ~= nil then
    table.insert(fields, { "Content-Type", "application/json" })
    body = json.encode(answer.json)
  end
  return http.response(answer.status or 200, fields, body, fields_of(answer.trailers))
end

local function transport(request, target)
  local seen = seen_of(request, target)
  table.insert(M.calls, seen)
  local stub = find(seen.method, seen.url) or find(seen.method, (seen.url:gsub("/$", "")))
  if not stub then
    local what = seen.method .. " " .. seen.url
    missing = missing or ("%s is not stubbed: t.http.stub(%q, { … })"):format(what, what)
    return nil, missing, "not_stubbed"
  end
  table.insert(stub.requests, seen)
  local answer = answer_of(stub, seen)
  if answer.error then
    return nil, answer.error, answer.code or "connect"
  end
  return response_of(answer)
end

--- From now on, up to the test's end, requests of scripts go to stubs alone.
function M.install()
  http.transport = transport
end

--- Requests of scripts go over the network, up to the test's end.
function M.allow()
  http.transport = real
end

--- Says what a request is answered with. A URL without a query stands for those with one too.
---@param what string  "GET http://host/path"
---@param answer table|fun(request: table): table  { status, headers, body, json, trailers, error,
---  code }, or several in turn
---@return { requests: table[] } stub
function M.stub(what, answer)
  M.install()
  local stub = { answer = answer, requests = {} }
  stubs[what:gsub("/$", "")] = stub
  return stub
end

--- The stub of that name, for assertions.
---@param what string
function M.find(what)
  return stubs[(what:gsub("/$", ""))] or error("there is no stub " .. what, 2)
end

state.after_each(function()
  local fault = missing
  stubs, missing, M.calls = {}, nil, {}
  http.transport = real
  if fault then
    error(fault, 0)
  end
end)

return M
