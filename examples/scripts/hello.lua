-- SPDX-License-Identifier: Apache-2.0
--
-- A route of a script's own, which a plugin answers without any service behind it.
local mg = require("moongate")
local s = mg.schema

mg.route({
  host = "hello.localhost",
  path = "/",
  plugins = { { name = "hello", config = { greeting = "good evening" } } },
})

return mg.plugin({
  name = "hello",
  config = s.record({ greeting = s.string():default("hello") }),
  access = function(ctx, conf)
    ctx:respond(200, ("%s, %s\n"):format(conf.greeting, ctx.client.ip))
  end,
})
