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
  for name in pairs(before) do
    for _, instance in ipairs(instances) do
      local plugin = instance.plugin
      if plugin.name == name then
        for _, earlier in ipairs(plugin.after or {}) do
          before[name][earlier] = before[earlier] and true or nil
        end
      else
        for _, later in ipairs(plugin.before or {}) do
          before[name][plugin.name] = before[name][plugin.name] or later == name or nil
        end
      end
    end
  end
  return before
end

local function is_free(before, placed, name)
  for earlier in pairs(before[name]) do
    if earlier ~= name and not placed[earlier] then
      return false, earlier
    end
  end
  return true
end

--- Sorts instances in place. Errors: `cycle`, naming two plugins of it.
---@param instances { plugin: moongate.Plugin, id: string? }[]
---@return table[]? instances
---@return string? err
---@return "cycle"? code
function M.sort(instances)
  table.sort(instances, first)
  local before, placed, sorted = predecessors(instances), {}, {}
  local rest = instances
  while #rest > 0 do
    local later, blocker = {}, nil
    for _, instance in ipairs(rest) do
      local name = instance.plugin.name
      local free, earlier = is_free(before, placed, name)
      if free and not blocker then
        sorted[#sorted + 1] = instance
      else
        blocker = blocker or { name, earlier }
        later[#later + 1] = instance
      end
      -- Instances of one plugin stand together: the name is placed when its last one is.
    end
    for _, instance in ipairs(rest) do
      placed[instance.plugin.name] = true
    end
    for _, instance in ipairs(later) do
      placed[instance.plugin.name] = nil
    end
    if #later == #rest then
      local err = ("plugins %s and %s each want to come after the other"):format(blocker[1], blocker[2])
      return nil, err, "cycle"
    end
    rest = later
  end
  return sorted
end

return M
