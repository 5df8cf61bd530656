-- SPDX-License-Identifier: Apache-2.0
--
-- Why a request goes where it goes: hosts and routes that were considered, plugins in their order,
-- the endpoints of the service and the one that the balancer would choose. Works in the control
-- thread on any model and snapshot; nothing is sent.
local ffi = require("ffi")

local C = require("moongate.api.core")
local balance = require("moongate.balance")
local endpoints = require("moongate.balance.endpoint")
local json = require("moongate.api.json")
local plan = require("moongate.hooks.plan")
local probe = require("moongate.explain.probe")
local reader = require("moongate.snapshot.reader")
local redaction = require("moongate.api.schema.redaction")
local registry = require("moongate.hooks.registry")
local route = require("moongate.route")
local schema = require("moongate.api.schema")
local variables = require("moongate.api.variables")

local M = {}

local ROUTE = ffi.typeof("const struct mg_route *")
local HOOKS = {
  "rewrite",
  "access",
  "balance",
  "upstream_request",
  "request_body",
  "response",
  "response_body",
  "log",
}

---@class moongate.Explainable
---@field model table
---@field snapshot ffi.cdata*
---@field plugins moongate.Plugin[]  of scripts
---@field health moongate.Health?  what active checks know, in a gateway that runs

local function string_of(text)
  return text.data ~= nil and ffi.string(text.data, text.length) or ""
end

-- --- plugins and settings ----------------------------------------------------

