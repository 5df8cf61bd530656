-- SPDX-License-Identifier: Apache-2.0
-- What makes another try at another endpoint: words of proxy-next-upstream, as settings of a route.
local M = {}

--- "off" anywhere among the words means one try.
---@param words string[]
---@param tries integer?  in all, 0: no limit; nil: nothing is said of it
---@param non_idempotent boolean?  whether those requests are tried again too
---@return string[] retry_on
---@return integer? tries
function M.of(words, tries, non_idempotent)
  local on, seen = {}, {}
  for _, word in ipairs(words) do
    if word == "off" then
      return {}, 1
    end
    on[#on + 1], seen[word] = word, true
  end
  if non_idempotent and not seen.non_idempotent then
    on[#on + 1] = "non_idempotent"
  end
  return on, tries
end

return M
