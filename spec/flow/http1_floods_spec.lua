-- SPDX-License-Identifier: Apache-2.0
--
-- Many clients of HTTP/1.1 at once that mean harm (spec/flow/slow_spec.lua has them one by one):
-- ordinary ones are answered meanwhile, memory stays bounded, and the limit is counted and logged.
local floods = require("spec.support.floods")
local mg = require("moongate")
local read_to_end = require("spec.support.read_to_end")
local t = require("moongate.test")

local HEAD = "GET /plain HTTP/1.1\r\nHost: a.test\r\n"
local POST = "POST /plain HTTP/1.1\r\nHost: a.test\r\n"
local LARGE = "GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n"

local FLOODS = {
  ["heads that do not end"] = { limit = "client-header-timeout", bytes = HEAD, lanes = 300 },
  ["bodies that do not come"] = { limit = "client-body-timeout", lanes = 100,
    bytes = POST .. "Content-Length: 100\r\n\r\n" },
  ["chunks that do not come"] = { limit = "client-body-timeout", lanes = 100,
    bytes = POST .. "Transfer-Encoding: chunked\r\n\r\nff\r\nhalf" },
  ["heads that are too large"] = { limit = "max-header-size",
    bytes = HEAD .. ("X: " .. ("y"):rep(7000) .. "\r\n"):rep(20) .. "\r\n" },
  ["lines that are too long"] = { limit = "large-client-header-buffers",
    bytes = "GET /" .. ("x"):rep(100000) .. " HTTP/1.1\r\n" },
  ["fields that are too long"] = { limit = "large-client-header-buffers",
    bytes = HEAD .. "X: " .. ("x"):rep(10000) .. "\r\n\r\n" },
  ["extensions of chunks"] = { limit = "max-header-size",
    bytes = POST .. "Transfer-Encoding: chunked\r\n\r\n" .. ("1;" .. ("x"):rep(5000)
      .. "\r\ny\r\n"):rep(40) },
  ["trailers without end"] = { limit = "max-header-size",
    bytes = POST .. "Transfer-Encoding: chunked\r\n\r\n0\r\n" .. ("X: " .. ("y"):rep(5000)
      .. "\r\n"):rep(40) },
  ["bodies that are too large"] = { limit = "proxy-body-size",
    bytes = POST .. "Content-Length: 99999999\r\n\r\n" .. ("x"):rep(1000) },
  ["answers that nobody reads"] = { limit = "client-send-timeout", lanes = 10, mute = true,
    bytes = LARGE:rep(100) },
}

describe("under a flood, HTTP/1.1 of the gateway", function()
  local gateway

  -- Of the times only the one in question is short: the others pass because the machine is busy.
  local function start(limit)
    gateway = t.gateway({
      upstreams = { app = true },
      settings = { ["access-log-path"] = "/dev/null",
        [limit] = limit:find("timeout", 1, true) and "1s" or nil },
      scripts = [[
        require("moongate").route({ to = "${app}", settings = { body_limit_bytes = 1000000 } })
      ]],
    }):start()
    local large = ("0123456789abcdef"):rep(131072)
    gateway:upstream("app"):answer(function(request)
      return request.path == "/large" and large or "ok"
    end)
  end

  after_each(function()
    gateway:stop()
  end)

  local function attack(case)
    local conn = gateway:connect()
    conn:write(case.bytes)
    if case.mute then
      mg.task.sleep("1500ms")
    else
      read_to_end(conn)
    end
    conn:close()
  end

  for what, case in pairs(FLOODS) do
    it(("bears %s"):format(what), function()
      start(case.limit)
      attack(case)
      assert.equal(case.limit, gateway:wait_log("limit_exceeded").limit)
      assert.equal(1, floods.count(gateway, case.limit))
      floods.run(gateway, function()
        attack(case)
      end, { lanes = case.lanes })
      assert.is_true(floods.count(gateway, case.limit) > 1)
    end)
  end
end)