local function hooks_of(plugin)
  local names = json.array({})
  for _, name in ipairs(HOOKS) do
    if plugin[name] then
      names[#names + 1] = name
    end
  end
  return names
end

-- Only a plugin's own schema knows what of its configuration is secret.
local function shown(known, name, config)
  local plugin = known:find(name)
  local kind = plugin and plugin.config
  if config == nil or type(config) == "table" and next(config) == nil then
    return config
  elseif schema.is_type(kind) then
    return kind:redact(config)
  end
  return redaction.HIDDEN
end

local DECIDING = { "rewrite", "access", "balance" }

-- A plugin knows best; when it fails to tell, it may.
local function may_decide(entry)
  local decides = entry.plugin.decides
  if not decides then
    return true
  end
  local ok, result = pcall(decides, entry.conf)
  return not ok or result
end

-- Names of those that may answer, or choose another service, before the service is asked.
local function deciding(made)
  local able, names = {}, json.array({})
  for _, hook in ipairs(DECIDING) do
    for _, entry in ipairs(made[hook] or {}) do
      able[entry.plugin] = able[entry.plugin] or may_decide(entry)
    end
  end
  for _, instance in ipairs(made.instances or {}) do
    if able[instance.plugin] then
      able[instance.plugin] = nil
      names[#names + 1] = instance.plugin.name
    end
  end
  return names
end

local function describe_plan(out, text, plugins)
  local known = registry.new(plugins)
  local made = plan.new(text, known)
  out.settings = text.settings
  out.plan_fault = made.fault
  out.unless = deciding(made)
  out.plugins = json.array({})
  local configs = {}
  for _, wanted in ipairs(text.plugins or {}) do
    wanted.config = shown(known, wanted.name, wanted.config)
    configs[wanted.id or wanted.name] = wanted.config
  end
  if made.fault then -- none of them runs
    for i, wanted in ipairs(text.plugins or {}) do
      out.plugins[i] = { name = wanted.name, id = wanted.id, config = wanted.config }
    end
  end
  for i, instance in ipairs(made.instances or {}) do
    local plugin = instance.plugin
    out.plugins[i] = {
      name = plugin.name,
      id = instance.id,
      stage = plugin.stage,
      hooks = hooks_of(plugin),
      config = configs[instance.id or plugin.name],
    }
  end
end

-- --- the service -------------------------------------------------------------

local function new_balances()
  return balance.new({
    decode = function(text)
      return assert(json.decode(text, true))
    end,
    now = function()
      return C.mg_time_monotonic()
    end,
  })
end

local function name_of(endpoint)
  return endpoints.name(endpoint.address, endpoint.port)
end

-- What the balancer says of this request now; without a key each worker has a turn of its own.
local function choose(service, id, request, generation, unhealthy)
  local balances = new_balances()
  for _, endpoint in ipairs(unhealthy) do
    balances:mark(reader.text(service, service.name), endpoint.address, endpoint.port, false)
  end
  local balancer = balances:of(service, id)
  local key = balancer.hash_key and variables.fill(request, generation, balancer.hash_key) or nil
  local endpoint = balancer:pick(request, generation, nil, key)
  return endpoint and name_of(endpoint), key
end

local function describe_service(out, subject, id, request, generation)
  local service = reader.service(subject.snapshot, id)
  if not service then
    return
  end
  local rest = json.decode(reader.service_rest(service), true) or {}
  local service_name = reader.text(service, service.name)
  local list, unhealthy = json.array({}), {}
  for i, endpoint in ipairs(reader.endpoints(service)) do
    local name = name_of(endpoint)
    local healthy
    if subject.health then
      healthy = subject.health:of(service_name, name)
    end
    list[i] =
      { address = name, weight = endpoint.weight, zone = endpoint.zone, healthy = healthy }
    if healthy == false then
      unhealthy[#unhealthy + 1] = endpoint
    end
  end
  out.service = {
    name = service_name,
    protocol = rest.protocol,
    balance = rest.balance,
    affinity = rest.affinity,
    endpoints = list,
  }
  if #list > 0 then
    out.service.choice, out.service.key = choose(service, id, request, generation, unhealthy)
    out.service.by_key = out.service.key ~= nil
  end
end

-- --- the whole ---------------------------------------------------------------

local function object_of(source)
  if source and source.kind and source.name then
    local namespace = source.namespace and source.namespace .. "/" or ""
    return ("%s %s%s"):format(source.kind, namespace, source.name)
  end
end

-- Faults of the route's own object, else of the file and line that it comes from.
local function faults_of(model, source)
  local list = json.array({})
  local object = object_of(source)
  for _, fault in ipairs(model.faults or {}) do
    local same = object and fault.object == object
      or source and not object and fault.file == source.file and fault.line == source.line
    if same then
      list[#list + 1] = { severity = fault.severity, field = fault.field, message = fault.message }
    end
  end
  return list
end

local function decode_sources(explained)
  for _, candidate in ipairs(explained.candidates) do
    candidate.source = candidate.source and json.decode(candidate.source, true) or nil
  end
end

-- The end of a sentence about what happens when no plugin does otherwise.
local function unless(out, what)
  local names = { unpack(out.unless) }
  local last = table.remove(names)
  if not last then
    return ""
  end
  local list = names[1] and table.concat(names, ", ") .. " or " .. last or last
  return (", unless %s answers or chooses %s"):format(list, what)
end

local function outcome_of(out, found, code)
  local fault = reader.route_fault(found) or out.plan_fault
  if code then
    return "500: a pattern went over its limit of effort"
  elseif fault then
    return "503: " .. fault
  elseif found.service < 0 then
    return "404: there is no service" .. unless(out, "one")
  elseif not out.service or #out.service.endpoints == 0 then
    return "503: the service has no endpoint that is ready" .. unless(out, "another service")
  end
  return "goes to " .. (out.service.choice or out.service.name) .. unless(out, "another service")
end

local function describe_route(out, subject, request, generation)
  local found, code = route.match(subject.snapshot, request, generation)
  if found == nil then
    out.outcome = "404: no route matches"
    return
  end
  found = ffi.cast(ROUTE, found)
  local text = reader.plans(function(text)
    return assert(json.decode(text, true))
  end):get(subject.snapshot, found.plan)
  describe_plan(out, text, subject.plugins)
  describe_service(out, subject, found.service, request, generation)
  out.faults = faults_of(subject.model, out.route and out.route.source)
  out.outcome = outcome_of(out, found, code)
end

local function explain(subject, method, request, generation)
  local explained = route.explain(subject.snapshot, request, generation)
  decode_sources(explained)
  local out = {
    request = {
      method = method,
      host = string_of(request.host),
      path = string_of(request.path),
      query = request.query.data ~= nil and string_of(request.query) or nil,
      client = string_of(request.client_ip),
      secure = request.secure == 1,
    },
    hosts = json.array(explained.hosts),
    candidates = json.array(explained.candidates),
    route = explained.route,
  }
  describe_route(out, subject, request, generation)
  return out
end

-- --- ports of TCP and UDP services ---------------------------------------------

local PROTOCOLS = { TCP = "tcp", UDP = "udp" }

local function port_of(model, protocol, number)
  for _, port in ipairs(model.ports or {}) do
    if port.protocol == protocol and port.port == number then
      return port
    end
  end
end

local function id_of(snapshot, name)
  for id = 0, C.mg_snapshot_service_count(snapshot) - 1 do
    local service = reader.service(snapshot, id)
    if service and reader.text(service, service.name) == name then
      return id
    end
  end
  return -1
end

local function port_outcome(out)
  if not out.port.service then
    return "refused: no entry of the ConfigMap of " .. out.port.protocol:upper()
      .. " services opens this port"
  elseif #out.service.endpoints == 0 then
    local what = out.port.protocol == "tcp" and "closed at once" or "dropped"
    return what .. ": the service has no endpoint that is ready"
  end
  return "goes to " .. out.service.choice
end

-- Of the entry, not of the whole ConfigMap.
local function port_faults(model, source)
  local list = json.array({})
  for _, fault in ipairs(faults_of(model, source)) do
    list[#list + 1] = fault.field == source.field and fault or nil
  end
  return list
end

local function explain_port(subject, protocol, number)
  local found = port_of(subject.model, protocol, number)
  local out = { port = { protocol = protocol, port = number }, faults = json.array({}) }
  if found then
    out.port = found
    describe_service(out, subject, id_of(subject.snapshot, found.service), nil, 0)
    out.faults = port_faults(subject.model, found.source)
  end
  out.outcome = port_outcome(out)
  return out
end

--- Explains one request, or where a port of a TCP or UDP service leads.
---@param subject moongate.Explainable
---@param method string      TCP or UDP for a port
---@param address string     a URL, or a path; what ends in `:PORT`, for a port
---@param headers string[]?  lines `Name: value`
---@param client string?     address of the client
---@return table? explained  see explain/text.lua for its reading
---@return string? err       the request cannot be one
function M.explain(subject, method, address, headers, client)
  if PROTOCOLS[method] then
    local number = tonumber(address:match("^%d+$") or address:match(":(%d+)$"))
    if not number then
      return nil, ("%s: name a port: moongate explain %s :5432"):format(address, method)
    end
    return explain_port(subject, PROTOCOLS[method], number)
  end
  local url, err = probe.parse_url(address)
  if not url then
    return nil, err
  end
  local asked
  asked, err = probe.new(method, url, headers, client)
  if not asked then
    return nil, err
  end
  asked.request.snapshot = subject.snapshot
  local ok, result = xpcall(explain, debug.traceback, subject, method, asked.request,
    asked.generation)
  asked:close()
  if not ok then
    error(result, 0)
  end
  return result
end

return M
