-- SPDX-License-Identifier: Apache-2.0
-- Annotations that ingress-nginx itself has dropped, still found in manifests: name -> way out.
return {
  ["add-base-url"] = "use rewrite-target and a response plugin",
  ["base-url-scheme"] = "use rewrite-target and a response plugin",
  ["enable-opentracing"] = "use enable-opentelemetry",
  ["opentracing-trust-incoming-span"] = "use opentelemetry-trust-incoming-span",
  ["global-rate-limit"] = "use limit-rps",
  ["global-rate-limit-window"] = "use limit-rps",
  ["global-rate-limit-key"] = "use limit-rps",
  ["global-rate-limit-ignored-cidrs"] = "use limit-allowlist",
  ["grpc-backend"] = 'use backend-protocol: "GRPC"',
  ["secure-backends"] = 'use backend-protocol: "HTTPS"',
  ["influxdb-host"] = "use the metrics of the gateway",
  ["enable-influxdb"] = "use the metrics of the gateway",
}
