-- SPDX-License-Identifier: Apache-2.0
local version = require("moongate.version")

local M = {}

M.summary = "prints the version"

function M.run(io)
  io.write("moongate " .. version .. " (" .. jit.version .. ")\n")
  return 0
end

return M
