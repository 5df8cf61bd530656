-- SPDX-License-Identifier: Apache-2.0
--
-- `require "moongate"`: what scripts and plugins use. Parts are loaded when they are first named.
local MODULES = {
  alternatives = "moongate.api.alternatives",
  base64 = "moongate.api.base64",
  cache = "moongate.api.cache",
  counter = "moongate.api.counter",
  crypto = "moongate.api.crypto",
  grpc = "moongate.api.grpc",
  http = "moongate.api.http",
  ip = "moongate.api.ip",
  json = "moongate.api.json",
  limits = "moongate.api.limits",
  log = "moongate.api.log",
  metrics = "moongate.api.metrics",
  password = "moongate.api.password",
  protobuf = "moongate.api.protobuf",
  queue = "moongate.api.queue",
  regex = "moongate.api.regex",
  schema = "moongate.api.schema",
  shared = "moongate.api.shared",
  task = "moongate.api.tasks",
  tcp = "moongate.api.tcp",
  template = "moongate.api.template",
  time = "moongate.api.time",
  timer = "moongate.api.timer",
  trace = "moongate.api.trace",
  url = "moongate.api.url",
}

local plugin = require("moongate.api.plugin")

local M = { plugin = plugin.plugin, route = plugin.route, settings = plugin.settings }

return setmetatable(M, {
  __index = function(self, name)
    local module = MODULES[name]
    if not module then
      error(("moongate has no module %q"):format(tostring(name)), 2)
    end
    local value = require(module)
    rawset(self, name, value)
    return value
  end,
})
