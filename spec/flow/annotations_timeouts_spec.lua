-- SPDX-License-Identifier: Apache-2.0
--
-- Annotations that end the waiting for a backend which does not connect, or does not read:
-- nginx.ingress.kubernetes.io/proxy-*-timeout. The other value is the longer time that each is
-- compared with.
local full_queue = require("spec.support.full_queue")
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local t = require("moongate.test")

local PIECE = ("x"):rep(65536)

local function gateway_to(port, name, more)
  local texts = { manifests.CLASS, manifests.service("web", { port }) }
  for _, seconds in ipairs({ "1", "3" }) do
    local annotations = { [name] = seconds }
    for key, value in pairs(more) do
      annotations[key] = value
    end
    table.insert(texts, manifests.ingress("in-" .. seconds, { host = seconds .. ".test",
      service = "web", annotations = manifests.annotations(annotations) }))
  end
  return t.gateway({ workers = 1, manifests = { ["a.yaml"] = manifests.join(unpack(texts)) } })
    :start()
end

-- Both at once: the status of each, and which is the first.
local function race(act)
  local order, status = {}, {}
  for _, seconds in ipairs({ "3", "1" }) do
    mg.task.spawn(function()
      status[seconds] = act(seconds .. ".test")
      order[#order + 1] = seconds
    end)
  end
  t.wait_until(function()
    return #order == 2
  end, "both answers")
  assert.same({ ["1"] = 504, ["3"] = 504 }, status)
  assert.same({ "1", "3" }, order)
end

describe("annotations of time", function()
  it("change traffic: proxy-connect-timeout", function()
    local queue = full_queue.new()
    local gateway = gateway_to(queue.port, "proxy-connect-timeout",
      { ["proxy-next-upstream-tries"] = "1" })
    race(function(host)
      return gateway:client():get("/", { Host = host }).status
    end)
    gateway:stop()
    queue:close()
  end)

  it("change traffic: proxy-send-timeout", function()
    local app = t.upstream({ hold = true, delay = 6 }, { eager = true })
    local gateway = gateway_to(app.port, "proxy-send-timeout", {
      ["proxy-next-upstream-tries"] = "1", ["proxy-body-size"] = "0",
      ["proxy-request-buffering"] = "off" })
    race(function(host)
      local conn = gateway:client():raw()
      conn:write(("PUT / HTTP/1.1\r\nHost: %s\r\nContent-Length: 100000000\r\n\r\n"):format(host))
      mg.task.spawn(function()
        while conn:write(PIECE) do
          mg.task.sleep(0)
        end
      end)
      return t.http1.read_response(conn).status
    end)
    gateway:stop()
    app:close()
  end)
end)
