-- SPDX-License-Identifier: Apache-2.0
local address = require("moongate.control.model.address")
local base64 = require("moongate.api.base64")
local model = require("moongate.control.model")
local names = require("moongate.control.model.names")
local nearest = require("moongate.nearest")
local x509 = require("moongate.control.model.x509")

local function certificate(subject, ...)
  local extra = select("#", ...) > 0 and "-addext subjectAltName=" .. table.concat({ ... }, ",")
    or ""
  local command = "LD_PRELOAD= openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
    .. "-nodes -keyout /dev/null -days 1 -subj %s %s 2>/dev/null"
  local pipe = io.popen(command:format(subject, extra))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

describe("model", function()
  it("writes paths as operators do", function()
    assert.equal("spec.rules[0].http.paths[1].path",
      model.field({ "spec", "rules", 1, "http", "paths", 2, "path" }))
    assert.equal('annotations["a.b/c"]', model.field({ "metadata", "annotations", "a.b/c" }))
    assert.equal('data["x-y"]', model.field({ "data", "x-y" }))
  end)

  local NETWORKS = {
    ["10.0.0.0/8"] = true, ["10.0.0.1"] = true, ["0.0.0.0/0"] = true, ["::/0"] = true,
    ["::1"] = true, ["2001:db8::/32"] = true, ["::ffff:1.2.3.4"] = true, ["1:2:3:4:5:6:7:8"] = true,
    ["10.0.0.0/33"] = false, ["10.0.0"] = false, ["256.0.0.1"] = false, ["01.2.3.4"] = false,
    ["::/129"] = false, ["1::2::3"] = false, ["1:2:3"] = false, [":::"] = false, ["g::"] = false,
    ["1:2:3:4:5:6:7:8:9"] = false, ["10.0.0.0/"] = false, ["10.0.0.0/-1"] = false, [""] = false,
    ["fe80::1%eth0"] = false, ["1:2:3:4:5:6:7::8"] = false, ["1:2:3:4:5:6:7:8::"] = false,
  }
  for text, right in pairs(NETWORKS) do
    it(("%s '%s' as a network"):format(right and "takes" or "refuses", text), function()
      assert.equal(right, address.is_network(text))
    end)
  end

  it("decodes base64 whatever its padding", function()
    assert.equal("f", base64.decode("Zg=="))
    assert.equal("fo", base64.decode("Zm8="))
    assert.equal("foo\255", base64.decode("Zm9v\n /w=="))
    assert.equal("", base64.decode(""))
  end)

  for _, text in ipairs({ "Z", "Zg", "Zg=", "Z===", "Zm9v=", "Zm*v", "=Zm9" }) do
    it("refuses " .. text .. " as base64", function()
      local bytes, _, code = base64.decode(text)
      assert.is_nil(bytes)
      assert.equal("malformed", code)
    end)
  end

  local HOSTS = {
    ["a.test"] = true, ["*.a.test"] = true, ["localhost"] = true, ["a-b.c1.test"] = true,
    ["A.test"] = false, ["*"] = false, ["*.*.test"] = false, ["a.*.test"] = false,
    ["10.0.0.1"] = false, ["a..test"] = false, ["a.test."] = false, ["-a.test"] = false,
    ["a_b.test"] = false, ["a.test:80"] = false, [".test"] = false, ["a b"] = false,
  }
  for text, right in pairs(HOSTS) do
    it(("%s '%s' as a host"):format(right and "takes" or "refuses", text), function()
      assert.equal(right, names.host(text) == nil)
    end)
  end

  it("finds the nearest name, swaps counting as one mistake", function()
    local known = { ["ssl-redirect"] = 1, ["ssl-ciphers"] = 1, canary = 1 }
    assert.equal("ssl-redirect", nearest.of("ssl-redierct", known))
    assert.equal("canary", nearest.of("canray", known))
    assert.is_nil(nearest.of("something-else", known))
  end)

  it("reads the alternative names of a certificate", function()
    local pem = certificate("/CN=other.test", "DNS:a.test", "DNS:*.B.test", "IP:10.0.0.1")
    assert.same({ "a.test", "*.b.test" }, x509.names(pem))
  end)

  it("reads the common name where there are no alternatives", function()
    assert.same({ "a.test" }, x509.names(certificate("/O=x/CN=A.test")))
  end)

  it("survives every way of cutting a certificate short", function()
    local pem = certificate("/CN=a.test", "DNS:a.test")
    local body = pem:match("CERTIFICATE%-+(.-)%-%-"):gsub("%s", "")
    for length = 0, #body - 4, 4 do
      local text = "-----BEGIN CERTIFICATE-----" .. body:sub(1, length)
        .. "-----END CERTIFICATE-----"
      local _, err = x509.names(text)
      assert.is_string(err)
    end
  end)
end)
