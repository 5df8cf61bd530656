-- SPDX-License-Identifier: Apache-2.0
--
-- Mutated requests against mutated answers, with hooks that wait, for a few seconds: the gateway
-- stays there and serves. The sanitizers see more: run it with MG_BINARY=build/asan/moongate.
-- MG_TEST_SEED repeats a run, as far as the timing lets it.
local memory = require("spec.support.memory")
local mg = require("moongate")
local t = require("moongate.test")

local SECONDS = tonumber(os.getenv("MG_FUZZ_SECONDS")) or 6
local SEED = tonumber(os.getenv("MG_TEST_SEED")) or os.time()
local LANES = 24

local HOOKS = [[
local mg = require("moongate")
mg.route({ path = "/", to = "${app}" })
mg.route({ path = "/limited", to = "${app}", settings = { body_limit_bytes = 20,
  read_timeout_ms = 50 } })
mg.route({ path = "/gathered", to = "${app}", settings = { buffer_request = true } })

local function does(ctx, what)
  local fields = ctx.request:header("x-do")
  return fields and fields:find(what, 1, true)
end

local function act(ctx, hook)
  if does(ctx, "w-" .. hook) then mg.task.sleep(math.random(0, 4) / 1000) end
  if does(ctx, "f-" .. hook) then error("asked to") end
  if does(ctx, "a-" .. hook) then ctx:abort("asked to") end
  if does(ctx, "r-" .. hook) then ctx:respond(299, "from " .. hook) end
end

local function body(hook)
  return function(ctx, _, chunk, last)
    act(ctx, hook)
    if does(ctx, "x-" .. hook) then return chunk .. chunk .. (last and "." or "") end
  end
end

return mg.plugin({
  name = "odd",
  rewrite = function(ctx) act(ctx, "rewrite") end,
  access = function(ctx)
    act(ctx, "access")
    if does(ctx, "b-access") then ctx.request:body(100) end
  end,
  upstream_request = function(ctx) act(ctx, "upstream_request") end,
  request_body = body("request_body"),
  response = function(ctx)
    act(ctx, "response")
    if does(ctx, "b-response") then ctx.response:body(100) end
    if does(ctx, "s-response") then ctx.response:set_body("set") end
    act(ctx, "response")
  end,
  response_body = body("response_body"),
  log = function(ctx) act(ctx, "log") end,
})
]]

local HOOK_NAMES = { "rewrite", "access", "upstream_request", "request_body", "response",
  "response_body", "log" }

local REQUESTS = {
  "GET / HTTP/1.1\r\nHost: a\r\n@\r\n",
  "GET /x?y=%20z HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\nCookie: a=b; c=d\r\n@\r\n",
  "HEAD / HTTP/1.1\r\nHost: a\r\n@\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\n@Content-Length: 12\r\n\r\nsome content",
  "POST /limited HTTP/1.1\r\nHost: a\r\n@Content-Length: 30\r\n\r\n012345678901234567890123456789",
  "PUT /gathered HTTP/1.1\r\nHost: a\r\n@Transfer-Encoding: chunked\r\n\r\n"
    .. "4\r\nsome\r\n8\r\n content\r\n0\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\n@Transfer-Encoding: chunked\r\nTrailer: x\r\n\r\n"
    .. "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\n@Expect: 100-continue\r\nContent-Length: 4\r\n\r\nbody",
  "GET / HTTP/1.0\r\n@Connection: keep-alive\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\n@Connection: Upgrade\r\nUpgrade: x\r\n\r\nraw bytes",
  "OPTIONS * HTTP/1.1\r\nHost: a\r\n@\r\n",
  "GET http://a/absolute HTTP/1.1\r\nHost: b\r\n@\r\n",
  "GET /limited HTTP/1.1\r\nHost: a\r\n@Connection: close\r\n\r\n",
}

local ANSWERS = {
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n",
  "HTTP/1.1 200 OK\r\n\r\nuntil the end",
  "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
  "HTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oh\r\nContent-Length: 1\r\n\r\nx",
  "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nraw",
  "HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n",
}

local random = math.random

