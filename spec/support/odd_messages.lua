-- SPDX-License-Identifier: Apache-2.0
--
-- All odd messages, each a row of data (spec/support/odd/), for spec/flow/differential_spec.lua.
local M = { requests = {}, requests_h2 = {}, responses = {}, responses_h2 = {} }

local function add(list, name)
  for _, row in ipairs(require("spec.support.odd." .. name)) do
    list[#list + 1] = row
  end
end

add(M.requests, "request_heads")
add(M.requests, "request_bodies")
add(M.requests_h2, "requests_h2")
add(M.responses, "responses")
add(M.responses_h2, "responses_h2")

return M
