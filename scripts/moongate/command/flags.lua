-- SPDX-License-Identifier: Apache-2.0
--
-- Flags of the ingress-nginx controller, so that a Deployment's arguments carry over. Those without
-- meaning here are accepted with one warning each.
local log = require("moongate.api.log")

local M = {}

local function value(hint, doc)
  return { kind = "value", hint = hint, doc = doc }
end

local function flag(doc)
  return { kind = "flag", hint = "", doc = doc }
end

-- Name, and whether it takes a value; the doc of each says that nothing comes of it.
local WITHOUT_EFFECT = {
  value = {
    "election-id",
    "healthz-host",
    "healthz-port",
    "maxmind-edition-ids",
    "maxmind-license-key",
    "maxmind-mirror",
    "metrics-per-host",
    "monitor-max-batch-size",
    "post-shutdown-grace-period",
    "profiler-address",
    "profiler-port",
    "status-port",
    "status-update-interval",
    "stream-port",
    "sync-period",
    "sync-rate-limit",
    "tcp-services-configmap",
    "udp-services-configmap",
    "v",
    "validating-webhook",
    "validating-webhook-certificate",
    "validating-webhook-key",
    "time-buckets",
    "length-buckets",
    "size-buckets",
    "bucket-factor",
    "internal-logger-address",
    "apiserver-host",
    "certificate-authority",
    "publish-service",
    "publish-status-address",
    "default-server-port",
    "ssl-passthrough-proxy-port",
    "http-port",
    "https-port",
    "watch-namespace-selector",
  },
  flag = {
    "disable-catch-all",
    "disable-full-test",
    "disable-sync-events",
    "dynamic-configuration-retries",
    "enable-annotation-validation",
    "enable-metrics",
    "enable-ssl-chain-completion",
    "enable-topology-aware-routing",
    "exclude-socket-metrics",
    "metrics-per-undefined-host",
    "profiling",
    "report-node-internal-ip-address",
    "report-status-classes",
    "skip_headers",
    "update-status",
    "update-status-on-shutdown",
    "shutdown-grace-period",
  },
}

M.options = {
  ["ingress-class"] = value("NAME", "class of the Ingresses that are served (nginx)"),
  ["controller-class"] = value(
    "NAME",
    "controller of the IngressClasses that are served (k8s.io/ingress-nginx)"
  ),
  ["ingress-class-by-name"] = flag(
    "also serves the IngressClass of that name, whatever its controller"
  ),
  ["watch-ingress-without-class"] = flag("also serves Ingresses without a class"),
  ["default-ssl-certificate"] = value("NS/NAME", "Secret of the certificate for names without one"),
  ["default-backend-service"] = value("NS/NAME", "Service that answers what no rule does"),
  configmap = value("NS/NAME", "ConfigMap of settings (ingress-nginx/ingress-nginx-controller)"),
  ["watch-namespace"] = value("NS", "only Ingresses of this namespace"),
  ["disable-svc-external-name"] = flag("refuses Services of type ExternalName"),
  ["annotations-prefix"] = value("PREFIX", "of the annotations (nginx.ingress.kubernetes.io)"),
  ["enable-ssl-passthrough"] = flag("not there yet: a host that asks for it answers 503"),
  ["deep-inspect"] = flag("refuses paths with suspicious content; always on here"),
}

local ignored = {}
for _, name in ipairs(WITHOUT_EFFECT.value) do
  ignored[name] = true
  M.options[name] = value("…", "of ingress-nginx; has no effect on manifests in folders")
end
for _, name in ipairs(WITHOUT_EFFECT.flag) do
  ignored[name] = true
  M.options[name] = flag("of ingress-nginx; has no effect on manifests in folders")
end

--- The flags that translation reads; warns of the others once.
---@param values table<string, any>
---@return table<string, any>
function M.read(values)
  local read = {}
  for name in pairs(M.options) do
    if values[name] ~= nil then
      read[name] = values[name]
      if ignored[name] then
        log.warn("flag_without_effect", { flag = "--" .. name })
      end
    end
  end
  return read
end

return M
