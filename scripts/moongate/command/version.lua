-- SPDX-License-Identifier: Apache-2.0
local M = {}

M.VERSION = "0.1.0"
M.summary = "prints the version"

function M.run(io)
  io.write("moongate " .. M.VERSION .. " (" .. jit.version .. ")\n")
  return 0
end

return M
