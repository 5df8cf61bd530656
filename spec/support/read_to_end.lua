-- SPDX-License-Identifier: Apache-2.0

--- Reads until the other side has ended the connection; raises when it does not in the time that a
--- spec waits.
---@param conn moongate.tcp.Connection
---@return string  what came
return function(conn)
  local pieces = {}
  local data, err, code
  repeat
    data, err, code = conn:read()
    pieces[#pieces + 1] = data
  until not data
  if code == "timeout" then
    error("the connection goes on: " .. err, 2)
  end
  return table.concat(pieces)
end
