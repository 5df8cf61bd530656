-- SPDX-License-Identifier: Apache-2.0
--
-- Flags of the ingress-nginx controller, so that a Deployment's arguments carry over. Those without
-- meaning here are accepted with one warning each.
local log = require("moongate.api.log")
local settings = require("moongate.settings")

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
    "election-ttl",
    "health-check-path",
    "health-check-timeout",
    "maxmind-edition-ids",
    "maxmind-license-key",
    "maxmind-mirror",
    "monitor-max-batch-size",
    "post-shutdown-grace-period",
    "profiler-address",
    "profiler-port",
    "status-port",
    "status-update-interval",
    "stream-port",
    "sync-period",
    "sync-rate-limit",
    "v",
    "validating-webhook",
    "validating-webhook-certificate",
    "validating-webhook-key",
    "bucket-factor",
    "dynamic-configuration-retries",
    "log_backtrace_at",
    "log_dir",
    "log_file",
    "log_file_max_size",
    "max-buckets",
    "maxmind-retries-count",
    "maxmind-retries-timeout",
    "stderrthreshold",
    "vmodule",
    "internal-logger-address",
    "apiserver-host",
    "certificate-authority",
    "publish-service",
    "publish-status-address",
    "default-server-port",
    "ssl-passthrough-proxy-port",
  },
  flag = {
    "disable-full-test",
    "disable-leader-election",
    "disable-sync-events",
    "add_dir_header",
    "alsologtostderr",
    "enable-annotation-validation",
    "enable-ssl-chain-completion",
    "enable-topology-aware-routing",
    "logtostderr",
    "one_output",
    "profiling",
    "report-node-internal-ip-address",
    "skip_headers",
    "skip_log_headers",
    "update-status",
    "update-status-on-shutdown",
  },
}

--- Short forms.
M.ALIASES = { ["-v"] = "v" }

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
  ["watch-namespace-selector"] = value("LABELS", "only Ingresses of namespaces with these labels"),
  ["disable-catch-all"] = flag("leaves out Ingresses that have a defaultBackend and no rules"),
  ["http-port"] = value("PORT", "port of HTTP, at the addresses of bind-address, or all"),
  ["https-port"] = value("PORT", "port of HTTPS, at the same addresses"),
  ["healthz-port"] = value("PORT", "port of /healthz, /readyz and /metrics; --admin has more"),
  ["healthz-host"] = value("HOST", "its address; all of this machine's unless given"),
  ["shutdown-grace-period"] = value("SECONDS", "pause between not ready and draining"),
  ["disable-svc-external-name"] = flag("refuses Services of type ExternalName"),
  ["annotations-prefix"] = value("PREFIX", "of the annotations (nginx.ingress.kubernetes.io)"),
  ["tcp-services-configmap"] = value("NS/NAME", "ConfigMap of TCP services, by port"),
  ["udp-services-configmap"] = value("NS/NAME", "ConfigMap of UDP services, by port"),
  ["enable-ssl-passthrough"] = flag("permits the annotation ssl-passthrough"),
  ["enable-metrics"] = flag("metrics under the names of ingress-nginx; see docs/observability.md"),
  ["metrics-per-host"] = flag("the host is a label of them (true)"),
  ["metrics-per-undefined-host"] = flag("also counts requests for hosts that no object names"),
  ["report-status-classes"] = flag("2xx stands for 200 in them"),
  ["time-buckets"] = value("N,…", "upper bounds of durations, in seconds"),
  ["length-buckets"] = value("N,…", "upper bounds of request_size and response_size, in bytes"),
  ["size-buckets"] = value("N,…", "upper bounds of bytes_sent, in bytes"),
  ["exclude-socket-metrics"] = {
    kind = "list",
    hint = "NAME,…",
    doc = "metrics of requests that are left out",
  },
  ["deep-inspect"] = flag("refuses paths with suspicious content; always on here"),
}

local HEALTHZ_PORT = "10254"
local PAUSE = "shutdown-grace-period"

local STATUS = "status.loadBalancer of Ingresses is not written: point DNS at the gateway's Service"
local WEBHOOK = "there is no webhook; run `moongate check` on what is to be applied"

--- What whoever comes from ingress-nginx has to know of some of them: `says`, and `hand` where
--- something is to be done.
---@type table<string, { says: string, hand: boolean? }>
M.notes = {
  ["enable-ssl-chain-completion"] = {
    hand = true,
    says = "chains are not completed: put intermediate certificates into the Secrets",
  },
  ["enable-topology-aware-routing"] = { says = "hints of zones are not followed" },
  ["publish-service"] = { hand = true, says = STATUS },
  ["publish-status-address"] = { hand = true, says = STATUS },
  ["report-node-internal-ip-address"] = { hand = true, says = STATUS },
  ["validating-webhook"] = { says = WEBHOOK },
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

--- Whether nothing follows from a flag.
---@param name string
---@return boolean
function M.is_ignored(name)
  return ignored[name] == true
end

local function admin_of(host, port)
  local address = host and host:find(":", 1, true) and "[" .. host .. "]" or host or ""
  return (host or port) and ("%s:%s"):format(address, port or HEALTHZ_PORT)
end

--- Puts those of the admin listener, and of how to stop, into the options and settings that say so
--- here; what is said by these wins.
---@param values table<string, any>
---@return string? err
function M.apply(values)
  if not values.admin then
    values.admin = admin_of(values["healthz-host"], values["healthz-port"])
    values.probes_only = values.admin ~= nil
  end
  local pause = values[PAUSE]
  if pause and values.settings[PAUSE] == nil then
    local _, err = settings.parse(PAUSE, pause)
    values.settings[PAUSE] = pause
    return err and ("--%s: %s"):format(PAUSE, err)
  end
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
