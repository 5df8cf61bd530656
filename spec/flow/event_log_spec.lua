-- SPDX-License-Identifier: Apache-2.0
--
-- The log of events: error-log-level and error-log-path, from the start and while it serves.
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local t = require("moongate.test")

local SIGUSR1 = 10

local function lines_of(path)
  local file = io.open(path, "rb")
  local list = {}
  for line in (file and file:read("*a") or ""):gmatch("[^\n]+") do
    list[#list + 1] = mg.json.decode(line)
  end
  if file then
    file:close()
  end
  return list
end

local function count(path, event)
  local number = 0
  for _, line in ipairs(lines_of(path)) do
    number = number + (line.event == event and 1 or 0)
  end
  return number
end

local function wait_for(path, event, number)
  t.wait_until(function()
    return count(path, event) >= (number or 1)
  end, event .. " in " .. path)
end

-- The controller's ConfigMap, and how often it was written: each is a `published` line of info.
local function config(data, number)
  local list = {}
  for name, value in pairs(data) do
    list[#list + 1] = ("  %s: %q\n"):format(name, value)
  end
  table.sort(list)
  return { ["a.yaml"] = manifests.join(manifests.CLASS, ([[
apiVersion: v1
kind: ConfigMap
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx, labels: {n: "%d"}}
data:
%s  hsts: "true"
]]):format(number or 0, table.concat(list))) }
end

describe("the log of events", function()
  local gateway, folder, path

  before_each(function()
    folder = t.folder()
    path = folder.path .. "/error.log"
  end)

  after_each(function()
    gateway:stop()
    folder:close()
  end)

  local function start(data, options)
    options = options or {}
    options.manifests = config(data)
    gateway = t.gateway(options):start()
  end

  local function snapshot()
    return mg.json.decode(gateway:admin():get("/snapshot").body).number
  end

  -- The ConfigMap is another one, and served; the log need not say so.
  local function change(data, number)
    local before = snapshot()
    gateway:write(config(data, number))
    t.wait_until(function()
      return snapshot() > before
    end, "the next snapshot")
  end

  it("goes to a file, another file and back while it serves", function()
    start({})
    assert.equal(1, #gateway:logs("published"))
    change({ ["error-log-path"] = path }, 1)
    wait_for(path, "published")
    assert.equal(1, #gateway:logs("published"))
    change({ ["error-log-path"] = path .. "2" }, 2)
    wait_for(path .. "2", "published")
    assert.equal(1, count(path, "published"))
    change({}, 3)
    gateway:wait_log("published", 2)
    assert.equal(1, count(path .. "2", "published"))
  end)

  it("has lines of the workers in the file", function()
    start({}, { scripts = [[
require("moongate").route { path = "/", to = "http://127.0.0.1:1" }
return require("moongate").plugin { access = function() error("oops") end }
]] })
    change({ ["error-log-path"] = path }, 1)
    wait_for(path, "published")
    gateway:client():get("/")
    wait_for(path, "plugin_failed")
    assert.equal(0, #gateway:logs("plugin_failed"))
  end)

  it("opens the file again", function()
    start({})
    change({ ["error-log-path"] = path }, 1)
    wait_for(path, "published")
    assert(os.rename(path, path .. ".1"))
    gateway:kill(SIGUSR1)
    t.wait_until(function()
      return io.open(path, "rb")
    end, "the file opened again")
    change({ ["error-log-path"] = path }, 2)
    wait_for(path, "published")
    assert.equal(1, count(path .. ".1", "published"))
  end)

  it("stays where it is when the file cannot be opened, and says so", function()
    start({})
    change({ ["error-log-path"] = folder.path .. "/none/error.log" }, 1)
    local line = gateway:wait_log("error_log_not_open")
    assert.equal(folder.path .. "/none/error.log", line.path)
    assert.matches("no such file", line.error:lower())
    gateway:wait_log("published", 2)
  end)

  local LEVELS = {
    { "debug", { info = true, warn = true } },
    { "info", { info = true, warn = true } },
    { "notice", { info = true, warn = true } },
    { "warn", { warn = true } },
    { "error", {} },
    { "crit", {} },
    { "alert", {} },
    { "emerg", {} },
  }

  -- Of `published`, of a setting without effect, and of one that is wrong.
  local function levels_seen()
    local seen = {}
    for _, event in ipairs({ "published", "fault" }) do
      for _, line in ipairs(gateway:logs(event)) do
        seen[line.level] = line.snapshot ~= "1"
      end
    end
    return seen
  end

  for _, case in ipairs(LEVELS) do
    it("begins with the level " .. case[1], function()
      start({})
      local data = { ["error-log-level"] = case[1], ["proxy-buffers-number"] = "9",
        ["hsts-max-age"] = "x" }
      change(data, 1)
      change(data, 2) -- the lines of the first are there before it is served
      local seen = levels_seen()
      assert.is_true(seen.error)
      assert.equal(case[2].warn, seen.warn)
      assert.equal(case[2].info or false, seen.info)
    end)
  end

  it("has the level of the command line, whatever the setting says", function()
    start({ ["error-log-level"] = "emerg" }, { args = { "--log-level", "info" } })
    change({ ["error-log-level"] = "crit" }, 1)
    gateway:wait_log("published", 2)
  end)
end)
