-- SPDX-License-Identifier: Apache-2.0
--
-- Settings act on routes of scripts and of `moongate proxy` too, and those that do not act say so.
local nobody = require("spec.support.nobody")
local t = require("moongate.test")

describe("a setting", function()
  local gateway

  local function start(settings, answer, more)
    gateway = t.gateway({
      proxy = "${app}",
      upstreams = { app = answer or true },
      settings = settings,
      args = more,
    }):start()
    return gateway:client()
  end

  after_each(function()
    gateway:stop()
  end)

  it("gives routes their timeouts", function()
    local client = start({ ["proxy-read-timeout"] = "50ms", ["proxy-next-upstream"] = "off" },
      { hold = true })
    assert.equal(504, client:get("/").status)
    assert.equal(1, #gateway:upstream("app").requests)
  end)

  it("gives routes their retries", function()
    local client = start({
      ["proxy-next-upstream"] = "http_503",
      ["proxy-next-upstream-tries"] = 2,
    }, { status = 503 })
    assert.equal(503, client:get("/").status)
    assert.equal(2, #gateway:upstream("app").requests)
  end)

  it("gives routes their limit of bodies", function()
    local client = start({ ["proxy-body-size"] = "4" })
    assert.equal(413, client:request({ method = "POST", path = "/", body = "12345" }).status)
    assert.equal(200, client:request({ method = "POST", path = "/", body = "1234" }).status)
  end)

  it("keeps addresses out", function()
    assert.equal(403, start({ ["block-cidrs"] = "127.0.0.0/8" }):get("/").status)
    assert.equal(0, #gateway:upstream("app").requests)
  end)

  it("lets addresses in, and no others", function()
    local client = start({
      ["whitelist-source-range"] = "192.0.2.0/24",
      ["trusted-proxies"] = "127.0.0.1",
    })
    assert.equal(403, client:get("/").status)
    assert.equal(200, client:get("/", { ["X-Forwarded-For"] = "192.0.2.7" }).status)
    assert.equal("192.0.2.7", gateway:upstream("app"):request(1).headers["x-real-ip"])
  end)

  it("asks a service about every request, and lets nobody in where it does not answer", function()
    local dead = ("http://127.0.0.1:%d/"):format(nobody.port())
    assert.equal(500, start({ ["global-auth-url"] = dead }):get("/").status)
    assert.equal(0, #gateway:upstream("app").requests)
  end)

  it("believes nobody unless told", function()
    local client = start({})
    client:get("/", { ["X-Forwarded-For"] = "192.0.2.7" })
    assert.equal("127.0.0.1", gateway:upstream("app"):request(1).headers["x-real-ip"])
  end)

  it("says when it has no effect, and only then", function()
    start({
      ["ssl-session-cache"] = true,
      ["use-http2"] = false,
      ["proxy-buffers-number"] = 8,
      ["server-tokens"] = false,
      ["keep-alive"] = 75,
    })
    local said = {}
    for _, line in ipairs(gateway:logs("fault")) do
      said[#said + 1] = line.level .. " " .. line.fault
    end
    table.sort(said)
    assert.same({
      "warn warning: --set proxy-buffers-number: has no effect in this gateway; remove it",
    }, said)
  end)
end)
