-- SPDX-License-Identifier: Apache-2.0
--
-- What manifests from ingress-nginx rely on beyond single annotations: the order of evaluation
-- (INGRESS 1.4), variables, values that are empty, what trusted proxies say.
local manifests = require("spec.support.manifests")
local t = require("moongate.test")

local gateway, seen

-- Of sites that do not serve all.
local PATHS = { group = { "/app(/.*)" }, page = { "/here" } }

local SITES = {
  big = { ["proxy-body-size"] = "10", ["permanent-redirect"] = "https://x.test/" },
  hash = { ["upstream-hash-by"] = "$binary_remote_addr" },
  vhost = { ["upstream-vhost"] = "$service_name.$namespace.svc:$service_port" },
  group = { ["rewrite-target"] = "$1", ["x-forwarded-prefix"] = "/app$1" },
  app = { ["enable-cors"] = "true",
    ["cors-allow-origin"] = "https://a.test, capacitor://localhost, null" },
  tls = { ["force-ssl-redirect"] = "true" },
  empty = { ["permanent-redirect"] = "", ["limit-rps"] = "" },
  blank = { ["backend-protocol"] = "HTTP ", ["load-balance"] = " ewma" },
  list = { ["whitelist-source-range"] = "" },
  asks = { ["auth-url"] = "" },
  page = { ["default-backend"] = "pods" },
}

local function files(of)
  local parts = { manifests.CLASS, manifests.service("pods", { of:upstream("pods").port }) }
  for name, annotations in pairs(SITES) do
    local text = manifests.ingress(name, { host = name .. ".test", service = "pods",
      paths = PATHS[name], annotations = manifests.annotations(annotations) })
    parts[#parts + 1] = text:gsub("pathType: Prefix", "pathType: ImplementationSpecific")
  end
  return { ["a.yaml"] = manifests.join(unpack(parts)) }
end

local function get(host, path, headers)
  headers = headers or {}
  headers.Host = host .. ".test"
  return gateway:client():get(path or "/x", headers)
end

describe("manifests of ingress-nginx", function()
  setup(function()
    gateway = t.gateway({ workers = 1, settings = { ["use-forwarded-headers"] = "true" } })
    gateway:upstream("pods", function(request)
      seen = request
      return { body = "pods" }
    end)
    gateway.options.manifests = files(gateway)
    gateway:start()
  end)

  teardown(function()
    gateway:stop()
  end)

  it("answer 413 before a redirect (ORDER-011)", function()
    local client = gateway:client()
    local function post(body)
      return client:request({ method = "POST", path = "/x", body = body,
        headers = { Host = "big.test" } }).status
    end
    assert.same({ 413, 301 }, { post(("x"):rep(11)), post("x") })
  end)

  it("are not asked by TRACE (PARSE-003)", function()
    local answer = gateway:client():request({ method = "TRACE", path = "/x",
      headers = { Host = "hash.test" } })
    assert.equal(405, answer.status)
  end)

  it("hash by $binary_remote_addr", function()
    assert.equal(200, get("hash").status)
  end)

  it("name the Host by variables", function()
    get("vhost")
    assert.equal("pods.default.svc:80", seen:header("host"))
  end)

  it("rewrite to a group alone, and say so in X-Forwarded-Prefix", function()
    get("group", "/app/q")
    assert.same({ "/q", "/app/q" }, { seen.target, seen:header("x-forwarded-prefix") })
  end)

  it("list origins of any scheme, and null", function()
    for _, origin in ipairs({ "https://a.test", "capacitor://localhost", "null" }) do
      assert.equal(origin,
        get("app", "/x", { Origin = origin }):header("access-control-allow-origin"))
    end
  end)

  it("redirect to https at the host that a trusted proxy tells", function()
    assert.equal("https://public.test/x",
      get("tls", "/x", { ["X-Forwarded-Host"] = "public.test:8443" }):header("location"))
  end)

  it("take an empty value for none, and blanks around one for nothing", function()
    assert.same({ 200, 200 }, { get("empty").status, get("blank").status })
  end)

  it("let nobody in by an empty address list or judge", function()
    assert.same({ 503, 503 }, { get("list").status, get("asks").status })
  end)

  it("have a default backend for some paths alone", function()
    assert.same({ 200, 404 }, { get("page", "/here").status, get("page", "/other").status })
  end)
end)
