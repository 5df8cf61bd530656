-- SPDX-License-Identifier: Apache-2.0
--
-- `require "moongate.test"`: what specs of scripts, plugins and the gateway itself use.
local gateway = require("moongate.test.gateway")
local harness = require("moongate.test.harness")
local upstream = require("moongate.test.upstream")

require("moongate.test.assertions").install()
require("moongate.test.shared")

local M = {
  client = require("moongate.test.client"),
  clock = require("moongate.test.clock"),
  folder = require("moongate.test.folder").new,
  gateway = gateway.new,
  http = require("moongate.test.http"),
  plugin = harness.plugin,
  plugins = harness.plugins,
  http1 = require("moongate.test.http1"),
  upstream = upstream.new,
  wait_until = upstream.wait_until,
}

--- Makes math.random give the same numbers each time.
---@param seed integer
function M.random(seed)
  math.randomseed(seed)
end

return M
