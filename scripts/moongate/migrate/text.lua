-- SPDX-License-Identifier: Apache-2.0
--
-- A migration for people: an object a paragraph, what asks for nothing in one line.
local verdict = require("moongate.migrate.verdict")

local M = {}

local TITLES = {
  same = "carries over",
  idle = "no effect",
  changes = "changes",
  look = "to look at",
  hand = "BY HAND",
}

local function sorted_entries(group)
  local by_verdict = {}
  for _, kind in ipairs(verdict.ORDER) do
    by_verdict[kind] = {}
  end
  for _, entry in ipairs(group.entries) do
    table.insert(by_verdict[entry.verdict], entry)
  end
  return by_verdict
end

local function names_of(entries)
  local names = {}
  for i, entry in ipairs(entries) do
    names[i] = entry.name
  end
  return table.concat(names, ", ")
end

local function place_of(entry)
  return entry.line and (" (line %d)"):format(entry.line) or ""
end

local function line_of(entry)
  local name = entry.name and entry.name .. ": " or ""
  return name .. entry.message .. place_of(entry)
end

-- What there is nothing to say of stands in one line.
local function add_entries(lines, kind, entries)
  local plain = {}
  for _, entry in ipairs(entries) do
    if entry.message then
      lines[#lines + 1] = ("  %-13s %s"):format(TITLES[kind], line_of(entry))
    else
      plain[#plain + 1] = entry
    end
  end
  if plain[1] then
    lines[#lines + 1] = ("  %-13s %s"):format(TITLES[kind], names_of(plain))
  end
end

local function add_group(lines, group)
  local place = group.file
    and (" (%s%s)"):format(group.file, group.line and ":" .. group.line or "") or ""
  lines[#lines + 1] = group.object .. place
  local by_verdict = sorted_entries(group)
  for _, kind in ipairs(verdict.ORDER) do
    add_entries(lines, kind, by_verdict[kind])
  end
  if not group.entries[1] then
    lines[#lines + 1] = "  carries over as it is"
  end
  lines[#lines + 1] = ""
end

local function add_others(lines, report)
  if report.others[1] then
    lines[#lines + 1] = "Of other classes, not looked at: " .. table.concat(report.others, ", ")
    lines[#lines + 1] = ""
  end
end

local function plural(number, one, many)
  return ("%d %s"):format(number, number == 1 and one or many)
end

---@param report moongate.Migration
---@return string
function M.of(report)
  local lines = {}
  for _, group in ipairs(report.groups) do
    add_group(lines, group)
  end
  add_others(lines, report)
  local counts = report.counts
  local summary = "%s served; of what is written %d carry over, %d without effect, %s, "
    .. "%d to look at, %d by hand\n"
  lines[#lines + 1] = summary:format(plural(report.served, "Ingress", "Ingresses"), counts.same,
    counts.idle, plural(counts.changes, "changes", "change"), counts.look, counts.hand)
  return table.concat(lines, "\n")
end

return M
