-- SPDX-License-Identifier: Apache-2.0
--
-- The applications of examples/ingress-nginx, as their users meet them: what their services get,
-- and what comes back.
local certificates = require("spec.support.certificates")
local examples = require("spec.support.examples")
local h2_upstream = require("spec.support.h2_upstream")
local manifests = require("spec.support.manifests")
local t = require("moongate.test")
local websocket = require("spec.support.websocket")

local MIB = 1048576
-- More than the 1 MiB that a body may have where nothing else is said.
local LARGE = ("0123456789abcdef"):rep(3 * MIB / 16)
-- A message of gRPC of five bytes.
local MESSAGE = "\0\0\0\0\5hello"

local ask = examples.ask

local gateway

local function start(...)
  gateway = examples.start(...)
  return gateway
end

-- The same service by its name, so that specs see which one it was.
local function named(name)
  return function(request)
    return { headers = { ["X-Service"] = name }, body = "of " .. name .. ": " .. #request.body }
  end
end

-- Says what a client of a WebSocket says; other requests are served by `named`.
local function talker(name)
  local serve = named(name)
  return function(request)
    if (request:header("upgrade") or ""):lower() ~= "websocket" then
      return serve(request)
    end
    return websocket.echo(name .. " heard", "websocket")
  end
end

local function server(port)
  return gateway.upstreams["p" .. port]
end

local function sends_to_tls(host, path)
  local answer = gateway:client():get(path, { Host = host })
  assert.equal(308, answer.status)
  assert.equal("https://" .. host .. path, answer:header("location"))
end

local function talks(host, path, name)
  local client = gateway:client()
  local conn = client:raw()
  conn:write(("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    :format(path, host))
  assert.equal(101, t.http1.read_response(conn).status)
  for _, word in ipairs({ "one", "two" }) do
    conn:write(word .. "\n")
    assert.equal(name .. " heard " .. word, conn:read_until("\n"))
  end
  client:close()
end

local function uploads(host, path, service, port, method)
  local answer = ask(gateway, host, path, "-X", method or "PUT", "--data-binary",
    examples.body(LARGE))
  assert.equal(200, answer.status, answer.text)
  assert.equal(("of %s: %d"):format(service, #LARGE), answer.body)
  local request = server(port):request()
  assert.equal(LARGE, request.body)
  return request
end

-- gRPC's call; the trailers are in the answer's text.
local function call(host, path, ...)
  return ask(gateway, host, path, "--http2", "-H", "Content-Type: application/grpc", "-H",
    "TE: trailers", "--data-binary", examples.body(MESSAGE), "--output", "-", ...)
end

local function greeter()
  return h2_upstream.new(function(request)
    return { headers = { ["content-type"] = "application/grpc" }, body = request.body,
      trailers = { ["grpc-status"] = "0" } }
  end)
end

describe("the example of", function()
  after_each(function()
    if gateway then
      gateway:stop()
      gateway = nil
    end
  end)

  for _, name in ipairs({ "argo-cd", "gitlab", "grafana", "grpc", "harbor", "jenkins", "keycloak",
    "kibana", "nextcloud", "oauth2-proxy", "prometheus" }) do
    it(name .. " has nothing that `moongate check` objects to", function()
      local output, code = examples.check(name)
      assert.equal(0, code, output)
      assert.truthy(output:find("0 errors, 0 warnings", 1, true), output)
    end)
  end

  it("Grafana leaves the path's beginning out, and says what it was", function()
    start("grafana", { [3000] = talker("grafana") })
    local client = gateway:client()
    local answer = client:get("/grafana/d/abc?orgId=1", { Host = "monitoring.example" })
    assert.equal(200, answer.status)
    local request = server(3000):request()
    assert.equal("/d/abc?orgId=1", request.target)
    assert.equal("monitoring.example", request:header("host"))
    assert.equal("/grafana", request:header("x-forwarded-prefix"))
    assert.equal("127.0.0.1", request:header("x-forwarded-for"))
    assert.equal("http", request:header("x-forwarded-proto"))
    client:get("/grafana", { Host = "monitoring.example" })
    assert.equal("/", server(3000):request(2).target)
    assert.equal(404, client:get("/grafanas/", { Host = "monitoring.example" }).status)
    assert.equal(404, client:get("/", { Host = "monitoring.example" }).status)
  end)

  it("Grafana carries a WebSocket of Live", function()
    start("grafana", { [3000] = talker("grafana") })
    talks("monitoring.example", "/grafana/api/live/ws", "grafana")
    assert.equal("/api/live/ws", server(3000):request().target)
  end)

  it("Argo CD speaks HTTPS and gRPC over TLS to one port", function()
    local calls = greeter()
    local made = certificates.make("argocd-server", { san = "DNS:argocd-server" })
    local argo = t.gateway({
      workers = 1,
      args = { "--cert", made.certificate_path, "--key", made.key_path },
      upstreams = { ui = named("ui") },
      scripts = ([[
local mg = require("moongate")
mg.route { host = "argocd.example", path = "/", to = "${ui}" }
mg.route { host = "grpc.argocd.example", path = "/", to = "grpc://127.0.0.1:%d" }
]]):format(calls.port),
    }):start()
    start("argo-cd", { [8080] = { port = argo.https_port, close = function()
      argo:stop()
      calls:close()
    end } })
    sends_to_tls("argocd.example", "/applications?view=tree")
    local answer = ask(gateway, "argocd.example", "/applications?view=tree")
    assert.equal(200, answer.status, answer.text)
    local request = argo.upstreams.ui:request()
    assert.equal("/applications?view=tree", request.target)
    assert.equal("argocd.example", request:header("host"))
    assert.equal("https", request:header("x-forwarded-proto"))
    local called = call("grpc.argocd.example", "/application.ApplicationService/List")
    assert.equal(200, called.status, called.text)
    assert.truthy(called.text:find("grpc-status: 0", 1, true), called.text)
    assert.equal("/application.ApplicationService/List", calls.requests[1].path)
    assert.equal(MESSAGE, calls.requests[1].body)
  end)

  it("GitLab takes pushes and layers of any size", function()
    start("gitlab", { [8181] = named("web"), [5000] = named("registry") })
    sends_to_tls("gitlab.example", "/group/project")
    local request = uploads("gitlab.example", "/group/project.git/git-receive-pack", "web", 8181,
      "POST")
    assert.equal("gitlab.example", request:header("x-forwarded-host"))
    assert.equal("https", request:header("x-forwarded-proto"))
    assert.equal("443", request:header("x-forwarded-port"))
    request = uploads("registry.gitlab.example", "/v2/group/project/blobs/uploads/1", "registry",
      5000, "PATCH")
    assert.equal("registry.gitlab.example", request:header("host"))
  end)

  it("Harbor shares its host by paths", function()
    start("harbor", { [8080] = named("core"), [8081] = named("portal") })
    for path, service in pairs({ ["/api/v2.0/projects"] = "core", ["/service/token"] = "core",
      ["/c/login"] = "core", ["/v2/"] = "core", ["/harbor/projects"] = "portal",
      ["/"] = "portal", ["/apis"] = "portal" }) do
      local answer = ask(gateway, "harbor.example", path)
      assert.equal(service, answer.headers["x-service"], path .. "\n" .. answer.text)
    end
    sends_to_tls("harbor.example", "/v2/")
  end)

  it("Harbor takes layers of any size", function()
    start("harbor", { [8080] = named("core"), [8081] = named("portal") })
    local request = uploads("harbor.example", "/v2/library/app/blobs/uploads/1?_state=a%2Fb",
      "core", 8080)
    assert.equal("/v2/library/app/blobs/uploads/1?_state=a%2Fb", request.target)
  end)

  it("Nextcloud has two names, long uploads, and says where calendars are", function()
    start("nextcloud", { [8000] = named("cloud") })
    uploads("cloud.example", "/remote.php/dav/files/a/b%20c.bin", "cloud", 8000)
    uploads("files.example", "/remote.php/dav/files/a/b%20c.bin", "cloud", 8000)
    assert.equal("files.example", server(8000):request(2):header("host"))
    for _, path in ipairs({ "/.well-known/caldav", "/.well-known/carddav" }) do
      local answer = ask(gateway, "cloud.example", path)
      assert.equal(301, answer.status, answer.text)
      assert.equal("https://cloud.example/remote.php/dav", answer.headers.location)
    end
    assert.equal(200, ask(gateway, "cloud.example", "/.well-known/webfinger").status)
    assert.equal("/.well-known/webfinger", server(8000):request(3).target)
  end)

  it("Keycloak has room for long heads, and none for strangers at /admin", function()
    local cookie = "session=" .. ("x"):rep(12000)
    start("keycloak", { [8080] = { headers = { ["Set-Cookie"] = cookie }, body = "in" } },
      { settings = { ["use-forwarded-headers"] = "true" } })
    local answer = ask(gateway, "login.example", "/realms/main/account")
    assert.equal(200, answer.status, answer.text)
    assert.equal(cookie, answer.headers["set-cookie"])
    assert.equal(403, ask(gateway, "login.example", "/admin/main/console/").status)
    local inner = "X-Forwarded-For: 10.1.2.3"
    local tls = "X-Forwarded-Proto: https"
    assert.equal(404, ask(gateway, "login.example", "/metrics", "-H", inner, "-H", tls).status)
    assert.equal(1, #server(8080).requests)
    answer = ask(gateway, "login.example", "/admin/main/console/", "-H", inner, "-H", tls)
    assert.equal(200, answer.status, answer.text)
    assert.equal("/admin/main/console/", server(8080):request(2).target)
  end)

  it("oauth2-proxy lets nobody in whom it does not know", function()
    local function judge(request)
      if request.path ~= "/oauth2/auth" then
        return { status = 302, headers = { Location = "https://id.example/authorize" } }
      elseif request:header("cookie") ~= "_oauth2_proxy=good" then
        return { status = 401 }
      end
      return { status = 202, headers = { ["X-Auth-Request-User"] = "ada",
        ["X-Auth-Request-Email"] = "ada@mail.example", ["X-Secret"] = "no" } }
    end
    start("oauth2-proxy", { [8080] = named("wiki"), [4180] = judge })
    local answer = ask(gateway, "wiki.example", "/page?a=1&b=2", "-H", "X-Auth-Request-User: eve")
    assert.equal(302, answer.status, answer.text)
    local target = answer.headers.location
    assert.equal("https://wiki.example/oauth2/start?rd=%2Fpage%3Fa%3D1%26b%3D2", target)
    assert.equal(0, #server(8080).requests)
    local begun = ask(gateway, "wiki.example", target:match("^https://[^/]+(.*)$"))
    assert.equal("https://id.example/authorize", begun.headers.location)
    assert.equal("/oauth2/start?rd=%2Fpage%3Fa%3D1%26b%3D2", server(4180):request().target)

    answer = ask(gateway, "wiki.example", "/page?a=1", "-H", "Cookie: _oauth2_proxy=good", "-H",
      "X-Auth-Request-User: eve")
    assert.equal("wiki", answer.headers["x-service"], answer.text)
    local request = server(8080):request()
    assert.equal("/page?a=1", request.target)
    assert.same({ "ada" }, request:header_values("x-auth-request-user"))
    assert.equal("ada@mail.example", request:header("x-auth-request-email"))
    assert.is_nil(request:header("x-secret"))
    local asked = server(4180):request()
    assert.equal("https://wiki.example/page?a=1", asked:header("x-original-url"))
    assert.equal("GET", asked:header("x-original-method"))
  end)

  it("Jenkins gets a body while it comes, and agents by WebSocket", function()
    start("jenkins", { [8080] = talker("jenkins") })
    talks("ci.example", "/wsagents/", "jenkins")
    local client = gateway:client()
    local conn = client:raw()
    conn:write(("POST /pluginManager/upload HTTP/1.1\r\nHost: ci.example\r\n"
      .. "Content-Length: %d\r\n\r\n"):format(#LARGE))
    conn:write(LARGE:sub(1, 2 * MIB))
    -- The head is there before the body's end was sent.
    local request = server(8080):request(2)
    assert.equal("/pluginManager/upload", request.path)
    assert.is_nil(request.complete)
    conn:write(LARGE:sub(2 * MIB + 1))
    assert.equal("of jenkins: " .. #LARGE, t.http1.read_response(conn).body)
    assert.equal(LARGE, request.body)
    conn:write(("POST /pluginManager/upload HTTP/1.1\r\nHost: ci.example\r\n"
      .. "Content-Length: %d\r\n\r\n"):format(200 * MIB + 1))
    assert.equal(413, t.http1.read_response(conn).status)
  end)

  it("Prometheus asks for a password", function()
    start("prometheus", { [9090] = named("prometheus") })
    local client = gateway:client()
    local answer = client:get("/graph", { Host = "prometheus.example" })
    assert.equal(401, answer.status)
    assert.equal('Basic realm="Prometheus"', answer:header("www-authenticate"))
    -- watcher:wrong, then watcher:opensesame
    assert.equal(401, client:get("/graph", { Host = "prometheus.example",
      Authorization = "Basic d2F0Y2hlcjp3cm9uZw==" }).status)
    assert.equal(0, #server(9090).requests)
    answer = client:get("/api/v1/query?query=up%7Bjob%3D%22a%22%7D", { Host = "prometheus.example",
      Authorization = "Basic d2F0Y2hlcjpvcGVuc2VzYW1l" })
    assert.equal(200, answer.status)
    assert.equal("/api/v1/query?query=up%7Bjob%3D%22a%22%7D", server(9090):request().target)
  end)

  it("Kibana keeps a session on its pod, and does not see its path", function()
    local first = t.upstream(named("one"), { address = "127.0.1.1:0" })
    local second = t.upstream(named("two"), { address = "127.0.1.2:" .. first.port })
    start("kibana", { [5601] = first })
    local client = gateway:client()
    local answer = client:get("/kibana/app/discover", { Host = "logs.example" })
    assert.equal(200, answer.status)
    local cookie = answer:header("set-cookie")
    assert.truthy(cookie:find("^kibana%-pod=[^;]+"), cookie)
    assert.truthy(cookie:find("Path=/kibana", 1, true), cookie)
    assert.truthy(cookie:find("Max-Age=3600", 1, true), cookie)
    local pod = answer:header("x-service")
    for _ = 1, 6 do
      answer = client:get("/kibana/api/status", { Host = "logs.example",
        Cookie = cookie:match("^[^;]+") })
      assert.equal(pod, answer:header("x-service"))
    end
    local pods = { one = first, two = second }
    assert.equal("/app/discover", pods[pod]:request(1).target)
    assert.equal("/api/status", pods[pod]:request(2).target)
    local others = {} -- who is new comes to any of them, by chance
    for _ = 1, 60 do
      others[client:get("/kibana", { Host = "logs.example" }):header("x-service")] = true
    end
    assert.same({ one = true, two = true }, others)
    second:close()
  end)

  it("gRPC takes calls over TLS with the certificate of a Secret", function()
    local made = certificates.make("grpc-example", { cn = "grpc.example",
      san = "DNS:grpc.example" })
    local calls = greeter()
    start("grpc", { [50051] = calls }, {
      more = manifests.secret("greeter-tls", made),
      edit = function(text)
        return (text:gsub("(hosts: %[grpc.example%]\n)", "%1    secretName: greeter-tls\n"))
      end,
    })
    local answer = call("grpc.example", "/greet.v1.Greeter/Hello", "--no-insecure", "--cacert",
      made.certificate_path)
    assert.equal(200, answer.status, answer.text)
    assert.truthy(answer.text:find("grpc-status: 0", 1, true), answer.text)
    assert.truthy(answer.text:find("hello", 1, true))
    local request = calls.requests[1]
    assert.equal("/greet.v1.Greeter/Hello", request.path)
    assert.equal("trailers", request.headers.te)
    assert.equal("grpc.example", request.headers[":authority"])
    assert.equal(MESSAGE, request.body)
    -- Without a message: curl may drop an answer that comes before it has sent its body.
    answer = ask(gateway, "grpc.example", "/greet.v1.Other/Hello", "--http2", "-X", "POST", "-H",
      "Content-Type: application/grpc")
    assert.equal(200, answer.status, answer.text)
    assert.truthy(answer.text:find("grpc-status: 12", 1, true), answer.text)
    assert.equal(1, #calls.requests)
    assert.is_nil(calls.failure)
  end)
end)
