-- SPDX-License-Identifier: Apache-2.0
--
-- What the dashboards that come with ingress-nginx ask Prometheus for: each name has series with
-- the labels that are chosen, told apart or added up by (CFG-008).
local certificates = require("spec.support.certificates")
local manifests = require("spec.support.manifests")
local prometheus = require("spec.support.prometheus")
local t = require("moongate.test")

-- Of the labels, `namespace` is what Prometheus calls exported_namespace where it has one of the
-- target; labels of the target itself are Prometheus' own.
local CONTROLLER = { "controller_class", "controller_namespace", "controller_pod" }
local OF_INGRESS = { "controller_class", "controller_namespace", "controller_pod", "ingress",
  "namespace" }
local BY_PATH = { "host", "ingress", "method", "path" }

local DASHBOARDS = {
  ["NGINX Ingress controller (9614)"] = {
    { "config_hash", CONTROLLER },
    { "config_last_reload_successful", CONTROLLER },
    { "config_last_reload_successful_timestamp_seconds", CONTROLLER },
    { "success", CONTROLLER },
    { "requests", OF_INGRESS },
    { "requests", { "controller_class", "controller_pod", "status" } },
    { "nginx_process_connections", CONTROLLER, { state = "active" } },
    { "nginx_process_resident_memory_bytes", CONTROLLER },
    { "nginx_process_cpu_seconds_total", CONTROLLER },
    { "request_size_sum", OF_INGRESS },
    { "response_size_sum", OF_INGRESS },
    { "request_duration_seconds_bucket", OF_INGRESS, { le = "0.5" } },
    { "request_duration_seconds_bucket", OF_INGRESS, { le = "+Inf" } },
    { "ssl_expire_time_seconds", { "host", "namespace" } },
  },
  ["Request handling performance"] = {
    { "requests", { "ingress" } },
    { "request_duration_seconds_bucket", { "ingress", "le" } },
    { "request_duration_seconds_count", BY_PATH },
    { "request_duration_seconds_count", BY_PATH, { status = "404" } },
    { "response_duration_seconds_bucket", { "host", "ingress", "le", "method", "path" } },
    { "response_duration_seconds_sum", BY_PATH },
    { "response_size_bucket", { "ingress", "le" } },
    { "response_size_count", BY_PATH },
    { "response_size_sum", BY_PATH },
  },
}

describe("dashboards of ingress-nginx", function()
  local gateway, page

  setup(function()
    gateway = t.gateway({ workers = 1, args = { "--enable-metrics=true" } })
    gateway:upstream("web", { body = "web" })
    gateway.options.manifests = { ["a.yaml"] = manifests.join(manifests.CLASS,
      manifests.service("web", { gateway:upstream("web").port }),
      manifests.secret("pair", certificates.make("a", { san = "DNS:a.test", days = 30 })),
      manifests.ingress("web", { host = "a.test", service = "web", paths = { "/x" },
        secret = "pair", annotations = manifests.annotations({ ["ssl-redirect"] = "false" }) })) }
    gateway:start()
    local client = gateway:client()
    assert.equal(200, client:get("/x", { Host = "a.test" }).status)
    assert.equal(404, client:get("/", { Host = "a.test" }).status)
    t.wait_until(function()
      page = gateway:metrics()
      return #prometheus.find(page, "nginx_ingress_controller_requests") == 2
    end, "both requests")
  end)

  teardown(function()
    gateway:stop()
  end)

  for title, asked in pairs(DASHBOARDS) do
    for _, one in ipairs(asked) do
      local labels = table.concat(one[2], ", ")
      it(("%s find %s by %s"):format(title, one[1], labels), function()
        local found = prometheus.find(page, "nginx_ingress_controller_" .. one[1], one[3])
        assert.is_true(#found > 0)
        for _, series in ipairs(found) do
          for _, label in ipairs(one[2]) do
            assert.is_string(series.labels[label], label)
          end
        end
      end)
    end
  end

  it("have an Ingress to choose", function()
    local found = prometheus.find(page, "nginx_ingress_controller_requests",
      { ingress = "web", namespace = "default", status = "200" })
    assert.equal(1, found[1].value)
  end)
end)
