-- SPDX-License-Identifier: Apache-2.0
--
-- When certificates end: for /metrics, and a warning three weeks before.
local C = require("moongate.api.core")
local log = require("moongate.api.log")
local task = require("moongate.api.task")

local M = {}

local DAY = 86400
local WARN_DAYS = 21
local LOOK_SECONDS = DAY / 2

local function day_of(seconds)
  return os.date("!%Y-%m-%d", seconds)
end

-- That of names without one is drafted for the empty name.
local function title_of(names)
  return names[1] == "" and "the default certificate"
    or "the certificate of " .. table.concat(names, ", ")
end

local function fault_of(one, message)
  return { severity = "warning", code = "expiry", object = one.source, field = "tls",
    message = message }
end

--- What is wrong with the certificates of a snapshot at that time.
---@param certificates moongate.CertificateEnd[]
---@param now number  seconds since 1970
---@return moongate.Fault[]
function M.faults(certificates, now)
  local faults = {}
  for _, one in ipairs(certificates) do
    local left = one.ends - now
    if left < WARN_DAYS * DAY then
      faults[#faults + 1] = fault_of(one, ("%s %s on %s; renew it"):format(
        title_of(one.names), left > 0 and "ends" or "has ended", day_of(one.ends)))
    end
    if one.response_ends and one.response_ends < now then
      local text = "the OCSP response of %s has ended on %s and is not sent; renew it"
      faults[#faults + 1] =
        fault_of(one, text:format(title_of(one.names), day_of(one.response_ends)))
    end
  end
  return faults
end

--- Looks twice a day, for as long as the thread lives: nothing else may happen to objects.
---@param certificates fun(): table[]
function M.watch(certificates)
  while true do
    task.sleep(LOOK_SECONDS)
    for _, fault in ipairs(M.faults(certificates(), C.mg_time_now())) do
      log.warn("certificate_expires", { object = fault.object, message = fault.message })
    end
  end
end

return M
