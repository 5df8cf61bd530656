/* SPDX-License-Identifier: Apache-2.0 */
/* Our error codes: below -10000, beside libuv's. Each carries a name for logs, the HTTP status that
 * answers it and a text for the client. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_LIST(X)                                                                                \
  X(ERR_BAD_REQUEST, -10001, 400, "the request is not valid HTTP")                                 \
  X(ERR_AMBIGUOUS_FRAMING, -10002, 400, "the request's length is ambiguous")                       \
  X(ERR_HEADERS_TOO_LARGE, -10003, 431, "the request's header fields are too large")               \
  X(ERR_TARGET_TOO_LONG, -10004, 414, "the request target is too long")                            \
  X(ERR_BODY_TOO_LARGE, -10005, 413, "the request body is too large")                              \
  X(ERR_REQUEST_TIMEOUT, -10006, 408, "the request took too long")                                 \
  X(ERR_EXPECTATION, -10007, 417, "the expectation cannot be met")                                 \
  X(ERR_NOT_FOUND, -10008, 404, "no route matches")                                                \
  X(ERR_NO_ENDPOINT, -10009, 503, "no endpoint is available")                                      \
  X(ERR_CONNECT, -10010, 502, "the upstream could not be reached")                                 \
  X(ERR_CONNECT_TIMEOUT, -10011, 504, "the upstream did not accept in time")                       \
  X(ERR_UPSTREAM_CLOSED, -10012, 502, "the upstream closed early")                                 \
  X(ERR_UPSTREAM_PROTOCOL, -10013, 502, "the upstream's response is not valid HTTP")               \
  X(ERR_UPSTREAM_TIMEOUT, -10014, 504, "the upstream took too long")                               \
  X(ERR_CLIENT_GONE, -10015, 499, "the client left")                                               \
  X(ERR_SCRIPT, -10016, 500, "a script failed")                                                    \
  X(ERR_STALE, -10017, 500, "a request was used after its end")                                    \
  X(ERR_NO_MEMORY, -10018, 503, "out of memory")                                                   \
  X(ERR_VERSION, -10019, 505, "this version of HTTP is not spoken here")                           \
  X(ERR_NOT_IMPLEMENTED, -10020, 501, "this is not implemented here")                              \
  X(ERR_STARTING, -10021, 503, "the gateway is starting")                                          \
  X(ERR_STATE, -10022, 500, "the call does not fit the request's state")                           \
  X(ERR_LIMIT, -10023, 503, "a limit was reached")                                                 \
  X(ERR_DEADLINE, -10024, 504, "the hook's deadline passed")                                       \
  X(ERR_FIELD_TOO_LONG, -10026, 400, "a header field is too large")                                \
  X(ERR_METHOD, -10027, 405, "this method is not served here")                                     \
  X(ERR_MISDIRECTED, -10028, 421, "this connection was made for another name")                     \
  X(ERR_GRPC_DEADLINE, -10029, 504, "the call's deadline passed")                                  \
  X(ERR_BAD_FIELD, -10025, 500, "the field's name or value is not valid")                          \
  X(ERR_BAD_PROXY_HEADER, -10030, 400, "the PROXY header is not valid")                            \
  X(ERR_TLS_HANDSHAKE, -10031, 502, "the TLS handshake failed")                                    \
  X(ERR_TLS_UNTRUSTED, -10032, 502, "the peer's certificate is not trusted")                       \
  X(ERR_TLS_NO_CERTIFICATE, -10033, 421, "there is no certificate for this name")                  \
  X(ERR_TLS_TRUNCATED, -10034, 502, "the TLS connection was cut off")                              \
  X(ERR_TLS_BROKEN, -10035, 502, "a TLS record is not valid")                                      \
  X(ERR_TLS_CONFIG, -10036, 502, "the TLS settings are not valid")                                 \
  X(ERR_UPSTREAM_SEND_TIMEOUT, -10037, 504, "the upstream did not take the request in time")       \
  X(ERR_UPSTREAM_HEAD_TOO_LARGE, -10038, 502, "the response's header fields are too large")        \
  X(ERR_MISCONFIGURED, -10039, 503, "the configuration of this path is not valid")                 \
  X(ERR_LENGTH_REQUIRED, -10040, 411, "the upstream's version of HTTP needs a Content-Length")

enum err {
#define X(name, code, status, text) name = code,
  ERR_LIST(X)
#undef X
};

/* Name for logs; libuv's name for its codes. Never NULL. */
const char *err_name(int err);
/* The HTTP status that answers `err`; 500 for codes without one. */
int err_status(int err);
/* One line for people. Never NULL. */
const char *err_text(int err);

#endif
