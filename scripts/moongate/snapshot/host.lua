-- SPDX-License-Identifier: Apache-2.0
--
-- Lays out one host: routes in order of precedence, and a hash table from paths to routes.
-- Called by the writer; the result is what route/ reads.
local ffi = require("ffi")

local C = require("moongate.api.core")
local layout = require("moongate.snapshot.layout")

local M = {}

local ROUTE = ffi.typeof("struct mg_route *")
local HOST = ffi.typeof("struct mg_host *")
local SPAN = ffi.typeof("struct mg_span *")
local PREDICATE = ffi.typeof("struct mg_predicate *")
local REGEXES = ffi.typeof("const struct mg_regex **")
local NUMBERS = ffi.typeof("uint32_t *")
local SIZES = {
  route = ffi.sizeof("struct mg_route"),
  host = ffi.sizeof("struct mg_host"),
  span = ffi.sizeof("struct mg_span"),
  predicate = ffi.sizeof("struct mg_predicate"),
}

local PATH_TYPES = {
  exact = layout.PATH_EXACT,
  prefix = layout.PATH_PREFIX,
  prefix_text = layout.PATH_PREFIX_TEXT,
  regex = layout.PATH_REGEX,
}
local MATCHES = {
  exact = layout.MATCH_EXACT,
  present = layout.MATCH_PRESENT,
  regex = layout.MATCH_REGEX,
}

local ERROR_BYTES = 256
local error_text = ffi.new("char[?]", ERROR_BYTES)

