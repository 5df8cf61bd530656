-- SPDX-License-Identifier: Apache-2.0
--
-- Settings of TLS towards clients, and what clients get of them.
local certificates = require("spec.support.certificates")
local manifests = require("spec.support.manifests")
local program = require("spec.support.program")
local t = require("moongate.test")

local annotations = manifests.annotations

local TELL = [[
local mg = require("moongate")
mg.route({ to = "http://127.0.0.1:1", plugins = { "tell" } })
return mg.plugin({
  access = function(ctx)
    local tls = ctx.client.tls
    return ctx:respond(200, table.concat({ "told", tls.version, tls.cipher, tls.sni, tls.alpn,
      tostring(tls.resumed), "told" }, " "))
  end,
})
]]

describe("settings of TLS", function()
  local made, gateways

  setup(function()
    made = certificates.make("a", { san = "DNS:a.test" })
  end)

  before_each(function()
    gateways = {}
  end)

  after_each(function()
    for _, gateway in ipairs(gateways) do
      gateway:stop()
    end
  end)

  local function serve(settings, workers, more)
    local args = { "--cert", made.certificate_path, "--key", made.key_path }
    for _, word in ipairs(more or {}) do
      table.insert(args, word)
    end
    local gateway = t.gateway({
      workers = workers or 1,
      settings = settings,
      scripts = 'require("moongate").route({ path = "/", to = "${app}" })\n',
      upstreams = { app = true },
      args = args,
    })
    gateway:start()
    table.insert(gateways, gateway)
    return gateway
  end

  local function s_client(gateway, arguments)
    local command = "(printf 'GET / HTTP/1.1\\r\\nHost: a.test\\r\\nConnection: close"
      .. "\\r\\n\\r\\n'; sleep 0.2) | openssl s_client -ign_eof -connect 127.0.0.1:%d "
      .. "-servername a.test %s 2>&1"
    return program.shell(command:format(gateway.https_port, arguments)).output
  end

  for _, version in ipairs({ "tls1_2", "tls1_3" }) do
    it("let any worker resume a session: " .. version, function()
      local gateway = serve({}, 4)
      local path = certificates.folder() .. "/" .. version
      local with = ("-%s -sess_%%s %s"):format(version, path)
      s_client(gateway, with:format("out"))
      for _ = 1, 8 do
        assert.matches("\nReused, TLS", s_client(gateway, with:format("in")), 1, true)
      end
    end)
  end

  for version, suite in pairs({ ["TLSv1.2"] = "ECDHE-ECDSA-AES256-GCM-SHA384",
    ["TLSv1.3"] = "TLS_AES_256_GCM_SHA384" }) do
    it("are told to plugins: " .. version, function()
      local gateway = t.gateway({ workers = 1, args = { "--cert", made.certificate_path, "--key",
        made.key_path }, scripts = { ["tell.lua"] = TELL } }):start()
      table.insert(gateways, gateway)
      local path = certificates.folder() .. "/told" .. version
      local arguments = ("-tls1_%s -cipher %s -ciphersuites %s -alpn http/1.1 -sess_%%s %s"):format(
        version:sub(-1), "ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_AES_256_GCM_SHA384", path)
      for way, resumed in pairs({ out = "false", ["in"] = "true" }) do
        local _ = way == "in" and s_client(gateway, arguments:format("out"))
        local told = s_client(gateway, arguments:format(way)):match("told (.-) told")
        assert.equal(table.concat({ version, suite, "a.test", "http/1.1", resumed }, " "), told)
      end
    end)
  end

  it("can switch resumption off", function()
    local gateway = serve({ ["ssl-session-cache"] = "false" })
    local path = certificates.folder() .. "/off"
    s_client(gateway, "-tls1_2 -sess_out " .. path)
    local text = s_client(gateway, "-tls1_2 -sess_in " .. path)
    assert.matches("\nNew, TLS", text, 1, true)
  end)

  it("name the versions", function()
    local gateway = serve({ ["ssl-protocols"] = "TLSv1.3" })
    assert.matches("alert protocol version", s_client(gateway, "-tls1_2"), 1, true)
    assert.matches("New, TLSv1.3", s_client(gateway, "-tls1_3"), 1, true)
  end)

  it("log no secrets, but for a flag", function()
    local path = certificates.folder() .. "/keys"
    local gateway = serve({})
    s_client(gateway, "-tls1_3")
    assert.equal(0, #gateway:logs("tls_keys_are_logged"))
    gateway = serve({}, 1, { "--tls-key-log", path })
    s_client(gateway, "-tls1_3")
    assert.equal(1, #gateway:logs("tls_keys_are_logged"))
    local text = certificates.read(path)
    assert.matches("\nSERVER_TRAFFIC_SECRET_0 %x+ %x+\n", text)
  end)

  it("name suites and curves, and tell of those that are unknown", function()
    local gateway = serve({
      ["ssl-ciphers"] = "ECDHE-ECDSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256",
      ["ssl-ecdh-curve"] = "P-384:x448",
    })
    local text = s_client(gateway, "-tls1_2")
    assert.matches("Cipher is ECDHE-ECDSA-AES256-GCM-SHA384", text, 1, true)
    text = s_client(gateway, "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256")
    assert.matches("handshake failure", text, 1, true)
    assert.matches("Server Temp Key: ECDH, secp384r1", s_client(gateway, "-tls1_3"), 1, true)
    local faults = {}
    for i, line in ipairs(gateway:logs("fault")) do
      faults[i] = line.fault
    end
    local log = table.concat(faults, "\n")
    assert.matches("DHE-RSA-AES128-GCM-SHA256; remove it", log, 1, true)
    assert.matches("x448; remove it", log, 1, true)
  end)

  -- nginx.ingress.kubernetes.io/ssl-ciphers and ssl-prefer-server-ciphers (TLS-028).
  describe("of a host", function()
    local SMALL, LARGE = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"

    local function host_gateway(settings)
      local hosts = {
        plain = {},
        large = annotations({ ["ssl-ciphers"] = LARGE }),
        both = annotations({ ["ssl-ciphers"] = LARGE .. ":" .. SMALL }),
        theirs = annotations({ ["ssl-ciphers"] = LARGE .. ":" .. SMALL,
          ["ssl-prefer-server-ciphers"] = "false" }),
        ours = annotations({ ["ssl-prefer-server-ciphers"] = "true" }),
        odd = annotations({ ["ssl-ciphers"] = "DHE-RSA-AES128-SHA:" .. LARGE }),
        gone = annotations({ ["ssl-ciphers"] = "DHE-RSA-AES128-SHA" }),
        asked = annotations({ ["ssl-ciphers"] = LARGE,
          ["auth-tls-secret"] = "default/authority" }),
      }
      local gateway = t.gateway({ workers = 1, settings = settings })
      local ca = certificates.make("ca", { ca = true })
      local texts = { manifests.CLASS, manifests.secret("pair", made),
        manifests.authority("authority", ca),
        manifests.service("web", { gateway:upstream("app").port }) }
      for name, own in pairs(hosts) do
        table.insert(texts, manifests.ingress(name, { host = name .. ".test", service = "web",
          secret = "pair", annotations = own }))
      end
      -- Younger ones change nothing of what is said, and add what is not.
      for name, ciphers in pairs({ large = SMALL, ours = SMALL .. ":" .. LARGE }) do
        local text = manifests.ingress("a-" .. name, { host = name .. ".test", paths = { "/more" },
          service = "web", annotations = annotations({ ["ssl-ciphers"] = ciphers }) })
        table.insert(texts, (text:gsub("metadata:\n",
          '%0  creationTimestamp: "2026-01-02T00:00:00Z"\n')))
      end
      gateway.options.manifests = { ["all.yaml"] = manifests.join(unpack(texts)) }
      table.insert(gateways, gateway:start())
      return gateway
    end

    local function agreed(gateway, host, arguments)
      local said = program.shell(("echo | openssl s_client -connect 127.0.0.1:%d -servername "
        .. "%s.test %s 2>&1"):format(gateway.https_port, host, arguments)).output
      return said:match("Cipher is (%S+)"), said
    end

    it("are its own, for TLS 1.2 alone", function()
      local gateway = host_gateway({})
      local small, large = " -tls1_2 -cipher " .. SMALL, " -tls1_2 -cipher " .. LARGE
      assert.equal(SMALL, (agreed(gateway, "plain", small)))
      for _, host in ipairs({ "large", "odd", "asked" }) do
        local suite, said = agreed(gateway, host, small)
        assert.equal("(NONE)", suite, host)
        assert.matches("handshake failure", said, 1, true)
        assert.equal(LARGE, (agreed(gateway, host, large)), host)
        assert.matches("^TLS_", (agreed(gateway, host, "-tls1_3")), host)
      end
      assert.equal("(NONE)", (agreed(gateway, "gone", large)))
      assert.matches("^TLS_", (agreed(gateway, "gone", "-tls1_3")))
      assert.equal(SMALL, (agreed(gateway, "both", small)))
      local faults = {}
      for _, line in ipairs(gateway:logs("fault")) do
        faults[#faults + 1] = line.fault:match("Ingress default/%a+: ssl%-ciphers: (.*)")
      end
      table.sort(faults)
      assert.same({
        "holds what is no cipher suite here and is left out: DHE-RSA-AES128-SHA",
        "names no suite that is known here: clients of TLS 1.2 are refused",
      }, faults)
    end)

    for _, prefers in ipairs({ true, false }) do
      it(("are in our order or the client's, where the setting is %s"):format(prefers), function()
        local gateway = host_gateway({ ["ssl-prefer-server-ciphers"] = prefers })
        local offer = (" -tls1_2 -cipher %s:%s"):format(SMALL, LARGE)
        assert.equal(prefers and LARGE or SMALL, (agreed(gateway, "both", offer)))
        assert.equal(SMALL, (agreed(gateway, "theirs", offer)))
        offer = (" -tls1_2 -cipher %s:%s"):format(LARGE, SMALL)
        assert.equal(SMALL, (agreed(gateway, "ours", offer)))
        assert.equal(LARGE, (agreed(gateway, "theirs", offer)))
      end)
    end

    it("hold for sessions that are resumed, and for changes", function()
      local gateway = host_gateway({})
      local path = certificates.folder() .. "/suites"
      agreed(gateway, "large", "-tls1_2 -sess_out " .. path)
      local _, said = agreed(gateway, "large", "-tls1_2 -sess_in " .. path)
      assert.matches("Reused, TLSv1.2, Cipher is " .. LARGE, said, 1, true)
      local text = gateway.options.manifests["all.yaml"]
      gateway:write({ ["all.yaml"] = (text:gsub('ssl%-ciphers: "' .. LARGE:gsub("-", "%%-") .. '"',
        'ssl-ciphers: "' .. SMALL .. '"')) })
      t.wait_until(function()
        return agreed(gateway, "large", "-tls1_2 -cipher " .. SMALL) == SMALL
      end, "the suites to change")
      assert.equal("(NONE)", (agreed(gateway, "large", "-tls1_2 -cipher " .. LARGE)))
    end)
  end)
end)
