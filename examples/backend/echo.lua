-- SPDX-License-Identifier: Apache-2.0
--
-- The backends of the example are gateways too: this plugin answers everything with what it has
-- received.
local mg = require("moongate")

local name = os.getenv("BACKEND") or "echo"

mg.route({ path = "/" })

return mg.plugin({
  access = function(ctx)
    local request = ctx.request
    local lines = { ("%s: %s %s"):format(name, request.method, request.target) }
    for _, field in ipairs(request:headers()) do
      lines[#lines + 1] = ("  %s: %s"):format(field[1], field[2])
    end
    ctx:respond(200, table.concat(lines, "\n") .. "\n")
  end,
})
