-- SPDX-License-Identifier: Apache-2.0
--
-- What the ConfigMap says of the start: worker-processes, bind-address and the log of events, and
-- what comes of a later change.
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local process = require("moongate.test.process")
local t = require("moongate.test")

local SIGTERM = 15

describe("at its start, the gateway", function()
  local folder, running, entries, output

  before_each(function()
    folder = t.folder()
  end)

  local function stop()
    if running then
      running:kill(SIGTERM)
      running:wait()
      running = nil
    end
  end

  after_each(function()
    stop()
    folder:close()
  end)

  -- The controller's ConfigMap, or another one.
  local function config(data, name)
    local list = {}
    for key, value in pairs(data) do
      list[#list + 1] = ("  %s: %q\n"):format(key, value)
    end
    table.sort(list)
    folder:write("config.yaml", manifests.join(manifests.CLASS, ([[
apiVersion: v1
kind: ConfigMap
metadata: {name: %s, namespace: ingress-nginx}
data:
%s]]):format(name or "ingress-nginx-controller", table.concat(list))))
  end

  local function run(...)
    entries, output = {}, {}
    running = process.start({ process.executable(), "run", "--manifests", folder.path, "--log",
      "json", "--admin", "127.0.0.1:0", ... }, function(line)
      output[#output + 1] = line
      entries[#entries + 1] = line:sub(1, 1) == "{" and mg.json.decode(line) or nil
    end)
  end

  local function find(event, number)
    local count = 0
    for _, entry in ipairs(entries) do
      count = count + (entry.event == event and 1 or 0)
      if entry.event == event and count == (number or 1) then
        return entry
      end
    end
  end

  local function wait_log(event, number)
    t.wait_until(function()
      return find(event, number)
    end, event)
    return find(event, number)
  end

  -- Starts it on ports of its own; the line `ready`.
  local function start(...)
    run("--http", "127.0.0.1:0", "--https", "127.0.0.1:0", ...)
    wait_log("serving")
    return find("ready")
  end

  -- Starts it where the settings say; the line `ready`.
  local function start_bound(...)
    run("--http-port", "0", "--https-port", "0", ...)
    wait_log("serving")
    return find("ready")
  end

  -- It ends by itself; what it said.
  local function ends_with(code, ...)
    run("--http-port", "0", "--https-port", "0", ...)
    assert.equal(code, running:join())
    running = nil
    return table.concat(output, "\n")
  end

  -- --- workers -----------------------------------------------------------------------

  it("has as many workers as the ConfigMap says", function()
    config({ ["worker-processes"] = "3" })
    assert.equal("3", start().workers)
    assert.is_nil(find("fault"))
  end)

  it("reads the ConfigMap that it is told", function()
    config({ ["worker-processes"] = "3" }, "mine")
    assert.equal("3", start("--configmap", "ingress-nginx/mine").workers)
  end)

  it("has as many as --set says, whatever the ConfigMap", function()
    config({ ["worker-processes"] = "3" })
    assert.equal("2", start("--set", "worker-processes=2").workers)
    assert.is_nil(find("fault"))
  end)

  it("has as many as --workers says, whatever the settings", function()
    config({ ["worker-processes"] = "3" })
    assert.equal("1", start("--workers", "1").workers)
    assert.is_nil(find("fault"))
    config({ ["worker-processes"] = "2" })
    wait_log("published", 2)
    assert.is_nil(find("fault"))
  end)

  it("has one for each processor where nothing else is said", function()
    config({ ["worker-processes"] = "auto" })
    local auto = start().workers
    stop()
    config({})
    assert.equal(auto, start().workers)
    stop()
    config({ ["worker-processes"] = "0" })
    assert.equal(auto, start().workers)
    assert.matches('data%["worker%-processes"%]: must be auto, or a number from 1 to 256',
      find("fault").fault)
  end)

  it("keeps its workers, and says what takes effect later", function()
    config({ ["worker-processes"] = "2" })
    assert.equal("2", start().workers)
    config({ ["worker-processes"] = "3" })
    local fault = wait_log("fault")
    assert.equal("warn", fault.level)
    assert.matches('config.yaml:%d+:%d+: .*"worker%-processes"%]: takes effect at the next start',
      fault.fault)
    config({ ["worker-processes"] = "2" })
    wait_log("published", 3)
    assert.is_nil(find("fault", 2))
    config({})
    assert.matches("takes effect at the next start", wait_log("fault", 2).fault)
  end)

  -- --- addresses ---------------------------------------------------------------------

  local function connects(ip, port)
    local conn = mg.tcp.connect(ip, port)
    if conn then
      conn:close()
    end
    return conn ~= nil
  end

  it("listens on the addresses that the ConfigMap says, and on no others", function()
    config({ ["bind-address"] = "127.0.0.2, 127.0.0.3" })
    local ready = start_bound()
    for _, name in ipairs({ "http", "https" }) do
      local first, second = ready[name]:match("^127%.0%.0%.2:(%d+) 127%.0%.0%.3:(%d+)$")
      assert.is_string(first, ready[name])
      assert.is_true(connects("127.0.0.2", tonumber(first)))
      assert.is_true(connects("127.0.0.3", tonumber(second)))
      assert.is_false(connects("127.0.0.1", tonumber(first)))
    end
    assert.is_nil(find("fault"))
  end)

  it("listens where --http and --https say, whatever the settings", function()
    config({ ["bind-address"] = "127.0.0.2" })
    local ready = start()
    assert.matches("^127%.0%.0%.1:%d+$", ready.http)
    assert.matches("^127%.0%.0%.1:%d+$", ready.https)
    stop()
    run("--http", "127.0.0.1:0", "--https-port", "0")
    ready = wait_log("ready")
    assert.matches("^127%.0%.0%.1:%d+$", ready.http)
    assert.matches("^127%.0%.0%.2:%d+$", ready.https)
  end)

  it("listens on addresses of --set", function()
    config({ ["bind-address"] = "nowhere" })
    assert.matches("^127%.0%.0%.4:%d+$", start_bound("--set", "bind-address=127.0.0.4").http)
  end)

  it("does not start where that is no address", function()
    config({ ["bind-address"] = "127.0.0.2,10.0.0.0/8" })
    assert.matches('config.yaml:%d+:%d+: ConfigMap ingress%-nginx/ingress%-nginx%-controller: '
      .. 'data%["bind%-address"%]: "10.0.0.0/8" is no address', ends_with(1))
  end)

  it("does not start where that is another machine's", function()
    config({ ["bind-address"] = "192.0.2.1" })
    assert.matches("cannot listen on 192.0.2.1:0: .*the address is not one of this machine's",
      ends_with(1))
  end)

  it("goes on where it listens, and says what takes effect later", function()
    config({ ["bind-address"] = "127.0.0.2" })
    start_bound()
    for i, later in ipairs({ "127.0.0.3", "nowhere" }) do
      config({ ["bind-address"] = later })
      assert.matches("bind%-address", wait_log("fault", i).fault)
    end
    assert.is_nil(find("ready", 2))
  end)

  -- --- the log -----------------------------------------------------------------------

  it("writes the log where the ConfigMap says, and by its level", function()
    local path = folder.path .. "/error.log"
    config({ ["error-log-path"] = path, ["hsts-max-age"] = "x" })
    run("--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--workers", "1")
    local function text()
      local file = io.open(path, "rb")
      local content = file and file:read("*a") or ""
      return content, file and file:close()
    end
    t.wait_until(function()
      return text():find('"event":"serving"', 1, true)
    end, "serving in the file")
    assert.matches('"event":"ready"', (text()))
    assert.matches('"event":"fault"', (text()))
    assert.same({}, entries)
    stop()
    config({ ["error-log-level"] = "error", ["hsts-max-age"] = "x" })
    run("--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--workers", "1")
    wait_log("fault")
    assert.equal(1, #entries)
  end)
end)
