/* SPDX-License-Identifier: Apache-2.0 */
/* What Lua reads and writes of an exchange in place, without a call. Part of bridge/api.h, which takes
 * in the text between the markers; here because the exchange fills it. */
#ifndef EXCHANGE_RECORD_H
#define EXCHANGE_RECORD_H

#include <stdint.h>

/* cdef-begin */
/* Borrowed bytes, not ended by NUL. Valid until the next call that changes the exchange. */
struct mg_text {
  const char *data;
  uint32_t length;
};

/* What may be asked of a client's TLS. */
enum mg_tls_fact {
  MG_TLS_VERSION, /* "TLSv1.3" */
  MG_TLS_CIPHER,  /* OpenSSL's name */
  MG_TLS_SNI,     /* lower case */
  MG_TLS_ALPN,
  MG_TLS_RESUMED, /* "r" for a session that is an earlier one, else "." */
  /* Of the client's certificate; empty where there is none. */
  MG_TLS_VERIFY,   /* "SUCCESS", "FAILED:reason", "NONE": there is none */
  MG_TLS_ACCEPTED, /* "1" for a good one, "any" where only its authority is not known */
  MG_TLS_SUBJECT,  /* RFC 2253 */
  MG_TLS_ISSUER,
  MG_TLS_SERIAL,
  MG_TLS_FINGERPRINT, /* SHA-1, hexadecimal */
  MG_TLS_FINGERPRINT_SHA256,
  MG_TLS_CERTIFICATE /* PEM */
};

/* A text at some distance behind the first byte of a route. */
struct mg_name {
  uint32_t at;
  uint32_t length;
};

/* What a route is called in logs: part of the snapshot, written by snapshot/host.lua. */
struct mg_route_names {
  struct mg_name ingress;  /* its object */
  struct mg_name space;    /* namespace of that */
  struct mg_name service;  /* name of the Service */
  struct mg_name port;     /* of the Service */
  struct mg_name upstream; /* namespace-service-port */
  struct mg_name path;
  struct mg_name id;
  uint32_t series; /* number of these names in metrics; 0: none */
  uint32_t reserved;
};

/* One request and its answer. The record's memory lives as long as its worker, so reading through an
 * old pointer is safe; `generation` tells whether it is still the same request. */
struct mg_request {
  uint32_t slot;
  uint32_t generation;
  struct mg_text method;    /* as received */
  struct mg_text target;    /* raw request target as received: path?query */
  struct mg_text path;      /* decoded, dot segments resolved, slashes merged: what routes match */
  struct mg_text query;     /* raw, without '?'; data is null when there is no '?' */
  struct mg_text host;      /* lower case, without port */
  struct mg_text authority; /* Host as received */
  struct mg_text public_authority; /* what a trusted proxy says that it was, else the same */
  struct mg_text client_ip;        /* the client behind trusted proxies */
  struct mg_text peer_ip;          /* the other end of the connection */
  uint32_t client_port;
  uint32_t local_port; /* of the listener */
  uint32_t version;    /* 10, 11, 20 */
  uint32_t secure;     /* 1: the client used TLS, or a trusted proxy says so */
  uint32_t tls;        /* 1: this connection is TLS */
  uint32_t upgrade;    /* 1: the client asks for another protocol */
  uint32_t stream_id;  /* of HTTP/2; 0: HTTP/1 */
  uint32_t grpc;       /* 1: the request is one of gRPC */
  int64_t body_length; /* -1: not known in advance */
  double started_s;    /* by mg_time_monotonic */

  /* Decided by Lua in the request stages. */
  void *snapshot;                     /* struct mg_snapshot that this request is pinned to */
  const void *route;                  /* of the snapshot's host part */
  const struct mg_route_names *names; /* of the route; null: no route */
  struct mg_text alternative; /* another service than the route's, as its upstream is named */
  uint32_t host_known;        /* 1: the host is one of the snapshot's, by its whole name */
  int32_t endpoint;           /* number from mg_endpoint; -1: none */
  uint32_t stages;            /* bits of the stages that Lua wants to see: 1 << MG_STAGE_x */
  uint32_t connect_ms;
  uint32_t send_ms;
  uint32_t read_ms;
  uint32_t tries;             /* attempts that may still be made */
  uint32_t tries_ms;          /* time for all attempts together, 0: no limit */
  uint32_t retry_on;          /* bits MG_RETRY_x */
  int64_t body_limit;         /* bytes of the request body, 0: no limit */
  uint32_t answer_head_limit; /* bytes of the head of the response, 0: no limit of its own */
  uint32_t buffer_request;    /* 1: the body is gathered whole before it goes upstream */
  uint32_t http10;            /* 1: HTTP/1.0 towards the upstream */
  uint32_t no_log;            /* 1: no line in the access log */
  uint32_t piece_bytes;       /* of a response's body, that hooks see at most at once; 0: all */
  uint32_t keeps_length;      /* 1: hooks leave the response's body as long as it is */

  /* Facts of the answer, for the response and log stages. */
  uint32_t status;
  uint32_t source;          /* MG_SOURCE_x: who made the answer */
  int32_t error;            /* why the gateway answered itself, 0: no error */
  uint32_t attempts;        /* made so far */
  uint32_t upstream_status; /* 0: no answer of an upstream came */
  double connect_s;         /* durations in seconds, -1: did not happen */
  double first_byte_s;
  double total_s;
  uint64_t bytes_in;  /* body bytes from the client */
  uint64_t bytes_out; /* body bytes to the client */
};
/* cdef-end */

#endif
