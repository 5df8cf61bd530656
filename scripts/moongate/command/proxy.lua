-- SPDX-License-Identifier: Apache-2.0
--
-- `moongate proxy --to URL`: everything goes to one backend.
local serve = require("moongate.command.serve")
local url = require("moongate.api.url")

local M = {}

M.summary = "forwards all requests to one backend"
M.usage = "--to URL [--http ADDR]… [--https ADDR --cert FILE --key FILE]…"
M.options = serve.options({
  to = { kind = "value", hint = "URL", doc = "the backend, http://host:port or https://host" },
})

function M.run(_, ...)
  local options, err = serve.parse(M.options, ...)
  if not options then
    return 2, err
  elseif not options.to then
    return 2, "--to URL is required"
  end
  local target
  target, err = url.parse(options.to)
  if not target then
    return 2, ("--to %s: %s"):format(options.to, err)
  end
  return serve.run(options, {
    routes = {
      { value = { host = "*", path = "/", to = options.to }, file = "--to", line = 1 },
    },
  })
end

return M
