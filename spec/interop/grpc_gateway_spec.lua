-- SPDX-License-Identifier: Apache-2.0
--
-- What the gateway adds to calls of gRPC: its own errors as codes, other endpoints, health checks
-- by gRPC's protocol, and connections to backends that come and go.
local certificates = require("spec.support.certificates")
local grpc = require("spec.support.grpc")
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local t = require("moongate.test")

local gateway

local function start_with(text, ...)
  gateway = t.gateway({
    workers = 3,
    settings = { ["access-log-path"] = "/dev/null" },
    scripts = 'local mg = require("moongate")\n' .. text:format(...) .. "\n",
  }):start()
end

after_each(function()
  if gateway then
    gateway:stop()
    gateway = nil
  end
end)

-- --- errors ------------------------------------------------------------------------

describe("a call that the gateway answers itself", function()
  local server

  setup(function()
    server = grpc.serve()
  end)

  teardown(function()
    server:close()
  end)

  local USERS = [[
apiVersion: v1
kind: Secret
metadata: {name: users}
stringData: {auth: 'a:{SHA}0123='}
]]

  -- host, code, annotations of its Ingress, service
  local CASES = {
    { "known", nil, {} },
    { "unknown", "UNIMPLEMENTED" },
    { "empty", "UNAVAILABLE", {}, "empty" },
    { "denied", "PERMISSION_DENIED", { ["denylist-source-range"] = "127.0.0.0/8" } },
    { "auth", "UNAUTHENTICATED", { ["auth-type"] = "basic", ["auth-secret"] = "users" } },
    { "http1", "UNAVAILABLE", {}, "http1" },
    { "clear", "UNAVAILABLE", { ["backend-protocol"] = "GRPCS" } },
  }

  local function objects()
    local texts = { manifests.CLASS, manifests.service("calls", { server.port }),
      manifests.service("empty", {}), manifests.service("http1", { gateway:upstream("app").port }),
      USERS }
    for _, case in ipairs(CASES) do
      if case[3] then
        local annotations = { ["backend-protocol"] = "GRPC" }
        for name, value in pairs(case[3]) do
          annotations[name] = value
        end
        table.insert(texts, manifests.ingress(case[1], { host = case[1] .. ".test",
          service = case[4] or "calls", annotations = manifests.annotations(annotations) }))
      end
    end
    return { ["all.yaml"] = manifests.join(unpack(texts)) }
  end

  for _, case in ipairs(CASES) do
    it(("gets %s: %s"):format(case[2] or "its own answer", case[1]), function()
      gateway = t.gateway({ settings = { ["access-log-path"] = "/dev/null" } })
      gateway:upstream("app")
      gateway.options.manifests = objects()
      gateway:start()
      grpc.check(gateway.port, case[2] and "code=" .. case[2] or "unary",
        { authority = case[1] .. ".test" })
    end)
  end

  it("gets RESOURCE_EXHAUSTED: a message that is too large", function()
    start_with('mg.route({ to = "grpc://127.0.0.1:%d", settings = { body_limit_bytes = 1024 } })',
      server.port)
    grpc.check(gateway.port, "too_large")
  end)

  it("gets UNAVAILABLE: the certificate of the backend is not trusted", function()
    local pair = certificates.make("pair", { san = "IP:127.0.0.1" })
    local secure = grpc.serve("--cert", pair.certificate_path, "--key", pair.key_path)
    start_with('mg.route({ to = "grpcs://127.0.0.1:%d" })', secure.port)
    grpc.check(gateway.port, "code=UNAVAILABLE")
    secure:close()
  end)
end)

-- --- several servers ---------------------------------------------------------------

describe("calls to several servers", function()
  local one, two

  before_each(function()
    one, two = grpc.serve("--name", "one"), grpc.serve("--name", "two")
  end)

  after_each(function()
    one:close()
    two:close()
  end)

  it("are spread over all", function()
    start_with('mg.route({ to = { "grpc://127.0.0.1:%d", "grpc://127.0.0.1:%d" } })', one.port,
      two.port)
    grpc.check(gateway.port, "servers=one,two")
  end)

  it("go to the other when one is not there", function()
    start_with('mg.route({ to = { "grpc://127.0.0.1:%d", "grpc://127.0.0.1:%d" } })', one.port,
      two.port)
    grpc.check(gateway.port, "servers=one,two")
    two:close()
    grpc.check(gateway.port, "servers=one")
  end)

  it("go to those alone that say SERVING when they are asked for their health", function()
    start_with([[
mg.route({ to = { "grpc://127.0.0.1:%d", "grpc://127.0.0.1:%d" },
  health = { grpc = true, interval = "100ms", timeout = "2s", healthy = 1, unhealthy = 1 } })]],
      one.port, two.port)
    grpc.check(gateway.port, "servers=one,two")
    grpc.check(two.port, "health=NOT_SERVING")
    assert.equal("127.0.0.1:" .. two.port, gateway:wait_log("endpoint_unhealthy").endpoint)
    grpc.check(gateway.port, "servers=one")
    grpc.check(two.port, "health=SERVING")
    assert.equal("127.0.0.1:" .. two.port, gateway:wait_log("endpoint_healthy").endpoint)
    grpc.check(gateway.port, "servers=one,two")
  end)

  it("are told of the end of a server in their midst", function()
    start_with('mg.route({ to = "grpc://127.0.0.1:%d" })', one.port)
    local killer = mg.task.spawn(function()
      t.wait_until(function()
        return grpc.call(one.port, { "waiting=1" }).waiting == "ok"
      end, "the call at the server")
      one:close()
    end)
    -- As HTTP/2 has it: the head is out, the stream is reset with INTERNAL_ERROR.
    grpc.check(gateway.port, "hanging=INTERNAL")
    mg.task.join(killer)
    grpc.check(gateway.port, "code=UNAVAILABLE")
  end)
end)

-- --- servers that are strict --------------------------------------------------------

describe("many calls", function()
  -- what: channel options of the server
  local SERVERS = {
    ["a server that takes 5 calls at once"] = { "grpc.max_concurrent_streams=5" },
    ["a server that ends connections after 200 ms"] = { "grpc.max_connection_age_ms=200",
      "grpc.max_connection_age_grace_ms=10000" },
    ["a server of small frames"] = { "grpc.http2.max_frame_size=16384" },
  }

  for what, options in pairs(SERVERS) do
    it("are all answered by " .. what, function()
      local flags = {}
      for _, option in ipairs(options) do
        table.insert(flags, "--option=" .. option)
      end
      local server = grpc.serve(unpack(flags))
      start_with('mg.route({ to = "grpc://127.0.0.1:%d" })', server.port)
      local outcome = grpc.call(gateway.port, { "many_calls", "large_messages", "bidi_stream" })
      assert.same({ "ok", "ok", "ok" },
        { outcome.many_calls, outcome.large_messages, outcome.bidi_stream })
      server:close()
    end)
  end

  it("are all answered of four clients at once", function()
    local server = grpc.serve()
    start_with('mg.route({ to = "grpc://127.0.0.1:%d" })', server.port)
    local running, done = {}, {}
    for i = 1, 4 do
      running[i] = mg.task.spawn(function()
        done[i] = grpc.call(gateway.port, { "many_calls" }).many_calls
      end)
    end
    for _, one in ipairs(running) do
      mg.task.join(one)
    end
    assert.same({ "ok", "ok", "ok", "ok" }, done)
    server:close()
  end)
end)
