-- SPDX-License-Identifier: Apache-2.0
--
-- What happens before anything of TLS is answered: the hook client_hello, and names whose bytes go
-- to their service as they are (TLS-027).
local certificates = require("spec.support.certificates")
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local nobody = require("spec.support.nobody")
local process = require("moongate.test.process")
local program = require("spec.support.program")
local read_to_end = require("spec.support.read_to_end")
local t = require("moongate.test")

-- curl's words, headers and body.
local function ask(gateway, host, ...)
  local said = program.curl(gateway, host, "-iv", ...)
  return said.errors .. "\n" .. said.output
end

describe("a ClientHello", function()
  local gateway, made

  setup(function()
    made = {
      default = certificates.make("default", { san = "DNS:default.test" }),
      other = certificates.make("other", { cn = "other", san = "DNS:other.test" }),
    }
  end)

  after_each(function()
    gateway:stop()
  end)

  local function serve(hook, more)
    gateway = t.gateway({
      workers = 1,
      upstreams = { app = true },
      scripts = {
        ["routes.lua"] = 'require("moongate").route({ path = "/", to = "${app}" })\n',
        ["hello.lua"] = ([[
          local mg = require("moongate")
          local function read(path)
            local file = assert(io.open(path))
            local text = file:read("*a")
            file:close()
            return text
          end
          local pem, key = read(%q), read(%q)
          return mg.plugin({
            name = "guard",
            %s
            client_hello = function(conn)
              %s
            end,
          })
        ]]):format(made.other.certificate_path, made.other.key_path, more or "", hook),
      },
      args = { "--cert", made.default.certificate_path, "--key", made.default.key_path },
    })
    gateway:start()
  end

  it("is seen by plugins, which may wait", function()
    serve([[
      mg.task.sleep(0.05)
      mg.log.warn("seen", { sni = conn.sni, ip = conn.ip, alpn = table.concat(conn.alpn, " "),
        ja4 = conn:ja4(), ja3 = conn:ja3_text(), version = conn.version, port = conn.port })
      local _ = pem, key
    ]])
    assert.matches("HTTP/[%d.]+ 200", ask(gateway, "a.test", "--http1.1"))
    local seen = gateway:wait_log("seen")
    assert.equal("a.test", seen.sni)
    assert.equal("127.0.0.1", seen.ip)
    assert.equal("http/1.1", seen.alpn)
    assert.matches("^t13d%d%d%d%dh1_%x%x%x%x%x%x%x%x%x%x%x%x_%x%x%x%x%x%x%x%x%x%x%x%x$", seen.ja4)
    assert.matches("^771,4866%-", seen.ja3)
  end)

  it("can be refused", function()
    serve([[
      if conn.sni == "bad.test" then
        conn:close("no")
      end
      local _ = pem, key
    ]])
    assert.matches("alert access denied", ask(gateway, "bad.test"))
    assert.matches("HTTP/[%d.]+ 200", ask(gateway, "good.test"))
    assert.equal("no", gateway:wait_log("connection_refused").reason)
    assert.equal(1, #gateway:logs("tls_handshake_failed"))
  end)

  it("can be answered with another certificate", function()
    serve([[
      if conn.sni == "other.test" then
        assert(conn:use_certificate(pem, key))
      end
    ]])
    assert.matches("subject: CN=other\n", ask(gateway, "other.test"))
    assert.matches("subject: CN=default\n", ask(gateway, "a.test"))
  end)

  it("ends when a plugin fails, unless that one fails open", function()
    for _, hook in ipairs({ 'error("oops" .. #pem .. #key)', "return #pem + #key" }) do
      serve(hook)
      assert.matches("alert access denied", ask(gateway, "a.test"))
      assert.equal("client_hello", gateway:wait_log("plugin_failed").hook)
      gateway:stop()
      serve(hook, 'on_error = "fail_open",')
      assert.matches("HTTP/[%d.]+ 200", ask(gateway, "a.test"))
      gateway:stop()
    end
    serve("local _ = pem, key")
  end)

  it("may be given up while it waits", function()
    serve([[
      mg.task.sleep(conn.sni == "slow.test" and 0.5 or 0)
      local _ = pem, key
    ]])
    assert.matches("timed out", ask(gateway, "slow.test", "--max-time", "0.1"))
    assert.matches("HTTP/[%d.]+ 200", ask(gateway, "a.test"))
  end)
end)

describe("ssl-passthrough", function()
  local gateway, backend, made, port

  setup(function()
    made = {
      gateway = certificates.make("gateway", { cn = "gateway", san = "DNS:*.test" }),
      backend = certificates.make("backend", { cn = "backend", san = "DNS:pass.test" }),
    }
    backend = process.start({ "openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-cert",
      made.backend.certificate_path, "-key", made.backend.key_path }, function(line)
      port = port or line:match("^ACCEPT .*:(%d+)$")
    end)
    t.wait_until(function()
      return port
    end, "the backend's port")
  end)

  teardown(function()
    backend:kill(9)
    backend:wait()
  end)

  after_each(function()
    gateway:stop()
  end)

  local function serve(args)
    gateway = t.gateway({ workers = 1, args = args })
    gateway:upstream("app")
    local annotations = { ["nginx.ingress.kubernetes.io/ssl-passthrough"] = "true" }
    gateway.options.manifests = {
      ["a.yaml"] = manifests.join(
        manifests.CLASS,
        manifests.service("secure", { port }),
        manifests.service("web", { gateway:upstream("app").port }),
        manifests.secret("pair", made.gateway),
        manifests.ingress("pass", { host = "pass.test", service = "secure",
          annotations = annotations }),
        manifests.ingress("own", { host = "own.test", service = "web", secret = "pair" })
      ),
    }
    gateway:start()
  end

  it("leaves TLS to the service", function()
    serve({ "--enable-ssl-passthrough" })
    local text = ask(gateway, "pass.test")
    assert.matches("subject: CN=backend\n", text)
    assert.matches("HTTP/1.0 200", text)
    assert.matches("s_server", text)
    text = ask(gateway, "own.test")
    assert.matches("subject: CN=gateway\n", text)
    assert.matches("HTTP/[%d.]+ 200", text)
  end)

  it("carries much, both ways", function()
    local SIZE = 3 * 1024 * 1024
    local echo = t.gateway({ workers = 1, upstreams = { app = true },
      scripts = 'require("moongate").route({ path = "/", to = "${app}" })\n',
      args = { "--cert", made.backend.certificate_path, "--key", made.backend.key_path } }):start()
    local open_port = port
    port = echo.https_port
    serve({ "--enable-ssl-passthrough" })
    port = open_port
    local path = certificates.write("large", ("x"):rep(SIZE))
    local text = ask(gateway, "pass.test", "--data-binary", "@" .. path, "-o", "/dev/null",
      "-w", "%{http_code} %{size_upload} %{size_download}\n")
    assert.matches("subject: CN=backend\n", text)
    assert.matches(("\n200 %d %d$"):format(SIZE, SIZE), text)
    echo:stop()
  end)

  -- A ClientHello of TLS 1.2 that names a server, and nothing else.
  local function hello_to(name)
    local function sized(text, bytes)
      local length = {}
      for i = bytes, 1, -1 do
        length[#length + 1] = string.char(math.floor(#text / 256 ^ (i - 1)) % 256)
      end
      return table.concat(length) .. text
    end
    local names = sized("\0" .. sized(name, 2), 2)
    local body = "\3\3" .. ("r"):rep(32) .. "\0" .. sized("\192\47", 2) .. sized("\0", 1)
      .. sized("\0\0" .. sized(names, 2), 2)
    return "\22\3\1" .. sized("\1" .. sized(body, 3), 2)
  end

  -- Of many sizes one leaves the last bytes in the gateway when the service has ended: what the
  -- kernel holds for a client that does not read is not known.
  it("passes on all that a service says to a client that has said everything", function()
    local listener = assert(mg.tcp.listen("127.0.0.1:0"))
    local STEP, COUNT = 200 * 1024, 48
    local heard = {}
    mg.task.spawn(function()
      for i = 1, COUNT do
        local conn = assert(listener:accept())
        mg.task.spawn(function()
          heard[i] = read_to_end(conn)
          conn:write(("x"):rep(i * STEP))
          conn:close()
        end)
      end
    end)
    local open_port = port
    port = listener.port
    serve({ "--enable-ssl-passthrough" })
    port = open_port
    local hello = hello_to("pass.test")
    local clients = {}
    for i = 1, COUNT do
      clients[i] = assert(mg.tcp.connect("127.0.0.1", gateway.https_port))
      clients[i]:write(hello)
      clients[i]:shutdown()
      t.wait_until(function()
        return heard[i] == hello
      end, "the service to hear it")
    end
    mg.task.sleep(0.3)
    for i = 1, COUNT do
      local got, data = 0, clients[i]:read()
      while data do
        got = got + #data
        data = clients[i]:read()
      end
      assert.equal(i * STEP, got)
      clients[i]:close()
    end
    listener:close()
  end)

  -- Numbers of services are given again once they are free.
  it("goes to the service of then, whatever becomes of it while a plugin thinks", function()
    local heard, other = nil, false
    local listener = assert(mg.tcp.listen("127.0.0.1:0"))
    local wrong = assert(mg.tcp.listen("127.0.0.1:0"))
    mg.task.spawn(function()
      local conn = assert(listener:accept())
      heard = conn:read()
      conn:close()
    end)
    mg.task.spawn(function()
      local conn = wrong:accept()
      other = conn ~= nil
      if conn then
        conn:close()
      end
    end)
    local function texts(names)
      local all = { manifests.CLASS, manifests.service("secure", { listener.port }) }
      for _, name in ipairs(names) do
        all[#all + 1] = manifests.service(name, { wrong.port })
        all[#all + 1] = manifests.ingress(name, { host = name .. ".test", service = name })
      end
      if #names == 0 then
        all[#all + 1] = manifests.ingress("pass", { host = "pass.test", service = "secure",
          annotations = { ["nginx.ingress.kubernetes.io/ssl-passthrough"] = "true" } })
      end
      return manifests.join(unpack(all))
    end
    gateway = t.gateway({ workers = 1, args = { "--enable-ssl-passthrough" },
      manifests = { ["a.yaml"] = texts({}) },
      scripts = [[
        local mg = require("moongate")
        return mg.plugin({ name = "slow", client_hello = function()
          mg.log.warn("thinking", {})
          while not mg.shared("go"):get("go") do mg.task.sleep(0.01) end
        end, access = function(ctx)
          mg.shared("go"):set("go", true)
          ctx:respond(200, "gone")
        end })
      ]] }):start()
    local client = assert(mg.tcp.connect("127.0.0.1", gateway.https_port))
    client:write(hello_to("pass.test"))
    gateway:wait_log("thinking")
    for i = 1, 3 do
      gateway:write({ ["a.yaml"] = texts({ "x" .. i, "y" .. i, "z" .. i }) })
      gateway:reload()
    end
    assert.equal(200, gateway:client():request({ path = "/", host = "x3.test" }).status)
    t.wait_until(function()
      return heard or other
    end, "somebody to hear it")
    assert.equal(hello_to("pass.test"), heard)
    assert.is_false(other)
    client:close()
    listener:close()
    wrong:close()
  end)

  it("says so when nobody is there", function()
    serve({ "--enable-ssl-passthrough" })
    local files = gateway.options.manifests["a.yaml"]
    gateway:write({ ["a.yaml"] = (files:gsub("port: " .. port, "port: " .. nobody.port())) })
    t.wait_until(function()
      ask(gateway, "pass.test")
      return #gateway:logs("passthrough_failed") > 0
    end, "a line in the log")
  end)

  it("means nothing without its flag", function()
    serve({})
    assert.matches("subject: CN=moongate.invalid", ask(gateway, "pass.test"))
    assert.matches("has no effect without the flag", gateway:wait_log("fault").fault)
  end)
end)
