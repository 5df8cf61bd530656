-- SPDX-License-Identifier: Apache-2.0
--
-- Metrics under the names of ingress-nginx: what each counts, by which labels, and what becomes of
-- it when its object goes.
local certificates = require("spec.support.certificates")
local manifests = require("spec.support.manifests")
local process = require("moongate.test.process")
local prometheus = require("spec.support.prometheus")
local t = require("moongate.test")

local PREFIX = "nginx_ingress_controller_"
local CONTROLLER = { controller_class = "k8s.io/ingress-nginx", controller_pod = "",
  controller_namespace = "default" }

describe("metrics of ingress-nginx", function()
  local gateway

  local function start(options, texts)
    gateway = t.gateway({ workers = 2, args = options.args, settings = options.settings })
    gateway:upstream("web", { body = ("x"):rep(2000) })
    gateway:upstream("next", { body = "next" })
    local list = { manifests.CLASS, manifests.service("web", { gateway:upstream("web").port }),
      manifests.service("next", { gateway:upstream("next").port }),
      manifests.service("empty", {}) }
    for _, text in ipairs(texts or {}) do
      list[#list + 1] = text
    end
    gateway.options.manifests = { ["a.yaml"] = manifests.join(unpack(list)),
      ["b.yaml"] = options.second or "" }
    return gateway:start()
  end

  after_each(function()
    if gateway then
      gateway:stop()
      gateway = nil
    end
  end)

  -- All series of a metric with these labels.
  local function find(name, wanted)
    return prometheus.find(gateway:metrics(), PREFIX .. name, wanted)
  end

  local function sum(name, wanted)
    local total = 0
    for _, one in ipairs(find(name, wanted)) do
      total = total + one.value
    end
    return total
  end

  -- A request is counted when its last byte is out, which the client may see before.
  local function wait_for(count, name, wanted)
    t.wait_until(function()
      return sum(name, wanted) >= count
    end, ("%s of %d"):format(name, count))
    assert.equal(count, sum(name, wanted))
  end

  local WEB = manifests.ingress("shop", { host = "a.test", service = "web",
    paths = { "/one", "/two" } })

  it("are not there unless --enable-metrics says so", function()
    start({}, { WEB })
    assert.equal(200, gateway:client():get("/one", { Host = "a.test" }).status)
    assert.is_nil(gateway:metrics():find(PREFIX, 1, true))
  end)

  describe("count requests", function()
    local METHODS = { "GET", "POST", "HEAD" }

    local function drive()
      local client = gateway:client()
      for _, path in ipairs({ "/one/a", "/one/b", "/two" }) do
        for _, method in ipairs(METHODS) do
          client:request({ method = method, path = path, headers = { Host = "a.test" } })
        end
      end
      client:get("/nowhere", { Host = "a.test" })
      client:request({ method = "PURGE", path = "/one", headers = { Host = "a.test" } })
      client:get("/one", { Host = "b.test" })
    end

    it("by Ingress, path, method, status and host", function()
      start({ args = { "--enable-metrics=true" } }, { WEB })
      drive()
      wait_for(11, "requests")
      local labels = { canary = "", host = "a.test", ingress = "shop", method = "GET",
        namespace = "default", path = "/one", service = "web", status = "200" }
      for name, value in pairs(CONTROLLER) do
        labels[name] = value
      end
      local found = find("requests", { path = "/one", method = "GET" })
      assert.equal(1, #found)
      assert.same(labels, found[1].labels)
      assert.equal(2, found[1].value)
      assert.equal(1, sum("requests", { path = "/two", method = "HEAD", status = "200" }))
      assert.equal(1, sum("requests", { path = "/", service = "", status = "404" }))
      assert.equal(1, sum("requests", { method = "OTHER" }))
      assert.equal(0, sum("requests", { host = "b.test" }))
    end)

    it("without hosts where --metrics-per-host=false says so", function()
      start({ args = { "--enable-metrics", "--metrics-per-host=false" } }, { WEB })
      drive()
      wait_for(12, "requests")
      for _, one in ipairs(find("requests")) do
        assert.is_nil(one.labels.host)
      end
    end)

    it("of hosts that no object names with --metrics-per-undefined-host", function()
      start({ args = { "--enable-metrics", "--metrics-per-undefined-host=true" } }, { WEB })
      drive()
      wait_for(1, "requests", { host = "b.test", status = "404", ingress = "" })
    end)

    it("by classes of status with --report-status-classes", function()
      start({ args = { "--enable-metrics", "--report-status-classes" } }, { WEB })
      drive()
      wait_for(10, "requests", { status = "2xx" })
      wait_for(1, "requests", { status = "4xx" })
    end)
  end)

  it("measure durations and sizes in the buckets of ingress-nginx", function()
    start({ args = { "--enable-metrics" } }, { WEB })
    local body = ("y"):rep(300)
    gateway:client():request({ method = "POST", path = "/one", body = body,
      headers = { Host = "a.test" } })
    wait_for(1, "requests", { status = "200" })
    local series, types = prometheus.parse(gateway:metrics())
    local bounds, values = {}, {}
    for _, one in ipairs(series) do
      local name, bound = one.name:match("^" .. PREFIX .. "(.*)$"), one.labels.le
      if name and bound then
        name = name:gsub("_bucket$", "")
        bounds[name] = (bounds[name] and bounds[name] .. " " or "") .. bound
        assert.equal("histogram", types[PREFIX .. name])
        values[name .. " " .. bound] = one.value
      elseif name then
        values[name] = one.value
      end
    end
    local TIME = "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf"
    local LENGTH = "10 20 30 40 50 60 70 80 90 100 +Inf"
    assert.same({
      connect_duration_seconds = TIME, header_duration_seconds = TIME,
      request_duration_seconds = TIME, response_duration_seconds = TIME,
      request_size = LENGTH, response_size = LENGTH,
      bytes_sent = "10 100 1000 10000 100000 1e+06 1e+07 +Inf",
    }, bounds)
    for name in pairs(bounds) do
      assert.equal(1, values[name .. "_count"], name)
      assert.equal(1, values[name .. " +Inf"], name)
    end
    assert.is_true(values.request_size_sum > 300 and values.request_size_sum < 600)
    assert.is_true(values.response_size_sum > 2000 and values.response_size_sum < 2600)
    assert.equal(values.response_size_sum, values.bytes_sent_sum)
    assert.equal(0, values["bytes_sent 1000"])
    assert.equal(1, values["bytes_sent 10000"])
    local whole, answered = values.request_duration_seconds_sum, values.header_duration_seconds_sum
    assert.is_true(answered > 0 and answered <= whole)
    assert.is_true(values.response_duration_seconds_sum >= answered)
    assert.is_true(values.response_duration_seconds_sum <= whole)
    assert.is_true(values.connect_duration_seconds_sum <= answered)
  end)

  it("take other buckets, and leave out what --exclude-socket-metrics names", function()
    start({ args = { "--enable-metrics", "--time-buckets=0.5,30", "--size-buckets=1e3",
      "--length-buckets", "100,2000",
      "--exclude-socket-metrics=request_size,nginx_ingress_controller_bytes_sent,success" } },
      { WEB })
    gateway:client():get("/one", { Host = "a.test" })
    wait_for(1, "requests", { status = "200" })
    local bounds = {}
    for _, one in ipairs(find("request_duration_seconds_bucket")) do
      bounds[#bounds + 1] = one.labels.le
    end
    assert.same({ "0.5", "30", "+Inf" }, bounds)
    assert.equal(3, #find("response_size_bucket"))
    assert.equal(0, #find("request_size_count") + #find("bytes_sent_count"))
    assert.equal(1, #find("success"), "it is no metric of requests")
    assert.equal("success", gateway:wait_log("flag_without_effect").name)
  end)

  local WRONG = {
    { "--time-buckets=", "list of 1 to 64 numbers" },
    { "--time-buckets=1,x", '"x"' },
    { "--size-buckets=2,1", "rising" },
    { "--length-buckets=1," .. ("1"):rep(10), "below 1e9" },
    { "--time-buckets=" .. ("1,"):rep(65), "1 to 64" },
    { "--metrics-per-undefined-host", "--metrics-per-host", "--metrics-per-host=false" },
  }
  for _, case in ipairs(WRONG) do
    it("end the start with " .. case[1]:sub(1, 40), function()
      local lines = {}
      local code = process.start({ process.executable(), "run", "--http", "127.0.0.1:0", "--https",
        "127.0.0.1:0", "--admin", "127.0.0.1:0", "--enable-metrics", case[1], case[3] },
        function(line)
          lines[#lines + 1] = line
        end):wait()
      assert.equal(2, code)
      assert.truthy(table.concat(lines, "\n"):find(case[2], 1, true), table.concat(lines, "\n"))
    end)
  end

  it("tell the side of a canary", function()
    local canary = manifests.ingress("shop-next", { host = "a.test", service = "next",
      paths = { "/one" }, annotations = manifests.annotations({ canary = "true",
        ["canary-by-header"] = "next" }) })
    start({ args = { "--enable-metrics" } }, { WEB, canary })
    local client = gateway:client()
    for i = 1, 5 do
      client:get("/one", { Host = "a.test", next = i <= 2 and "always" or "never" })
    end
    wait_for(5, "requests", { ingress = "shop", service = "web" })
    assert.equal(2, sum("requests", { canary = "default-next-80" }))
    assert.equal(3, sum("requests", { canary = "" }))
  end)

  it("go on over a change of their Ingress, and go with it", function()
    start({ args = { "--enable-metrics" }, second = manifests.ingress("late", { host = "late.test",
      service = "web", paths = { "/x" } }) }, { WEB })
    local client = gateway:client()
    local late = { ingress = "late", path = "/x" }
    client:get("/x", { Host = "late.test" })
    client:get("/one", { Host = "a.test" })
    wait_for(1, "requests", late)
    gateway:write({ ["b.yaml"] = manifests.ingress("late", { host = "late.test", service = "web",
      paths = { "/x", "/y" } }) })
    t.wait_until(function()
      return client:get("/y", { Host = "late.test" }).status == 200
    end, "the second path")
    client:get("/x", { Host = "late.test" })
    wait_for(2, "requests", late)
    gateway:write({ ["b.yaml"] = "" })
    t.wait_until(function()
      return client:get("/x", { Host = "late.test" }).status == 404
    end, "the end of the Ingress")
    assert.equal(0, #find("requests", { ingress = "late" }))
    assert.equal(0, #find("request_duration_seconds_bucket", { ingress = "late" }))
    assert.equal(1, sum("requests", { ingress = "shop", path = "/one" }))
  end)

  it("are as many as max-metric-series, and the rest counts by its class of status", function()
    start({ args = { "--enable-metrics", "--metrics-per-undefined-host" },
      settings = { ["max-metric-series"] = 3 } }, { WEB })
    local client = gateway:client()
    for i = 1, 40 do
      client:get("/", { Host = ("h%d.test"):format(i) })
    end
    wait_for(40, "requests")
    local hosts = 0
    for _, one in ipairs(find("requests")) do
      hosts = hosts + (one.labels.host ~= "" and 1 or 0)
    end
    assert.is_true(hosts > 0 and hosts <= 6, hosts .. " hosts of two workers")
    local limit = gateway:metrics("moongate_limit_exceeded_total", { limit = "max-metric-series" })
    assert.equal(40 - hosts, limit)
    assert.equal(limit, sum("requests", { host = "", path = "", method = "OTHER", status = "4xx" }))
    assert.equal("max-metric-series", gateway:wait_log("limit_exceeded").limit)
  end)

  it("tell of the configuration, certificates and backends", function()
    local made = certificates.make("a", { san = "DNS:tls.test", days = 30 })
    start({ args = { "--enable-metrics" } }, { WEB, manifests.secret("pair", made),
      manifests.ingress("safe", { host = "tls.test", service = "empty", secret = "pair" }),
      manifests.ingress("lost", { host = "lost.test", service = "nobody" }) })
    local first = sum("config_hash")
    assert.is_true(first > 0)
    assert.equal(1, sum("config_last_reload_successful", CONTROLLER))
    local at = sum("config_last_reload_successful_timestamp_seconds", CONTROLLER)
    assert.is_true(math.abs(at - os.time()) < 600)
    assert.equal(1, sum("success", CONTROLLER))
    assert.equal(0, sum("errors", CONTROLLER))
    assert.equal(1, sum("build_info", CONTROLLER))
    assert.equal(1, sum("build_info", { release = require("moongate.version") }))

    local expiry = find("ssl_expire_time_seconds", { host = "tls.test", namespace = "default",
      class = "k8s.io/ingress-nginx", secret_name = "pair" })
    assert.equal(1, #expiry)
    assert.equal(30, math.floor((expiry[1].value - os.time()) / 86400 + 0.5))
    local info = find("ssl_certificate_info", { host = "tls.test", secret_name = "pair",
      public_key_algorithm = "ECDSA" })[1]
    assert.equal(1, info.value)
    assert.truthy(info.labels.serial_number:find("^%d+$"))
    assert.equal("-" .. info.labels.serial_number, info.labels.identifier)
    assert.truthy(info.labels.issuer_common_name and info.labels.issuer_organization)

    local ORPHANS = { { "shop", 0, 0 }, { "safe", 0, 1 }, { "lost", 1, 0 } }
    for _, case in ipairs(ORPHANS) do
      local labels = { ingress = case[1], namespace = "default", type = "no-service" }
      assert.equal(case[2], find("orphan_ingress", labels)[1].value, case[1])
      labels.type = "no-endpoint"
      assert.equal(case[3], find("orphan_ingress", labels)[1].value, case[1])
    end

    gateway:write({ ["b.yaml"] = manifests.service("more", {}) })
    t.wait_until(function()
      return sum("success") == 2
    end, "the change")
    assert.not_equal(first, sum("config_hash"))
    gateway:write({ ["b.yaml"] = "" })
    t.wait_until(function()
      return sum("success") == 3
    end, "the change back")
    assert.equal(first, sum("config_hash"), "of equal content")
  end)

  it("tell of the process and its connections", function()
    start({ args = { "--enable-metrics" } }, { WEB })
    local client = gateway:client()
    client:get("/one", { Host = "a.test" })
    local idle, half = gateway:client():raw(), gateway:client():raw()
    half:write("GET /one HTTP/1.1\r\n")
    idle:write("GET /one HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert(t.http1.read_response(idle))
    wait_for(1, "nginx_process_connections", { state = "reading" })
    local active = sum("nginx_process_connections", { state = "active" })
    assert.is_true(active >= 2)
    assert.equal(active - 1, sum("nginx_process_connections", { state = "waiting" }))
    assert.equal(0, sum("nginx_process_connections", { state = "writing" }))
    assert.is_true(sum("nginx_process_connections_total", { state = "accepted" }) >= active)
    assert.is_true(sum("nginx_process_connections_total", { state = "handled" }) >= active)
    assert.is_true(sum("nginx_process_requests_total", CONTROLLER) >= 2)
    for _, name in ipairs({ "num_procs", "cpu_seconds_total", "resident_memory_bytes",
      "virtual_memory_bytes", "oldest_start_time_seconds" }) do
      assert.is_true(sum("nginx_process_" .. name, CONTROLLER) > 0, name)
    end
    for _, name in ipairs({ "read_bytes_total", "write_bytes_total" }) do
      assert.equal(1, #find("nginx_process_" .. name, CONTROLLER), name)
    end
  end)
end)