local function one_of(list)
  return list[random(#list)]
end

local MUTATIONS = {
  function(text) -- cut
    return text:sub(1, random(0, #text))
  end,
  function(text) -- another byte
    local at = random(#text)
    return text:sub(1, at - 1) .. string.char(random(0, 255)) .. text:sub(at + 1)
  end,
  function(text) -- a part again
    local from = random(#text)
    local to = math.min(#text, from + random(0, 20))
    return text:sub(1, to) .. text:sub(from)
  end,
  function(text) -- a part less
    local from = random(#text)
    return text:sub(1, from - 1) .. text:sub(from + random(1, 8))
  end,
  function(text) -- other numbers
    return (text:gsub("%d+", function() return tostring(random(0, 300)) end, random(1, 3)))
  end,
  function(text) -- long
    local at = random(#text)
    return text:sub(1, at) .. one_of({ "a", "\r\n", " ", "0", ": " }):rep(random(1, 9000))
      .. text:sub(at + 1)
  end,
}

local function mutate(text, times)
  for _ = 1, times do
    if #text > 1 then
      text = one_of(MUTATIONS)(text)
    end
  end
  return text
end

local function odd_number() -- mostly none
  return random() < 0.5 and 0 or random(1, 2)
end

local function orders()
  if random() < 0.3 then
    return ""
  end
  local words = {}
  for i = 1, random(1, 4) do
    words[i] = one_of({ "w", "w", "w", "x", "b", "s", "r", "f", "a" }) .. "-" .. one_of(HOOK_NAMES)
  end
  return "X-Do: " .. table.concat(words, " ") .. "\r\n"
end

local function some_requests()
  local list = {}
  for i = 1, random(1, 3) do
    list[i] = one_of(REQUESTS):gsub("@", orders())
  end
  return mutate(table.concat(list), odd_number())
end

describe("under mutated requests and answers", function()
  it(("the gateway goes on serving (MG_TEST_SEED=%d)"):format(SEED), function()
    math.randomseed(SEED)
    local gateway = t.gateway({ workers = 2, scripts = HOOKS,
      settings = { ["client-header-timeout"] = "200ms", ["client-body-timeout"] = "200ms",
        ["access-log-path"] = "/dev/null" } })
    local app = gateway:upstream("app", nil, { eager = true })
    gateway:start()
    app:answer(function(_, conn)
      local text = mutate(one_of(ANSWERS), odd_number())
      local at = random(0, #text)
      conn:write(text:sub(1, at))
      if random() < 0.2 then
        mg.task.sleep(random(0, 8) / 1000)
      end
      conn:set_timeout(1)
      return random() < 0.1 and { reset = true }
        or { raw = text:sub(at + 1), close = random() < 0.5 }
    end)
    local till, count = mg.time.monotonic() + SECONDS, 0
    local tasks = {}
    local resident
    for lane = 1, LANES do
      tasks[lane] = mg.task.spawn(function()
        while mg.time.monotonic() < till and not gateway.ended do
          local conn = gateway:connect()
          conn:set_timeout(random() < 0.1 and 0.4 or 0.02)
          local text = some_requests()
          local at = random() < 0.5 and #text or random(0, #text)
          conn:write(text:sub(1, at))
          if at < #text then
            mg.task.sleep(random(0, 4) / 1000)
            conn:write(text:sub(at + 1))
          end
          if random() < 0.8 then
            conn:read()
          end
          if random() < 0.3 then
            conn:reset()
          else
            conn:close()
          end
          count = count + 1
        end
      end)
    end
    while mg.time.monotonic() < till do
      mg.task.sleep("500ms")
      resident = resident or memory.resident(gateway)
    end
    mg.task.join(tasks)
    assert.is_nil(gateway.ended)
    app:answer(nil)
    app.eager = false
    app:drop_connections()
    -- Its timeouts are short: a client that is held up is too late, and asks again.
    t.wait_until(function()
      local response = gateway:client():request({ method = "GET", path = "/" })
      return response and response.status == 200
    end, "an answer")
    assert.is_true(count > 100, count .. " connections")
    if memory.is_measurable() then
      assert.is_true(memory.resident(gateway) - resident < 64 * 1048576)
    end
    t.wait_until(function()
      local read, in_flight = pcall(gateway.metrics, gateway, "moongate_requests_in_flight")
      return read and in_flight == 0
    end, "all requests to end")
    gateway:stop()
  end)
end)
