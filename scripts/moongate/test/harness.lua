-- SPDX-License-Identifier: Apache-2.0
--
-- Plugins in the pipeline that serves traffic, without sockets of a gateway: this thread's own
-- exchanges, with a generation and a snapshot made for the test, between a connection in memory and
-- a scripted upstream.
local ffi = require("ffi")

local C = require("moongate.api.core")
local boot = require("moongate.boot")
local client = require("moongate.test.client")
local http = require("moongate.test.http")
local generation = require("moongate.hooks.generation")
local hooks = require("moongate.hooks")
local plugin_api = require("moongate.api.plugin")
local publish = require("moongate.control.publish")
local state = require("moongate.test.state")
local tcp = require("moongate.api.tcp")
local upstream = require("moongate.test.upstream")
local vm = require("moongate.api.vm")

local M = {}

-- One for all: services and plans are told apart by numbers that one writer gives.
local publisher
local count = 0

local function begin()
  if not publisher then
    publisher = publish.new()
    state.at_exit(function()
      publisher:close()
    end)
    boot.answer_by(hooks.dispatch)
  end
  count = count + 1
  return count
end

-- --- plugins -----------------------------------------------------------------

local function read_file(path)
  local file, err = io.open(path, "rb")
  if not file then
    error(err, 0)
  end
  local text = file:read("*a")
  file:close()
  return { path = path, name = path:match("[^/]+$"), text = text }
end

local function is_path(name)
  return name:find("%.lua$") ~= nil or name:find("/", 1, true) ~= nil
end

-- Sorts what is wanted into files to load, plugins that are there already, and instances.
local function collect(wanted)
  local files, defined, instances = {}, {}, {}
  for i, one in ipairs(wanted) do
    local plugin, conf = one[1], one[2]
    if type(plugin) == "table" then
      plugin = plugin_api.is_plugin(plugin) and plugin or plugin_api.plugin(plugin)
      plugin.name = plugin.name or ("plugin-" .. i)
      defined[#defined + 1] = plugin
      instances[#instances + 1] = { name = plugin.name, config = conf, id = one.id }
    elseif is_path(plugin) then
      files[#files + 1] = read_file(plugin)
      files[#files].config = conf or {}
    else
      instances[#instances + 1] = { name = plugin, config = conf, id = one.id }
    end
  end
  return files, defined, instances
end

-- A plugin of a file without `config` is on every request as it is.
local function attach_files(made, files, instances)
  for _, plugin in ipairs(made.plugins) do
    for _, file in ipairs(files) do
      if plugin.file == file.path and plugin.config then
        instances[#instances + 1] = { name = plugin.name, config = file.config }
      end
    end
  end
end

local function generation_of(number, wanted)
  local files, defined, instances = collect(wanted)
  local made = assert(generation.new(number, files))
  attach_files(made, files, instances)
  for _, plugin in ipairs(defined) do
    made.registry.plugins[plugin.name] = plugin
    table.insert(made.plugins, plugin)
    if plugin.init then
      plugin.init(generation.worker_view)
    end
  end
  for _, instance in ipairs(instances) do
    local ok, err = made.registry:instance(instance)
    if not ok then
      error(err, 0)
    end
  end
  return made, instances
end

-- --- harness -----------------------------------------------------------------

---@class moongate.test.HarnessOptions
---@field settings table?     of the route
---@field route table?        path
---@field upstreams integer?  servers behind the service, 1 unless given: `h.servers`
---@field service table?      further fields of the service

local Harness = {}
Harness.__index = Harness

-- One service; `options.service` has further fields of it.
local function service_of(self, name, options)
  local service = {
    name = name,
    endpoints = {},
    protocol = "http",
    balance = { algorithm = "round_robin" },
  }
  for i, server in ipairs(self.servers) do
    service.endpoints[i] = { address = "127.0.0.1", port = server.port, weight = 1 }
  end
  for key, value in pairs(options.service or {}) do
    service[key] = value
  end
  return service
end

local function model_of(self, number, instances, options)
  local name = "upstream-" .. number
  local route = options.route or {}
  return {
    hosts = {
      ["*"] = {
        routes = {
          {
            id = "test",
            path = route.path or { type = "prefix", value = "/" },
            service = name,
            plugins = instances[1] and instances or nil,
            settings = options.settings or route.settings,
            source = { kind = "Test" },
          },
        },
      },
    },
    services = {
      [name] = service_of(self, name, options),
    },
    certificates = {},
    settings = {},
    faults = {},
  }
end

--- Makes this harness answer the requests of this thread from now on.
function Harness:use()
  hooks.use(self.generation)
  C.mg_test_serve(vm, C.mg_snapshot_ref(self.snapshot))
end

--- Sends a request through the plugins, and returns the response.
---@param request moongate.test.Request|{ client_ip: string?, tls: boolean? }|nil
---@return moongate.test.Message?
---@return string? err
---@return string? code
function Harness:request(request)
  request = request or {}
  self:use()
  local made = client.new(function()
    local ip = request.client_ip or "127.0.0.1"
    return tcp.adopt(function(handle)
      return C.mg_test_connect(vm, ip, #ip, request.tls and 1 or 0, handle)
    end)
  end)
  local response, err, code = made:request(request)
  made:close()
  return response, err, code
end

--- How the upstream answers from now on.
---@param answer moongate.test.Answer|function|string|table[]|nil
---@return moongate.test.Harness
function Harness:upstream(answer)
  self.server:answer(answer)
  return self
end

function Harness:close()
  state.forget(self)
  for _, server in ipairs(self.servers) do
    server:close()
  end
  for _, plugin in ipairs(self.generation.plugins) do
    if plugin.unload then
      plugin.unload(generation.worker_view)
    end
  end
end

--- Several plugins, in the order that their stages give.
---@param wanted { [1]: string|table, [2]: table? }[]  name, path or plugin, and its configuration
---@param options moongate.test.HarnessOptions?
---@return moongate.test.Harness
function M.plugins(wanted, options)
  local number = begin()
  http.install()
  local made, instances = generation_of(number, wanted)
  options = options or {}
  local self = setmetatable({ generation = made, servers = {} }, Harness)
  for i = 1, options.upstreams or 1 do
    self.servers[i] = upstream.new()
  end
  self.server = self.servers[1]
  self.requests = self.server.requests
  local model = model_of(self, number, instances, options)
  local snapshot, _, faults = publisher:build(model)
  self.snapshot = ffi.gc(snapshot, C.mg_snapshot_unref)
  if faults[1] then
    error(faults[1].message, 2)
  end
  return state.keep(self)
end

--- One plugin.
---@param plugin string|table  a name, a path to its file, or what mg.plugin takes
---@param conf table?
---@param options moongate.test.HarnessOptions|{ others: table[]? }|nil
---@return moongate.test.Harness
function M.plugin(plugin, conf, options)
  local wanted = { { plugin, conf } }
  for _, other in ipairs(options and options.others or {}) do
    wanted[#wanted + 1] = other
  end
  return M.plugins(wanted, options)
end

return M
