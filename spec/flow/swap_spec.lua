-- SPDX-License-Identifier: Apache-2.0
--
-- Routes, endpoints and certificates change under load, again and again: no request notices.
local certificates = require("spec.support.certificates")
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local process = require("moongate.test.process")
local program = require("spec.support.program")
local state = require("moongate.test.state")
local t = require("moongate.test")

local SCALE = tonumber(os.getenv("MG_TEST_SCALE")) or 1
local CHANGES = math.max(5, math.floor(50 * SCALE))
local KINDS = 5 -- of certificates, in turn

describe("changes of manifests under load", function()
  local gateway, made

  -- The state after change `i`: a path of its own, one of two backends or both, a certificate.
  local function texts(i)
    local backends = ({ { "a" }, { "b" }, { "a", "b" } })[i % 3 + 1]
    local ports = {}
    for k, name in ipairs(backends) do
      ports[k] = gateway:upstream(name).port
    end
    return {
      ["service.yaml"] = manifests.service("web", ports),
      ["ingress.yaml"] = manifests.join(
        manifests.CLASS,
        manifests.ingress("plain", { host = "plain.test", service = "web",
          paths = { "/always", "/change-" .. i } }),
        manifests.ingress("secure", { host = "secure.test", service = "web", secret = "pair" })
      ),
      ["secret.yaml"] = manifests.secret("pair", made[i % KINDS + 1]),
    }, table.concat(backends)
  end

  setup(function()
    made = {}
    for i = 1, KINDS do
      made[i] = certificates.make("swap-" .. i, { cn = "swap-" .. i, san = "DNS:secure.test" })
    end
    gateway = t.gateway({
      workers = 2,
      settings = { ["proxy-next-upstream"] = "off" },
    })
    for _, name in ipairs({ "a", "b" }) do
      gateway:upstream(name, { body = name })
    end
    gateway.options.manifests = (texts(0))
    gateway:start()
  end)

  teardown(function()
    gateway:stop()
  end)

  local function https()
    local said = program.curl(gateway, "secure.test", "-v")
    return said.errors .. "\n" .. said.output
  end

  -- One connection over TLS that lives through all changes; a line for each answer's status.
  local function start_live_client()
    local stop = certificates.folder() .. "/stop"
    local live = { answers = 0, wrong = {} }
    local script = ([[
      while [ ! -e %s ]; do
        printf 'GET / HTTP/1.1\r\nHost: secure.test\r\n\r\n'; sleep 0.02
      done | openssl s_client -quiet -connect 127.0.0.1:%d -servername secure.test 2>/dev/null
    ]]):format(stop, gateway.https_port)
    live.child = process.start({ "sh", "-c", script }, function(line)
      local status = line:match("HTTP/1.1 (%d+)")
      if status == "200" then
        live.answers = live.answers + 1
      elseif status then
        table.insert(live.wrong, line)
      end
    end)
    function live.ended()
      certificates.write("stop", "")
      live.child:wait(state.patience())
    end
    return live
  end

  local function start_load(clients)
    local load = { count = 0, wrong = {} }
    local tasks = {}
    for i = 1, clients do
      tasks[i] = mg.task.spawn(function()
        local client = gateway:client()
        while not load.over do
          local response, err = client:request({ path = "/always", host = "plain.test" })
          load.count = load.count + 1
          if not response or response.status ~= 200 or not response.body:find("^[ab]$") then
            table.insert(load.wrong, response and response.status or err)
          end
          mg.task.sleep("5ms")
        end
        table.insert(load, client.connections)
        client:close()
      end)
    end
    function load.ended()
      load.over = true
      mg.task.join(tasks)
    end
    return load
  end

  it(("happen %d times without an error, and each is served"):format(CHANGES), function()
    local load, live = start_load(4), start_live_client()
    local client = gateway:client()
    local function get(path)
      return client:request({ path = path, host = "plain.test" })
    end
    for i = 1, CHANGES do
      local files, backends = texts(i)
      gateway:write(files)
      t.wait_until(function()
        local response = get("/change-" .. i)
        return response.status == 200 and backends:find(response.body, 1, true)
          and get("/change-" .. i - 1).status == 404
      end, "change " .. i)
      -- Files are written one after the other, and each worker adopts in its own time.
      t.wait_until(function()
        local said = https()
        assert.truthy(said:find("HTTP/2 200", 1, true), said)
        return said:find("CN=swap-" .. i % KINDS + 1, 1, true)
      end, "certificate " .. i)
    end
    load.ended()
    local answers = live.answers
    t.wait_until(function()
      return live.answers > answers
    end, "an answer on the connection that began before all changes")
    live.ended()
    assert.are.same({}, load.wrong)
    assert.are.same({}, live.wrong)
    assert.are.same({ 1, 1, 1, 1 }, { load[1], load[2], load[3], load[4] }) -- connections stay
    assert.is_true(load.count > CHANGES * 10, load.count .. " requests")
    assert.is_true(live.answers > CHANGES, live.answers .. " answers over TLS")
    assert.are.equal(0, #gateway:logs("fault"))
  end)
end)
