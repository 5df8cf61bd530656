-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local certificates = require("spec.support.certificates")
local core = require("spec.support.core")
local tls = require("spec.support.tls")

local C = core.C

jit.off(true, true)

local THREE = "TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256"
local ALL = THREE
  .. " ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256"
  .. " ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384"
  .. " ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305"

-- The names read, those not known, the error.
local function read_suites(list)
  local suites, unknown = ffi.new("struct tls_suites"), ffi.new("char[256]")
  local err = C.tls_suites_read(suites, list, unknown, 256)
  local names = {}
  local i = 0
  while suites.ids[i] ~= 0 do
    names[#names + 1] = ffi.string(C.tls_suite_name(suites.ids[i]))
    i = i + 1
  end
  return table.concat(names, " "), ffi.string(unknown), err
end

local function read_groups(list)
  local suites, unknown = ffi.new("struct tls_suites"), ffi.new("char[256]")
  local err = C.tls_groups_read(suites, list, unknown, 256)
  local ids = {}
  local i = 0
  while suites.groups[i] ~= 0 do
    ids[#ids + 1] = suites.groups[i]
    i = i + 1
  end
  return table.concat(ids, " "), ffi.string(unknown), err
end

describe("lists of cipher suites", function()
  -- list, suites, unknown
  local LISTS = {
    { nil, ALL, "" },
    { "", ALL, "" },
    { "HIGH:!aNULL:!MD5", ALL, "" },
    { "DEFAULT@SECLEVEL=2", nil, "DEFAULT@SECLEVEL=2" },
    { "HIGH:@STRENGTH", ALL, "" },
    {
      "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256",
      THREE .. " ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-AES128-GCM-SHA256",
      "",
    },
    {
      "ecdhe-rsa-aes256-gcm-sha384, ECDHE-RSA-AES256-GCM-SHA384",
      THREE .. " ECDHE-RSA-AES256-GCM-SHA384",
      "",
    },
    {
      "ECDHE-ECDSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:AES128-SHA",
      THREE .. " ECDHE-ECDSA-AES128-GCM-SHA256",
      "DHE-RSA-AES128-GCM-SHA256 AES128-SHA",
    },
    {
      "EECDH+AESGCM:!ECDSA",
      THREE .. " ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384",
      "",
    },
    {
      "ECDHE+CHACHA20:ECDHE+AES256",
      THREE
        .. " ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305"
        .. " ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384",
      "",
    },
    {
      "TLS_AES_256_GCM_SHA384:ECDHE-RSA-AES128-GCM-SHA256",
      "TLS_AES_256_GCM_SHA384 ECDHE-RSA-AES128-GCM-SHA256",
      "",
    },
    { "HIGH:!NOBODY", ALL, "!NOBODY" },
    { "RC4-MD5", nil, "RC4-MD5" },
    { "HIGH:!HIGH", nil, "" },
    { ("x"):rep(100), nil, ("x"):rep(100) },
  }
  for _, case in ipairs(LISTS) do
    it("are read as OpenSSL's: " .. tostring(case[1]), function()
      local names, unknown, err = read_suites(case[1])
      assert.equal(case[3], unknown)
      if case[2] then
        assert.equal(0, err)
        assert.equal(case[2], names)
      else
        assert.equal(C.ERR_TLS_CONFIG, err)
      end
    end)
  end
end)

describe("lists of groups", function()
  local LISTS = {
    { nil, "29 23 24 25", "" },
    { "auto", "29 23 24 25", "" },
    { "P-256", "23", "" },
    { "prime256v1:X25519:secp256r1", "23 29", "" },
    { "x448:secp521r1", "25", "x448" },
    { "brainpool", nil, "brainpool" },
  }
  for _, case in ipairs(LISTS) do
    it("are read as OpenSSL's: " .. tostring(case[1]), function()
      local ids, unknown, err = read_groups(case[1])
      assert.equal(case[3], unknown)
      assert.equal(case[2] or "", ids)
      assert.equal(case[2] and 0 or C.ERR_TLS_CONFIG, err)
    end)
  end
end)

describe("a server's suites and groups", function()
  local made, pair

  setup(function()
    made = certificates.make("a", { san = "DNS:a.test" })
  end)

  before_each(function()
    pair = tls.open()
  end)

  after_each(function()
    pair:close()
  end)

  local function meet(settings, version, client_settings)
    local certificate = pair:keep(tls.certificate(made))
    for _, text in pairs(settings) do
      pair:keep(text)
    end
    local port, accepted = pair:serve({
      min = version,
      max = version,
      settings = settings,
      choose = function()
        return certificate
      end,
    })
    local client = pair:shake(port, accepted, client_settings or {})
    return tls.text(C.tls_cipher(client.stream)), client.open_err
  end

  it("are all that it agrees on", function()
    local one = { suites = "ECDHE-ECDSA-AES256-GCM-SHA384" }
    assert.equal("ECDHE-ECDSA-AES256-GCM-SHA384", (meet(one, 12)))
    assert.equal("TLS_AES_128_GCM_SHA256", (meet(one, 13)))
    local _, err = meet(one, 12, { suites = "ECDHE-ECDSA-AES128-GCM-SHA256" })
    assert.equal("ERR_TLS_HANDSHAKE", err)
    one = { suites = "TLS_AES_256_GCM_SHA384:HIGH" }
    assert.equal("TLS_AES_256_GCM_SHA384", (meet(one, 13)))
    _, err = meet({ groups = "P-384" }, 13)
    assert.is_nil(err)
  end)

  it("are in the order of the server, or of the client where that is set", function()
    local client = { suites = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256" }
    assert.equal("ECDHE-ECDSA-AES128-GCM-SHA256", (meet({}, 12, client)))
    local cipher = meet({ client_order = 1 }, 12, client)
    assert.equal("ECDHE-ECDSA-AES256-GCM-SHA384", cipher)
  end)
end)
