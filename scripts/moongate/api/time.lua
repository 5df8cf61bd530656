-- SPDX-License-Identifier: Apache-2.0
--
-- mg.time: the clock, and dates as HTTP writes them (RFC 9110 5.6.7).
local clock = require("moongate.api.clock")
local task = require("moongate.api.task")
local values = require("moongate.api.values")

local M = {}

local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS =
  { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

local month_numbers = {}
for number, name in ipairs(MONTHS) do
  month_numbers[name] = number
end

--- Seconds since 1970.
---@return number
function M.now()
  return clock.now()
end

--- Seconds since some point that never changes.
---@return number
function M.monotonic()
  return clock.monotonic()
end

--- Lets other work go on for a while.
---@param duration number|string  seconds, or "250ms"
function M.sleep(duration)
  task.sleep(values.seconds(duration))
end

--- "Sun, 06 Nov 1994 08:49:37 GMT".
---@param seconds number?  since 1970; now unless given
---@return string
function M.http_date(seconds)
  local at = os.date("!*t", math.floor(seconds or clock.now()))
  return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(
    DAYS[at.wday],
    at.day,
    MONTHS[at.month],
    at.year,
    at.hour,
    at.min,
    at.sec
  )
end

-- Days from 1970-01-01; years begin with March, so that a leap day ends one.
local function days_of(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  local era_days = 365 * year + math.floor(year / 4) - math.floor(year / 100)
  return era_days + math.floor(year / 400) + math.floor((153 * (month - 3) + 2) / 5) + day - 719469
end

-- RFC 9110: a year of two digits that seems to be more than 50 years ahead is past.
local function full_year(text)
  local year = tonumber(text)
  if #text == 2 then
    local now = os.date("!*t", math.floor(clock.now())).year
    year = year + now - now % 100
    year = year > now + 50 and year - 100 or year
  end
  return year
end

local TIME = "(%d%d):(%d%d):(%d%d)"
local FORMS = {
  { "^%a%a%a, (%d%d) (%a%a%a) (%d%d%d%d) " .. TIME .. " GMT$", "day", "month", "year" },
  { "^%a+, (%d%d)%-(%a%a%a)%-(%d%d) " .. TIME .. " GMT$", "day", "month", "year" },
}
local ASCTIME = "^%a%a%a (%a%a%a) ([ %d]%d) " .. TIME .. " (%d%d%d%d)$"

local function fields_of(text)
  for _, form in ipairs(FORMS) do
    local day, month, year, hour, minute, second = text:match(form[1])
    if day then
      return day, month, year, hour, minute, second
    end
  end
  local month, day, hour, minute, second, year = text:match(ASCTIME)
  return day, month, year, hour, minute, second
end

--- Seconds since 1970 of a date in one of the three forms that HTTP allows.
---
--- Errors: `invalid`.
---@param text string
---@return integer? seconds
---@return string? err
---@return "invalid"? code
function M.parse_http_date(text)
  local day, name, year, hour, minute, second = fields_of(text)
  local month = month_numbers[name]
  if not month then
    return nil, ("%q is not a date of HTTP"):format(text), "invalid"
  end
  day, hour, minute, second = tonumber(day), tonumber(hour), tonumber(minute), tonumber(second)
  if day < 1 or day > 31 or hour > 23 or minute > 59 or second > 60 then
    return nil, ("%q is not a date of HTTP"):format(text), "invalid"
  end
  return days_of(full_year(year), month, day) * 86400 + hour * 3600 + minute * 60 + second
end

return M
