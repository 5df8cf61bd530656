-- SPDX-License-Identifier: Apache-2.0
--
-- Lets those pass who send a key that it knows, and tells the service who they are. Has a
-- `config`, so it runs where it is named: see examples/manifests/api.yaml.
local mg = require("moongate")
local s = mg.schema

return mg.plugin({
  summary = "asks for an API key",
  stage = "authenticate",
  config = s.record({
    header = s.header_name():default("x-api-key"),
    keys = s.map(s.string():secret(), s.string()):required(), -- key -> who has it
  }),
  access = function(ctx, conf)
    local key = ctx.request:header(conf.header)
    local name = key and conf.keys[key]
    if not name then
      return ctx:respond(401, "a key, please\n")
    end
    ctx.upstream:remove_header(conf.header)
    ctx.upstream:set_header("x-consumer", name)
    ctx:authenticate({ id = name })
  end,
})
