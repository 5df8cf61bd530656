-- SPDX-License-Identifier: Apache-2.0
--
-- The order of plugins on a request: by stage, then by before/after, then by name (PLUGINS.md §3).
local M = {}

M.STAGES = {
  "edge",
  "redirect",
  "cors",
  "authenticate",
  "authorize",
  "limit",
  "validate",
  "cache",
  "transform",
  "route",
  "sign",
  "observe",
}

local RANK = {}
for i, stage in ipairs(M.STAGES) do
  RANK[stage] = i
end

--- A plugin that names no stage runs here.
M.DEFAULT_STAGE = "transform"

---@return integer?
function M.rank(stage)
  return RANK[stage]
end

local function first(a, b)
  local a_rank, b_rank = RANK[a.plugin.stage], RANK[b.plugin.stage]
  if a_rank ~= b_rank then
    return a_rank < b_rank
  elseif a.plugin.name ~= b.plugin.name then
    return a.plugin.name < b.plugin.name
  end
  return (a.id or "") < (b.id or "")
end

-- name -> set of names that must come earlier, among those that are there.
local function predecessors(instances)
  local before = {}
  for _, instance in ipairs(instances) do
    before[instance.plugin.name] = {}
  end
  local function add(earlier, later)
    if before[earlier] and before[later] and earlier ~= later then
      before[later][earlier] = true
    end
  end
  for _, instance in ipairs(instances) do
    local plugin = instance.plugin
    for _, earlier in ipairs(plugin.after or {}) do
      add(earlier, plugin.name)
    end
    for _, later in ipairs(plugin.before or {}) do
      add(plugin.name, later)
    end
  end
  return before
end

-- Whether all that must come earlier has its place; if not, also what has not.
local function is_free(before, placed, name)
  for earlier in pairs(before[name]) do
    if not placed[earlier] then
      return false, earlier
    end
  end
  return true
end

local function first_free(rest, before, placed)
  for i, instance in ipairs(rest) do
    if is_free(before, placed, instance.plugin.name) then
      return i
    end
  end
end

-- Instances of one plugin stand together.
local function take(rest, at, sorted)
  local name = rest[at].plugin.name
  while rest[at] and rest[at].plugin.name == name do
    sorted[#sorted + 1] = table.remove(rest, at)
  end
  return name
end

--- Sorts instances. Errors: `cycle`, naming two plugins of it.
---@param instances { plugin: moongate.Plugin, id: string? }[]  given: is empty afterwards
---@return table[]? sorted
---@return string? err
---@return "cycle"? code
function M.sort(instances)
  table.sort(instances, first)
  local before, placed, sorted = predecessors(instances), {}, {}
  while #instances > 0 do
    local at = first_free(instances, before, placed)
    if not at then
      local name = instances[1].plugin.name
      local _, blocker = is_free(before, placed, name)
      local err = ("plugins %s and %s each want to come after the other"):format(name, blocker)
      return nil, err, "cycle"
    end
    placed[take(instances, at, sorted)] = true
  end
  return sorted
end

return M
