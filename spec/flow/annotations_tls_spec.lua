-- SPDX-License-Identifier: Apache-2.0
--
-- Annotations of TLS to backends, nginx.ingress.kubernetes.io/proxy-ssl-*, with and without each:
-- the backend is another gateway, which tells what it has seen of the connection.
local certificates = require("spec.support.certificates")
local manifests = require("spec.support.manifests")
local nobody = require("spec.support.nobody")
local t = require("moongate.test")

local TELL = [[
return require("moongate").plugin {
  access = function(ctx)
    local tls = ctx.client.tls
    if not tls then
      return ctx:respond(200, "no TLS")
    end
    return ctx:respond(200, ("%s %s sni=%s subject=%s"):format(tls.version, tls.cipher,
      tostring(tls.sni), tostring(tls.subject)))
  end,
}
]]

local HTTPS = { ["backend-protocol"] = "HTTPS" }
local TRUST = { ["backend-protocol"] = "HTTPS", ["proxy-ssl-secret"] = "default/trust",
  ["proxy-ssl-name"] = "inner.test", ["proxy-ssl-server-name"] = "on" }
local VERIFIED = setmetatable({ ["proxy-ssl-verify"] = "on" }, { __index = TRUST })

-- annotation, value, the others, what the answer holds with it and without it
local ROWS = {
  { "backend-protocol", "HTTPS", {}, "^TLS", "^502 " },
  { "proxy-ssl-protocols", "TLSv1.2", HTTPS, "^TLSv1%.2", "^TLSv1%.3" },
  { "proxy-ssl-ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384",
    { ["backend-protocol"] = "HTTPS", ["proxy-ssl-protocols"] = "TLSv1.2" }, "AES.?256.GCM.SHA384",
    "^TLSv1.2 [%w-]*AES.?128" },
  { "proxy-ssl-server-name", "on",
    { ["backend-protocol"] = "HTTPS", ["proxy-ssl-name"] = "inner.test" }, "sni=inner%.test",
    "sni=nil" },
  { "proxy-ssl-name", "inner.test",
    { ["backend-protocol"] = "HTTPS", ["proxy-ssl-server-name"] = "on" }, "sni=inner%.test",
    "sni=[^i]" },
  { "proxy-ssl-secret", "default/trust", { ["backend-protocol"] = "HTTPS",
    ["proxy-ssl-name"] = "inner.test", ["proxy-ssl-server-name"] = "on" }, "subject=.*alice",
    "subject=nil" },
  { "proxy-ssl-verify", "on", setmetatable({ ["proxy-ssl-secret"] = "default/other" },
    { __index = TRUST }), "^502", "^TLS" },
  { "proxy-ssl-verify-depth", "0", VERIFIED, "^502", "^TLS" },
}

local function flat(map)
  local all = {}
  for _, part in ipairs({ (getmetatable(map) or {}).__index or {}, map }) do
    for name, value in pairs(part) do
      all[name] = value
    end
  end
  return all
end

local function secret(name, ca, pair)
  return (manifests.secret(name, pair):gsub("type: kubernetes.io/tls\n", ""))
    .. "  ca.crt: |\n" .. ca.certificate:gsub("[^\n]+", "    %0")
end

describe("annotations of TLS to backends", function()
  local gateway, backend

  setup(function()
    local ca = certificates.make("ca", { ca = true })
    local other = certificates.make("other_ca", { ca = true })
    local middle = certificates.make("middle", { ca = true, issuer = ca })
    local server = certificates.make("inner", { san = "DNS:inner.test", issuer = middle })
    local alice = certificates.make("alice", { issuer = ca })
    local chain = { certificate = server.certificate .. middle.certificate, key = server.key }

    local hosts = { manifests.CLASS, manifests.service("web", {}), manifests.secret("pair", chain),
      manifests.authority("clients", ca),
      manifests.ingress("inner", { host = "inner.test", service = "web", secret = "pair",
        annotations = manifests.annotations({ ["auth-tls-secret"] = "default/clients",
          ["auth-tls-verify-client"] = "optional" }) }) }
    backend = t.gateway({ workers = 1, scripts = { ["tell.lua"] = TELL, ["routes.lua"] =
      ('require("moongate").route { to = "http://127.0.0.1:%d", plugins = { "tell" } }')
        :format(nobody.port()) },
      args = { "--default-ssl-certificate", "default/pair" },
      manifests = { ["all.yaml"] = manifests.join(unpack(hosts)) } }):start()

    local texts = { manifests.CLASS, manifests.service("tls", { backend.https_port }),
      secret("trust", ca, alice), secret("other", other, alice) }
    for i, row in ipairs(ROWS) do
      local annotations = flat(row[3])
      annotations["upstream-vhost"] = "open.test"
      local function add(kind)
        table.insert(texts, manifests.ingress(kind .. i, { host = kind .. i .. ".test",
          service = "tls", annotations = manifests.annotations(annotations) }))
      end
      add("plain")
      annotations[row[1]] = row[2]
      add("with")
    end
    gateway = t.gateway({ workers = 1,
      manifests = { ["all.yaml"] = manifests.join(unpack(texts)) } }):start()
  end)

  teardown(function()
    gateway:stop()
    backend:stop()
  end)

  for i, row in ipairs(ROWS) do
    it(("change traffic: %s: %s"):format(row[1], row[2]), function()
      local function seen(kind)
        local response = gateway:client():get("/", { Host = kind .. i .. ".test" })
        return response.status == 200 and response.body
          or response.status .. " " .. response.body
      end
      assert.matches(row[4], seen("with"))
      assert.matches(row[5], seen("plain"))
    end)
  end
end)
