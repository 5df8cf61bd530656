-- SPDX-License-Identifier: Apache-2.0
--
-- `require "moongate.test"`: what specs of scripts, plugins and the gateway itself use.
local gateway = require("moongate.test.gateway")
local upstream = require("moongate.test.upstream")

local M = {
  client = require("moongate.test.client"),
  folder = require("moongate.test.folder").new,
  gateway = gateway.new,
  http1 = require("moongate.test.http1"),
  upstream = upstream.new,
  wait_until = upstream.wait_until,
}

return M
