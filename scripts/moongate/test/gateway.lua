-- SPDX-License-Identifier: Apache-2.0
--
-- The shipped binary as a child process, between scripted upstreams and clients, on free ports.
local client = require("moongate.test.client")
local folder = require("moongate.test.folder")
local json = require("moongate.api.json")
local process = require("moongate.test.process")
local state = require("moongate.test.state")
local task = require("moongate.api.task")
local tcp = require("moongate.api.tcp")
local upstream = require("moongate.test.upstream")

local M = {}

local WORKERS = os.getenv("MG_TEST_WORKERS") or 1
local SIGHUP, SIGKILL, SIGTERM = 1, 9, 15

---@class moongate.test.GatewayOptions
---@field proxy string?             runs `moongate proxy --to` this URL; else `moongate run`
---@field scripts string|table|nil  a folder, a script's text, or texts by file name
---@field manifests string|table|nil  the same for YAML
---@field config string?            another word for one manifest's text
---@field upstreams table?          answers by name, `true`: the usual one. In texts `${name}` is
---  its URL and `${name.port}` its port
---@field settings table?           of --set
---@field args string[]?
---@field workers integer?          MG_TEST_WORKERS unless given, which is 1 unless set

local Gateway = {}
Gateway.__index = Gateway

-- --- texts -------------------------------------------------------------------

local function fill(self, text)
  return (text:gsub("%${([%w_-]+)(%.?%w*)}", function(name, part)
    local server = self.upstreams[name]
    if server then
      return part == ".port" and tostring(server.port) or server:url()
    end
  end))
end

-- A folder stays where it is; texts are written to a folder of their own.
local function place(self, given, name)
  if type(given) == "string" and not given:find("\n") then
    return given
  end
  local texts = {}
  for file, text in pairs(type(given) == "table" and given or { [name] = given }) do
    texts[file] = fill(self, text)
  end
  local made = folder.new(texts)
  table.insert(self.folders, made)
  return made.path
end

-- --- start and end -----------------------------------------------------------

