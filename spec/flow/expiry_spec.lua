-- SPDX-License-Identifier: Apache-2.0
--
-- Certificates that end soon are told of, and when each ends is on /metrics.
local certificates = require("spec.support.certificates")
local manifests = require("spec.support.manifests")
local t = require("moongate.test")

describe("the end of a certificate", function()
  local gateway

  after_each(function()
    gateway:stop()
  end)

  it("is on /metrics, and a warning three weeks before", function()
    gateway = t.gateway({ workers = 1 })
    gateway:upstream("app")
    local texts = { manifests.CLASS, manifests.service("web", { gateway:upstream("app").port }) }
    for name, days in pairs({ soon = 20, later = 30, over = -1 }) do
      local made = certificates.make(name, { san = "DNS:" .. name .. ".test", days = days })
      table.insert(texts, manifests.secret(name, made))
      table.insert(texts, manifests.ingress(name, { host = name .. ".test", service = "web",
        secret = name }))
    end
    gateway.options.manifests = { ["a.yaml"] = manifests.join(unpack(texts)) }
    gateway:start()
    local now = os.time()
    local function days_left(name)
      local labels = { host = name .. ".test", source = "Secret default/" .. name }
      local ends = gateway:metrics("moongate_ssl_expire_time_seconds", labels)
      return math.floor((ends - now) / 86400 + 0.5)
    end
    assert.equal(20, days_left("soon"))
    assert.equal(30, days_left("later"))
    assert.equal(-1, days_left("over"))
    local said = {}
    for _, line in ipairs(gateway:logs("fault")) do
      said[#said + 1] = line.fault:match("the certificate of (%S+ %a+ %a+)")
    end
    table.sort(said)
    assert.same({ "over.test has ended", "soon.test ends on" }, said)
  end)

  it("of its OCSP response is there too, and one that cannot be sent is told of", function()
    gateway = t.gateway({ workers = 1 })
    local ca = certificates.make("ca", { ca = true })
    local texts = { manifests.CLASS, manifests.service("web", { gateway:upstream("app").port }) }
    local edits = {
      fresh = function(block)
        return block
      end,
      over = function(_, der)
        return certificates.ocsp_block((der:gsub(("%d"):rep(14) .. "Z", "20200101000000Z")))
      end,
      broken = function(block)
        return block:sub(1, -40) .. "\n"
      end,
    }
    for name, edit in pairs(edits) do
      local made = certificates.make(name, { san = "DNS:" .. name .. ".test", issuer = ca })
      local der, block = certificates.ocsp(made, ca)
      made.certificate = made.certificate .. edit(block, der)
      table.insert(texts, manifests.secret(name, made))
      table.insert(texts, manifests.ingress(name, { host = name .. ".test", service = "web",
        secret = name }))
    end
    gateway.options.manifests = { ["a.yaml"] = manifests.join(unpack(texts)) }
    gateway:start()
    local ends = gateway:metrics("moongate_ssl_ocsp_expire_time_seconds", { host = "fresh.test" })
    assert.equal(3, math.floor((ends - os.time()) / 86400 + 0.5))
    local said = {}
    for _, line in ipairs(gateway:logs("fault")) do
      said[#said + 1] = line.fault:match("OCSP response .*")
    end
    table.sort(said)
    assert.same({
      "OCSP response is no PEM; the certificate is served without it",
      "OCSP response of the certificate of over.test has ended on 2020-01-01 and is not sent;"
        .. " renew it",
    }, said)
  end)
end)
