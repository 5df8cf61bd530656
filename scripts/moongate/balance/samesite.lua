-- SPDX-License-Identifier: Apache-2.0
--
-- Browsers that take `SameSite=None` for something else, by the list that the Chromium project
-- published: those of iOS 12, Safari of macOS 10.14, Chromium 51 to 66, UC Browser before 12.13.2.
local M = {}

local function is_old_webkit(agent)
  if agent:find("iP.+; CPU .*OS 12[_%d]*.*AppleWebKit/") then
    return true
  end
  local is_mojave = agent:find("Macintosh;.*Mac OS X 10_14[_%d]*.*AppleWebKit/")
  local is_chromium = agent:find("Chrom[ei]")
  return is_mojave ~= nil
    and not is_chromium
    and (agent:find("Version/.* Safari/") or agent:find("KHTML, like Gecko%)$")) ~= nil
end

local function is_old_chromium(agent)
  local major = tonumber(agent:match("Chrom%a+/(%d+)"))
  return major ~= nil and major >= 51 and major <= 66
end

local function is_old_uc(agent)
  local major, minor, build = agent:match("UCBrowser/(%d+)%.(%d+)%.(%d+)")
  if not major then
    return false
  end
  return tonumber(major) * 1e6 + tonumber(minor) * 1e3 + tonumber(build) < 12013002
end

--- Whether the browser understands `SameSite=None`; an unknown one does.
---@param agent? string  User-Agent
---@return boolean
function M.takes_none(agent)
  if not agent then
    return true
  elseif agent:find("UCBrowser/", 1, true) then
    return not is_old_uc(agent)
  end
  return not is_old_webkit(agent) and not is_old_chromium(agent)
end

return M
