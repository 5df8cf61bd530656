-- SPDX-License-Identifier: Apache-2.0
--
-- 5,000 Ingresses over 1,000 hosts, one of them changed: what `check` takes, how long until the
-- change is served, CPU and memory. It prints figures and judges none.
--
-- usage: make bench-ingresses
local manifests = require("spec.support.manifests")
local memory = require("spec.support.memory")
local mg = require("moongate")
local process = require("moongate.test.process")
local t = require("moongate.test")

local HOSTS, PATHS, FILES, CHANGES = 1000, 5, 20, 20
local NOTES = {
  ["nginx.ingress.kubernetes.io/proxy-read-timeout"] = "30",
  ["nginx.ingress.kubernetes.io/enable-cors"] = "true",
}

-- Every file has the Ingresses of some hosts, one for each path.
local function file_of(number, changed)
  local list = {}
  for host = number, HOSTS, FILES do
    for path = 1, PATHS do
      local first = host == number and path == 1 and changed
      list[#list + 1] = manifests.ingress(("i%d-%d"):format(host, path), {
        host = ("h%d.test"):format(host),
        service = "web",
        paths = { first or "/" .. path },
        annotations = NOTES,
      })
    end
  end
  return manifests.join(unpack(list))
end

local function ms_since(from)
  return (mg.time.monotonic() - from) * 1000
end

local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

describe("5,000 Ingresses over 1,000 hosts", function()
  it("are judged and changed", function()
    local gateway = t.gateway({ workers = 1 })
    gateway:upstream("web", { body = "web" })
    local texts = { ["0.yaml"] = manifests.join(manifests.CLASS,
      manifests.service("web", { gateway:upstream("web").port })) }
    for number = 1, FILES do
      texts[number .. ".yaml"] = file_of(number)
    end
    gateway.options.manifests = texts
    gateway:start()

    local from = mg.time.monotonic()
    process.start({ os.getenv("MG_BINARY") or "build/moongate", "check", gateway.folders[1].path },
      function() end):wait(60)
    print(("\ncheck: %.0f ms; resident before changes: %.0f MiB"):format(ms_since(from),
      memory.resident(gateway) / 1048576))

    local client, took = gateway:client(), {}
    local cpu = gateway:metrics("process_cpu_seconds_total")
    for change = 1, CHANGES do
      local path = "/new" .. change
      gateway:write({ ["1.yaml"] = file_of(1, path) })
      from = mg.time.monotonic()
      t.wait_until(function()
        return client:get(path, { Host = "h1.test" }).status == 200
      end, "the change")
      took[change] = ms_since(from)
    end
    cpu = (gateway:metrics("process_cpu_seconds_total") - cpu) / CHANGES
    print(("a change is served after: %.0f ms (median of %d, %.0f to %.0f ms); CPU: %.0f ms; "
      .. "resident: %.0f MiB"):format(median(took), CHANGES, took[1], took[#took], cpu * 1000,
      memory.resident(gateway) / 1048576))
    gateway:stop()
  end)
end)