local function arguments(self)
  local options = self.options
  local list = { process.executable(), options.proxy and "proxy" or "run" }
  local function add(...)
    for _, word in ipairs({ ... }) do
      list[#list + 1] = word
    end
  end
  add("--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "json")
  add("--workers", tostring(options.workers or WORKERS))
  if options.proxy then
    add("--to", fill(self, options.proxy))
  else
    add("--https", "127.0.0.1:0")
  end
  if options.scripts then
    self.scripts = place(self, options.scripts, "spec.lua")
    add("--scripts", self.scripts)
  end
  if options.manifests or options.config then
    self.manifests = place(self, options.manifests or options.config, "spec.yaml")
    add("--manifests", self.manifests)
  end
  for key, value in pairs(options.settings or {}) do
    add("--set", ("%s=%s"):format(key, tostring(value)))
  end
  add(unpack(options.args or {}))
  return list
end

local function on_line(self, line, is_error)
  local list = is_error and self.lines or self.output
  list[#list + 1] = line
  local entry = is_error and line:sub(1, 1) == "{" and json.decode(line)
  if entry then
    table.insert(self.entries, entry)
  end
end

local function port_of(text)
  return tonumber((text or ""):match(":(%d+)$"))
end

--- Waits for the log line of an event, and returns its fields.
---@param event string
---@param number integer?  the first of them unless given
---@return table<string, string>
function Gateway:wait_log(event, number)
  local found
  upstream.wait_until(function()
    found = self:logs(event)[number or 1]
    return found or self.ended
  end, "the log line " .. event)
  return found or error(("the gateway ended before %q\n%s"):format(event, self:dump()), 2)
end

--- Starts it, and waits until it serves, or until its log has another event.
---@param event string?
---@return moongate.test.Gateway
function Gateway:start(event)
  for name, answer in pairs(self.options.upstreams or {}) do
    self:upstream(name, answer)
  end
  self.process = process.start(arguments(self), function(line, is_error)
    on_line(self, line, is_error)
  end)
  state.keep(self)
  state.dump_on_failure(self)
  task.spawn(function()
    self.ended = self.process:wait()
  end)
  local ready = self:wait_log("ready")
  self.port = port_of(ready.http)
  self.https_port = port_of(ready.https)
  self.admin_port = port_of(ready.admin)
  self:wait_log(event or "serving")
  return self
end

local function wait_end(self)
  upstream.wait_until(function()
    return self.ended
  end, "the gateway's end")
end

--- Ends it, by SIGTERM unless it is over; returns the exit code. A code other than 0 is raised with
--- the log unless `any_code` is set.
---@param any_code boolean?
---@return integer
function Gateway:stop(any_code)
  state.forget(self)
  for _, made in ipairs(self.clients) do
    made:close()
  end
  if not self.ended then
    self.process:kill(SIGTERM)
    local ok = pcall(wait_end, self)
    if not ok then
      self.process:kill(SIGKILL)
      wait_end(self)
    end
  end
  for _, server in pairs(self.upstreams) do
    server:close()
  end
  for _, made in ipairs(self.folders) do
    made:close()
  end
  if self.ended ~= 0 and not any_code then
    error(("the gateway ended with %d\n%s"):format(self.ended, self:dump()), 2)
  end
  return self.ended
end

Gateway.close = Gateway.stop

---@param signal integer
function Gateway:kill(signal)
  self.process:kill(signal)
end

-- --- what a spec does with it -------------------------------------------------

--- A server by name; made when it is first named.
---@param name string
---@param answer any  of moongate.test.upstream
---@param options table?
---@return moongate.test.Upstream
function Gateway:upstream(name, answer, options)
  local server = self.upstreams[name]
  if not server then
    server = upstream.new(answer, options)
    self.upstreams[name] = server
  end
  return server
end

---@return moongate.Connection
function Gateway:connect()
  return assert(tcp.connect("127.0.0.1", self.port, { timeout = state.patience() }))
end

--- A client with a connection of its own.
---@return moongate.test.Client
function Gateway:client()
  local made = client.new(function()
    return tcp.connect("127.0.0.1", self.port)
  end)
  self.clients[#self.clients + 1] = made
  return made
end

--- A client of the admin listener.
---@return moongate.test.Client
function Gateway:admin()
  return client.new(function()
    return tcp.connect("127.0.0.1", self.admin_port)
  end)
end

---@param path string?
---@return string
function Gateway:url(path)
  return ("http://127.0.0.1:%d%s"):format(self.port, path or "")
end

-- Lets the loop read what the gateway has written by now: the first turn has its timers alone.
local function catch_up()
  upstream.pause(0)
  upstream.pause(0)
end

--- Log entries, of one event or all. What it writes next is for `wait_log`.
---@param event string?
---@return table<string, string>[]
function Gateway:logs(event)
  catch_up()
  local found = {}
  for _, entry in ipairs(self.entries) do
    if not event or entry.event == event then
      found[#found + 1] = entry
    end
  end
  return found
end

--- The text of /metrics, or the value of one series: `g:metrics("name", { label = "value" })`.
---@param name string?
---@param labels table<string, string>?
---@return string|number|nil
function Gateway:metrics(name, labels)
  local text = self:admin():get("/metrics").body
  if not name then
    return text
  end
  for series, found, value in text:gmatch("([%w_:]+)(%b{}) ([^\n]+)") do
    local matches = series == name
    for label, wanted in pairs(labels or {}) do
      matches = matches and found:find(('%s="%s"'):format(label, wanted), 1, true) ~= nil
    end
    if matches then
      return tonumber(value)
    end
  end
  return not labels and tonumber(text:match("\n" .. name .. " ([^\n]+)")) or nil
end

--- Replaces texts of scripts or manifests, by file name, in folders that `start` made.
---@param texts table<string, string>
function Gateway:write(texts)
  for name, text in pairs(texts) do
    for _, made in ipairs(self.folders) do
      if made.texts[name] then
        made:write(name, fill(self, text))
      end
    end
  end
end

--- Reads scripts and manifests again, and waits until the outcome is served.
function Gateway:reload()
  local count = #self:logs("published")
  self.process:kill(SIGHUP)
  self:wait_log("published", count + 1)
  local number = tonumber(self:logs("published")[count + 1].snapshot)
  local admin = self:admin()
  upstream.wait_until(function()
    local serves = json.decode(admin:get("/snapshot").body).serves
    for _, served in ipairs(serves) do
      if served < number then
        return false
      end
    end
    return true
  end, "all workers to serve the new snapshot")
  admin:close()
end

--- What it has written so far; of standard output, where the access log goes, the last lines.
---@return string
function Gateway:dump()
  return ("--- gateway, exit code %s ---\n%s\n%s\n---\n"):format(
    tostring(self.ended or "none yet"),
    table.concat(self.lines, "\n"),
    table.concat(self.output, "\n", math.max(1, #self.output - 9))
  )
end

---@param options moongate.test.GatewayOptions
---@return moongate.test.Gateway
function M.new(options)
  return setmetatable({
    options = options,
    upstreams = {},
    folders = {},
    clients = {},
    lines = {},
    output = {},
    entries = {},
  }, Gateway)
end

return M