-- One pattern is compiled once for a host, however many routes have it.
local function compile(job, pattern, flags)
  local key = flags .. pattern
  local known = job.regexes[key]
  if not known then
    local regex = C.mg_regex_new(pattern, #pattern, flags, error_text, ERROR_BYTES)
    known = { regex = regex ~= nil and regex or nil }
    if regex == nil then
      known.err = ("pattern %q: %s"):format(pattern, ffi.string(error_text))
    end
    job.regexes[key] = known
  end
  return known.regex, known.err
end

local function object_of(route)
  local source = route.source
  if not source or not source.kind then
    return route.id
  end
  return ("%s %s/%s"):format(source.kind, source.namespace or "", source.name or "")
end

local function report(job, item, field, message)
  local source = item.route.source or {}
  item.fault = item.fault or message
  job.faults[#job.faults + 1] = {
    severity = "error",
    object = object_of(item.route),
    field = field,
    file = source.file,
    line = source.line,
    message = ("route %q: %s; it answers 503 until that is mended"):format(item.route.id, message),
  }
end

-- Of a pattern that does not compile only what precedes its first special byte says where the route
-- would have served. As a textual prefix it ranks behind every sound route of that path.
local function fall_back(item, pattern)
  item.type = layout.PATH_PREFIX_TEXT
  item.path = pattern:match("^%^?([^%^%$%.%[%]%(%)%*%+%?%{%}%|\\]*)")
end

local function resolve_path(job, item)
  local path = item.route.path
  item.type = PATH_TYPES[path.type]
  item.path = path.value
  if #path.value > layout.PATH_BYTES_MAX then
    report(job, item, "path", "the path is longer than 8192 bytes")
    item.path = path.value:sub(1, layout.PATH_BYTES_MAX)
    item.type = layout.PATH_EXACT
  elseif not item.type then
    report(job, item, "path", ("path type %q is not known"):format(tostring(path.type)))
    item.type = layout.PATH_EXACT
  elseif item.type == layout.PATH_PREFIX then
    item.path = path.value:gsub("/+$", "")
    item.depth = select(2, item.path:gsub("/", ""))
    if item.depth > layout.DEPTH_MAX then
      report(job, item, "path", "a prefix has 63 elements at most")
      item.type = layout.PATH_EXACT
    end
  elseif item.type == layout.PATH_REGEX then
    local flags = layout.REGEX_ANCHORED + (path.insensitive and layout.REGEX_CASELESS or 0)
    local regex, err = compile(job, path.value, flags)
    item.regex = regex
    if err then
      report(job, item, "path", err)
      fall_back(item, path.value)
    end
  end
end

-- What the route asks of a value: a kind and perhaps a regex. A faulty condition only asks for the
-- value to be there: the route would have served some of the requests that have it.
local function condition_of(job, item, condition, field)
  local kind = MATCHES[condition.type or "exact"]
  if not kind then
    report(job, item, field, ("match type %q is not known"):format(tostring(condition.type)))
    return layout.MATCH_PRESENT
  elseif kind ~= layout.MATCH_REGEX then
    return kind
  end
  local regex, err = compile(job, condition.value, 0)
  if not regex then
    report(job, item, field, err)
    return layout.MATCH_PRESENT
  end
  return kind, regex
end

local function add_predicates(job, item, list, subject)
  local is_header = subject == layout.SUBJECT_HEADER
  for i, condition in ipairs(list or {}) do
    local field = ("%s[%d]"):format(is_header and "headers" or "query", i)
    local kind, regex = condition_of(job, item, condition, field)
    item.predicates[#item.predicates + 1] = {
      subject = subject,
      kind = kind,
      name = is_header and condition.name:lower() or condition.name,
      value = tostring(condition.value or ""),
      regex = regex,
    }
  end
end

local function resolve(job, route, serial)
  local item = { route = route, serial = serial, priority = route.priority or 0, predicates = {} }
  if route.fault then
    item.fault = route.fault
  end
  resolve_path(job, item)
  add_predicates(job, item, route.headers, layout.SUBJECT_HEADER)
  add_predicates(job, item, route.query, layout.SUBJECT_QUERY)
  local methods = route.methods
  item.methods = methods and #methods > 0 and methods or {}
  item.weight = #item.predicates + (#item.methods > 0 and 1 or 0)
  return item
end

local function comes_first(a, b)
  if a.priority ~= b.priority then
    return a.priority > b.priority
  elseif a.weight ~= b.weight then
    return a.weight > b.weight
  end
  return a.serial < b.serial
end

local function pattern_comes_first(a, b)
  if #a.path ~= #b.path then
    return #a.path > #b.path
  elseif a.path ~= b.path then
    return a.path > b.path
  end
  return comes_first(a, b)
end

-- Groups by path, in the order of first appearance, each sorted; regexes apart.
local function arrange(items)
  local groups, by_path, regexes = {}, {}, {}
  for _, item in ipairs(items) do
    if item.type == layout.PATH_REGEX then
      regexes[#regexes + 1] = item
    else
      local key = item.type .. item.path
      local group = by_path[key]
      if not group then
        group = {}
        by_path[key] = group
        groups[#groups + 1] = group
      end
      group[#group + 1] = item
    end
  end
  for _, group in ipairs(groups) do
    table.sort(group, comes_first)
  end
  table.sort(regexes, pattern_comes_first)
  return groups, regexes
end

local function set_span(span, base, at, text)
  span.at, span.length = at - base, #text
end

local function write_methods(block, at, methods)
  local list = block:take(#methods * SIZES.span)
  for i, method in ipairs(methods) do
    local text_at = block:put(method)
    set_span(ffi.cast(SPAN, block.data + list)[i - 1], at, text_at, method)
  end
  return list - at
end

local function write_predicates(block, at, predicates)
  local list = block:take(#predicates * SIZES.predicate)
  for i, predicate in ipairs(predicates) do
    local name_at = block:put(predicate.name)
    local value_at = block:put(predicate.value)
    local into = ffi.cast(PREDICATE, block.data + list)[i - 1]
    into.subject, into.kind, into.regex = predicate.subject, predicate.kind, predicate.regex
    set_span(into.name, at, name_at, predicate.name)
    set_span(into.value, at, value_at, predicate.value)
  end
  return list - at
end

--- What access log and metrics call a service: as Ingresses name it, else its own name.
---@param name string
---@param source { namespace: string?, name: string?, port: any }?
---@return string
function M.upstream_name(name, source)
  if source and source.namespace and source.name and source.port then
    return ("%s-%s-%s"):format(source.namespace, source.name, source.port)
  end
  return name
end

-- What they call the route: objects by kind.
local function names_of(route, job)
  local source = route.source or {}
  local service = job.service_source(route)
  local upstream = route.service and M.upstream_name(route.service, service) or ""
  service = service or {}
  return {
    ingress = source.name or "",
    space = source.namespace or "",
    service = service.name or "",
    port = tostring(service.port or ""),
    upstream = upstream,
  }
end

local function write_names(block, at, names)
  for name, text in pairs(names) do
    local text_at = block:put(text)
    set_span(ffi.cast(ROUTE, block.data + at).names[name], at, text_at, text)
  end
end

-- The path for people: that of the prefix / has lost its slash.
local function put_shown(block, path, path_at)
  if path == "" then
    return "/", block:put("/")
  end
  return path, path_at
end

local function write_route(block, item, job)
  local route = item.route
  local at = block:take(SIZES.route)
  local methods_at = write_methods(block, at, item.methods)
  local predicates_at = write_predicates(block, at, item.predicates)
  local source = route.source and job.encode(route.source) or ""
  local fault = item.fault or ""
  local id_at, path_at = block:put(route.id), block:put(item.path)
  local source_at, fault_at = block:put(source), block:put(fault)
  local shown, shown_at = put_shown(block, item.path, path_at)
  local caseless = item.type == layout.PATH_REGEX and route.path.insensitive
  local into = ffi.cast(ROUTE, block.data + at)
  into.regex, into.path_type = item.regex, item.type
  into.plan, into.service = job.plan_id(route), job.service_id(route)
  into.flags = (item.fault and layout.FLAG_FAULT or 0) + (caseless and layout.FLAG_CASELESS or 0)
  into.method_count, into.methods_at = #item.methods, methods_at
  into.predicate_count, into.predicates_at = #item.predicates, predicates_at
  into.priority, into.serial, into.part_at = item.priority, item.serial, at
  set_span(into.id, at, id_at, route.id)
  set_span(into.path, at, path_at, item.path)
  set_span(into.source, at, source_at, source)
  set_span(into.fault, at, fault_at, fault)
  set_span(into.names.id, at, id_at, route.id)
  set_span(into.names.path, at, shown_at, shown)
  local names = names_of(route, job)
  into.names.series = job.series_id(names, route)
  write_names(block, at, names)
  return at
end

local function index_methods(block, index, offset)
  local route = ffi.cast(ROUTE, block.data + offset)
  local spans = ffi.cast(SPAN, block.data + offset + route.methods_at)
  for i = 0, route.method_count - 1 do
    local method = block.data + offset + spans[i].at
    C.mg_index_put(index, layout.INDEX_METHODS + route.serial, method, spans[i].length, 0, 0)
  end
end

local function key_count(groups, items)
  local count = #groups
  for _, item in ipairs(items) do
    count = count + #item.methods
  end
  return count
end

local function write_index(block, groups, items, offsets)
  local bytes = C.mg_index_bytes(key_count(groups, items))
  local at = block:take(bytes)
  local index = block.data + at
  C.mg_index_init(index, bytes)
  for _, offset in ipairs(offsets) do
    index_methods(block, index, offset)
  end
  local first = 0
  for _, group in ipairs(groups) do
    local route = ffi.cast(ROUTE, block.data + offsets[first + 1])
    local path = block.data + offsets[first + 1] + route.path.at
    C.mg_index_put(index, route.path_type + 1, path, route.path.length, first, #group)
    first = first + #group
  end
  return at
end

local function text_lengths(groups)
  local lengths, seen = {}, {}
  for _, group in ipairs(groups) do
    local length = #group[1].path
    if group[1].type == layout.PATH_PREFIX_TEXT and not seen[length] then
      seen[length] = true
      lengths[#lengths + 1] = length
    end
  end
  table.sort(lengths, function(a, b)
    return a > b
  end)
  return lengths
end

local function write_numbers(block, list)
  local at = block:take(4 * #list)
  local into = ffi.cast(NUMBERS, block.data + at)
  for i, value in ipairs(list) do
    into[i - 1] = value
  end
  return at
end

local function write_regexes(block, regexes)
  local at = block:take(ffi.sizeof("void *") * #regexes)
  local list = ffi.cast(REGEXES, block.data + at)
  for i, item in ipairs(regexes) do
    list[i - 1] = item.regex
  end
  return at
end

local function write_routes(block, groups, regexes, job)
  local offsets = {}
  for _, group in ipairs(groups) do
    for _, item in ipairs(group) do
      offsets[#offsets + 1] = write_route(block, item, job)
    end
  end
  for _, item in ipairs(regexes) do
    offsets[#offsets + 1] = write_route(block, item, job)
  end
  return offsets
end

--- Lays `entry` out in `block`.
---
--- `job` holds `encode`, `plan_id(route)`, `service_id(route)` and `series_id(names, route)`, which
--- intern, and `service_source(route)`, the object of its service. Filled in:
--- `faults`, and `regexes`, whose patterns the caller gives to the part.
---@param block moongate.Block
---@param entry table  a host of the model
function M.write(block, entry, job)
  job.faults, job.regexes = {}, {}
  local items = {}
  for i, route in ipairs(entry.routes) do
    items[i] = resolve(job, route, i)
  end
  local groups, regexes = arrange(items)
  block:clear()
  local at = block:take(SIZES.host)
  local offsets = write_routes(block, groups, regexes, job)
  local routes_at = write_numbers(block, offsets)
  local index_at = write_index(block, groups, items, offsets)
  local lengths = text_lengths(groups)
  local lengths_at = write_numbers(block, lengths)
  local regexes_at = write_regexes(block, regexes)
  local host = ffi.cast(HOST, block.data + at)
  host.route_count, host.routes_at = #items, routes_at
  host.regex_first, host.regex_count = #items - #regexes, #regexes
  host.regexes_at = regexes_at
  host.index_at = index_at
  host.text_length_count, host.text_lengths_at = #lengths, lengths_at
  host.single_label = entry.single_label and 1 or 0
  host.fall_through = entry.fall_through and 1 or 0
end

--- Compiles the patterns of further names of a host; one that does not compile is a fault.
---@param entry table  host of the model
---@param job table    as of `write`
---@return ffi.cdata*[] regexes
function M.aliases(entry, job)
  local regexes = {}
  for _, pattern in ipairs(entry.alias_patterns or {}) do
    local regex, err = compile(job, pattern, layout.REGEX_CASELESS)
    regexes[#regexes + 1] = regex
    if err then
      job.faults[#job.faults + 1] = { severity = "error", object = "server-alias", message = err }
    end
  end
  return regexes
end

return M
