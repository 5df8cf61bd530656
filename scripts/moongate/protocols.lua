-- SPDX-License-Identifier: Apache-2.0
-- What is spoken with backends, by the names that scripts have for it as schemes of URLs. `tls`:
-- over TLS; `version`: of mg_endpoint: 0 HTTP/1.1, 1 HTTP/2, 2 what ALPN agrees on.
return {
  http = { version = 0 },
  https = { version = 0, tls = true },
  auto = { version = 0, tls = true }, -- TLS where the client had it
  h2c = { version = 1 },
  h2 = { version = 2, tls = true },
  grpc = { version = 1 },
  grpcs = { version = 1, tls = true },
}
