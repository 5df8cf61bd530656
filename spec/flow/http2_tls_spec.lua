-- SPDX-License-Identifier: Apache-2.0
--
-- HTTP/2 over TLS, agreed on by ALPN: with clients (curl), and with backends, which another gateway
-- and openssl play.
local ffi = require("ffi")

local certificates = require("spec.support.certificates")
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local process = require("moongate.test.process")
local program = require("spec.support.program")
local t = require("moongate.test")

ffi.cdef("int setenv(const char *, const char *, int); int unsetenv(const char *);")

local SCRIPT = 'require("moongate").route { path = "/", to = "${app}" }\n'

local gateways = {}

local function serve(options, made)
  options.workers = 1
  options.upstreams = options.upstreams or { app = true }
  options.args = made and { "--cert", made.certificate_path, "--key", made.key_path }
  local gateway = t.gateway(options)
  table.insert(gateways, gateway:start())
  return gateway
end

local function stop_all()
  for _, gateway in ipairs(gateways) do
    gateway:stop()
  end
  gateways = {}
end

describe("over TLS, HTTP/2 with clients", function()
  local made

  setup(function()
    made = certificates.make("h2-names", { cn = "names", san = "DNS:a.test,DNS:*.b.test" })
  end)

  after_each(stop_all)

  -- Asks for each of the hosts, on one connection that was made for the name `sni`. A line for
  -- each: status, version, connections that were made for it.
  local function ask(gateway, sni, hosts, version)
    local arguments = { "curl" }
    for i, host in ipairs(hosts) do
      for _, word in ipairs({ i > 1 and "--next" or "-q", "-sk", version or "--http2",
        "--resolve", ("%s:%d:127.0.0.1"):format(sni, gateway.https_port), "-H", "Host: " .. host,
        "-o", "/dev/null",
        "-w", "%{http_code} %{http_version} %{num_connects}\n",
        ("https://%s:%d/"):format(sni, gateway.https_port) }) do
        table.insert(arguments, word)
      end
    end
    return (program.run(arguments).output:gsub("\n", ", "))
  end

  it("answers for all names of the certificate, and no others, on a connection", function()
    local gateway = serve({ scripts = SCRIPT }, made)
    assert.equal("200 2 1, 200 2 0, 200 2 0, 421 2 0, 421 2 0, 421 2 0, 200 2 0",
      ask(gateway, "a.test", { "a.test", "A.test:443", "x.b.test", "c.test", "y.x.b.test",
        "b.test", "x.b.test" }))
    assert.equal(4, #gateway:upstream("app").requests)
  end)

  it("answers for the name that was asked for, whatever the certificate says", function()
    local gateway = serve({ scripts = SCRIPT }, made)
    assert.equal("200 2 1, 421 2 0", ask(gateway, "other.test", { "other.test", "c.test" }))
  end)

  it("is not asked for another name over HTTP/1.1, whose clients do not share", function()
    local gateway = serve({ scripts = SCRIPT }, made)
    assert.equal("200 1.1 1, 200 1.1 0",
      ask(gateway, "a.test", { "a.test", "c.test" }, "--http1.1"))
  end)

  it("is not offered where it is off", function()
    local gateway = serve({ scripts = SCRIPT, settings = { ["use-http2"] = "false" } }, made)
    assert.equal("200 1.1 1", ask(gateway, "a.test", { "a.test" }))
  end)

  it("is told to plugins and the access log", function()
    local gateway = serve({
      scripts = { ["routes.lua"] = SCRIPT, ["seen.lua"] = [[
        return require("moongate").plugin {
          access = function(ctx)
            return ctx:respond(200, ctx.client.protocol .. " " .. ctx.client.tls.alpn)
          end,
        }
      ]] },
      settings = { ["log-format-upstream"] = "$http2 $server_protocol $request_uri" },
    }, made)
    assert.equal("h2 h2", program.curl(gateway, "a.test/x").output)
    t.wait_until(function()
      return #gateway.output > 0
    end, "a line")
    assert.equal("h2 HTTP/2.0 /x", gateway.output[#gateway.output])
  end)
end)

describe("over TLS, HTTP/2 with backends", function()
  local authority, made, openssl

  setup(function()
    authority = certificates.make("h2-authority", { ca = true })
    made = certificates.make("h2-backend", { san = "DNS:localhost", issuer = authority })
    ffi.C.setenv("SSL_CERT_FILE", authority.certificate_path, 1)
  end)

  teardown(function()
    ffi.C.unsetenv("SSL_CERT_FILE")
  end)

  after_each(function()
    stop_all()
    if openssl then
      openssl:kill(9)
      openssl:wait()
      openssl = nil
    end
  end)

  -- A backend that says which version it was asked over.
  local function backend(settings)
    return serve({
      scripts = { ["routes.lua"] = SCRIPT, ["seen.lua"] = [[
        return require("moongate").plugin {
          response = function(ctx)
            local client = ctx.client
            ctx.response:set_header("x-seen", client.protocol .. " " .. tostring(client.tls.sni))
          end,
        }
      ]] },
      settings = settings,
    }, made)
  end

  -- A gateway in front of a port of localhost.
  local function front(scheme, port)
    local script = 'require("moongate").route { path = "/", to = "%s://localhost:%d" }\n'
    return serve({ scripts = script:format(scheme, port) })
  end

  -- One request, for a name that the backend's certificate covers.
  local function ask(gateway, body)
    return gateway:client():request({ method = body and "POST", path = "/", host = "localhost",
      body = body })
  end

  -- openssl as a server that agrees on nothing by ALPN; returns its port.
  local function silent_server()
    local port
    openssl = process.start({ "openssl", "s_server", "-accept", "127.0.0.1:0", "-www",
      "-cert", made.certificate_path, "-key", made.key_path }, function(line)
      port = port or tonumber(line:match("^ACCEPT .-:(%d+)$"))
    end)
    t.wait_until(function()
      return port
    end, "openssl")
    return port
  end

  it("is spoken where h2:// has agreed on it, many requests on a connection", function()
    local gateway = front("h2", backend().https_port)
    for i = 1, 5 do
      local response = ask(gateway, "body " .. i)
      assert.equal("body " .. i, response.body)
      assert.equal("h2 localhost", response.headers["x-seen"])
    end
    assert.equal(1, gateway:metrics("moongate_upstream_connects_total"))
  end)

  it("gives way to HTTP/1.1 where h2:// has agreed on that", function()
    local gateway = front("h2", backend({ ["use-http2"] = "false" }).https_port)
    for _ = 1, 3 do
      local response = ask(gateway, "body")
      assert.equal("body", response.body)
      assert.equal("http/1.1 localhost", response.headers["x-seen"])
    end
    assert.equal(1, gateway:metrics("moongate_upstream_connects_total"))
  end)

  it("gives way to HTTP/1.1 where h2:// has agreed on nothing", function()
    local gateway = front("h2", silent_server())
    assert.equal(200, ask(gateway).status)
  end)

  it("serves many that wait for the first connection, whatever is agreed on", function()
    for _, settings in ipairs({ {}, { ["use-http2"] = "false" } }) do
      local gateway = front("h2", backend(settings).https_port)
      local done = 0
      for _ = 1, 20 do
        mg.task.spawn(function()
          local served = ask(gateway).status == 200
          done = done + (served and 1 or 0)
        end)
      end
      t.wait_until(function()
        return done == 20
      end, "answers")
      stop_all()
    end
  end)

  it("is all that grpcs:// speaks", function()
    local gateway = front("grpcs", backend().https_port)
    assert.equal("h2 localhost", ask(gateway).headers["x-seen"])
  end)

  it("is missed by grpcs:// where the backend agrees on something else, or on nothing", function()
    local gateway = front("grpcs", backend({ ["use-http2"] = "false" }).https_port)
    assert.equal(502, ask(gateway).status)
    gateway = front("grpcs", silent_server())
    assert.equal(502, ask(gateway).status)
    assert.is_true(gateway:metrics("moongate_upstream_errors_total", { reason = "protocol" }) > 0)
  end)

  it("is not spoken with a backend that nobody vouches for", function()
    ffi.C.unsetenv("SSL_CERT_FILE")
    local port = backend().https_port
    for _, scheme in ipairs({ "h2", "grpcs" }) do
      local gateway = front(scheme, port)
      assert.equal(502, ask(gateway).status)
      assert.equal(0, gateway:metrics("moongate_upstream_errors_total", { reason = "protocol" }))
    end
    ffi.C.setenv("SSL_CERT_FILE", authority.certificate_path, 1)
  end)

  it("is spoken where an Ingress says GRPCS", function()
    local port = backend().https_port
    local gateway = serve({ manifests = manifests.join(manifests.CLASS,
      manifests.service("web", { port }),
      manifests.ingress("web", { host = "a.test", service = "web",
        annotations = { ["nginx.ingress.kubernetes.io/backend-protocol"] = "GRPCS" } })) })
    local response = gateway:client():get("/", { Host = "a.test" })
    assert.matches("^h2 ", response.headers["x-seen"])
  end)
end)
