-- SPDX-License-Identifier: Apache-2.0
-- What a change touches. Where a few Ingresses, Services and their slices are all that has changed,
-- and none ties hosts together, only the hosts of these are translated again; else all are. Either
-- way the model is the same. A canary ties hosts, for its service may be an ordinary one elsewhere;
-- so does a wildcard, whose certificate counts for the names below it, and an object that is there
-- twice.
local ingresses = require("moongate.control.translate.ingresses")
local memory = require("moongate.control.translate.memory")

local M = {}

-- Beyond so many objects, going through all of them is no more work.
local FEW = 256

---@class moongate.Last   what the last translation leaves for this
---@field objects moongate.Object[]  all of the store
---@field by_host table<string, moongate.Object[]>  Ingresses with a rule for it
---@field readers table<string, table>  kind -> key -> set of the hosts made from such an object
---@field servers table<string, moongate.Server>
---@field told table<moongate.Object|string, moongate.Fault[]>  by Ingress, and by host
---@field apart boolean   no canary, and nothing twice

-- The objects that are not in both lists; nil when they are many. What stands before and behind
-- them is the same in both.
local function difference(before, now)
  local first, last, more = 1, #before, #now - #before
  while first <= last and before[first] == now[first] do
    first = first + 1
  end
  while last >= first and before[last] == now[last + more] do
    last = last - 1
  end
  if last - first >= FEW or last + more - first >= FEW then
    return nil
  end
  local seen, changed = {}, {}
  for i = first, last do
    seen[before[i]] = true
  end
  for i = first, last + more do
    if seen[now[i]] then
      seen[now[i]] = nil
    else
      changed[#changed + 1] = now[i]
    end
  end
  for object in pairs(seen) do
    changed[#changed + 1] = object
  end
  return changed
end

-- Hosts of an Ingress whose rules concern them alone; nil for any other object.
local function hosts_of(context, object)
  local spec = object.kind == "Ingress" and object.judged.is_right and object.value.spec
  if not spec or not (spec.rules or {})[1] or ingresses.is_canary(context, object) then
    return nil
  end
  local hosts = {}
  for i, rule in ipairs(spec.rules) do
    local host = ingresses.host_of(rule)
    if host:sub(1, 1) == "*" then
      return nil
    end
    hosts[i] = host
  end
  return hosts
end

-- Adds the hosts of an Ingress, and of all that share one of them; false where they concern others
-- as well, or are too many.
local function spread(context, last, object, found)
  if found.seen[object] then
    return true
  end
  found.seen[object], found.count = true, found.count + 1
  local hosts = found.count <= FEW and hosts_of(context, object)
  for _, host in ipairs(hosts or {}) do
    if not found.hosts[host] then
      found.hosts[host] = true
      for _, other in ipairs(last.by_host[host] or {}) do
        if not spread(context, last, other, found) then
          return false
        end
      end
    end
  end
  return hosts and true or false
end

-- The same for a host, by its Ingresses; one without any is that of all names.
local function spread_host(context, last, host, found)
  local objects = last.by_host[host]
  for _, object in ipairs(objects or {}) do
    if not spread(context, last, object, found) then
      return false
    end
  end
  return objects ~= nil or not last.servers[host]
end

-- What is looked up of a Service or a slice; nil for other kinds.
local function key_of(object)
  if object.kind == "Service" then
    return object.kind, object.key
  elseif object.kind == "EndpointSlice" then
    return memory.SLICES, object.service or false
  end
end

-- What an object that has come, gone or changed touches; false where that may be anything.
local function touch(context, last, object, found)
  local kind, key = key_of(object)
  if not kind then
    return spread(context, last, object, found)
  end
  for host in pairs(last.readers[kind][key] or {}) do
    if not spread_host(context, last, host, found) then
      return false
    end
  end
  return true
end

local function is_present(context, object)
  return context.store.all.Ingress[object.key] == object
end

--- The hosts that a change touches, and the Ingresses that have a rule for one of them, oldest
--- first; nil when it may touch any.
---@param context table
---@return { hosts: table<string, boolean>, objects: moongate.Object[], gone: moongate.Object[] }?
function M.of(context)
  local last = context.memory.last
  local apart = last and last.apart and not context.has_duplicates
  local changed = apart and difference(last.objects, context.objects)
  if not changed then
    return nil
  end
  local found = { hosts = {}, seen = {}, count = 0 }
  for _, object in ipairs(changed) do
    if not touch(context, last, object, found) then
      return nil
    end
  end
  found.objects, found.gone = {}, {}
  for object in pairs(found.seen) do
    table.insert(is_present(context, object) and found.objects or found.gone, object)
  end
  table.sort(found.objects, ingresses.is_before)
  return found
end

-- --- what the last translation said ------------------------------------------------

local function add_all(faults, more)
  for _, fault in ipairs(more) do
    faults[#faults + 1] = fault
  end
end

--- Puts what was grouped anew into the place of what was: servers of the other hosts stay, and what
--- was told of them and their Ingresses is told again.
---@param context table
---@param change table   of `of`
---@param servers table<string, moongate.Server>  of the touched hosts
---@return table<string, moongate.Server>
function M.merge(context, change, servers)
  local last, all = context.memory.last, {}
  for host, server in pairs(last.servers) do
    all[host] = not change.hosts[host] and server or nil
  end
  for host in pairs(change.hosts) do
    all[host] = servers[host]
  end
  for place, faults in pairs(last.told) do
    if not change.hosts[place] and not change.seen[place] then
      context.told[place] = faults
      add_all(context.faults, faults)
    end
  end
  return all
end

-- Ingresses by the hosts of their rules; those of a change are put into the index of before.
local function index(last, change, list)
  local by_host = change and last.by_host or {}
  for host in pairs(change and change.hosts or {}) do
    by_host[host] = nil
  end
  for _, ingress in ipairs(list) do
    for _, rule in ipairs(ingress.rules) do
      local objects = by_host[rule.host] or {}
      by_host[rule.host] = objects
      if objects[#objects] ~= ingress.object then
        objects[#objects + 1] = ingress.object
      end
    end
  end
  return by_host
end

local function note_readers(readers, host, reads)
  for i = 1, #reads, 3 do
    local keys = readers[reads[i]]
    if keys then
      local key = reads[i + 1]
      keys[key] = keys[key] or {}
      keys[key][host] = true
    end
  end
end

-- Who no longer reads an object may stay in the index: it is looked at once more than needed.
local function readers_of(context, change)
  local kept = context.memory
  local readers = change and kept.last.readers or { Service = {}, [memory.SLICES] = {} }
  for host, record in pairs(kept.next.hosts) do
    if not change or change.hosts[host] then
      note_readers(readers, host, record.reads)
      for service in pairs(record.services) do
        note_readers(readers, host, kept.next.services[service].reads)
      end
    end
  end
  return readers
end

--- What the next translation is told of this one.
---@param context table
---@param change table?
---@param list moongate.Ingress[]   that were grouped
---@param servers table<string, moongate.Server>  all
---@return moongate.Last
function M.last(context, change, list, servers)
  return {
    objects = context.objects,
    by_host = index(context.memory.last, change, list),
    readers = readers_of(context, change),
    servers = servers,
    told = context.told,
    apart = context.objects ~= nil and not context.has_canary and not context.has_duplicates,
  }
end

return M
