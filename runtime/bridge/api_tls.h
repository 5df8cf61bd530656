/* SPDX-License-Identifier: Apache-2.0 */
/* The part of bridge/api.h for TLS: certificates, what clients are asked for, profiles of upstreams,
 * and ClientHellos that wait for scripts. */
#ifndef BRIDGE_API_TLS_H
#define BRIDGE_API_TLS_H

#include <stdint.h>

#include "exchange/record.h"

#pragma GCC visibility push(default)

/* cdef-begin */
struct mg_vm;
struct mg_snapshot;

/* Certificates: tls/certificate.c. A chain and its key, counted, for any thread; null when they are no
 * good, and `error` (borrowed, `error_size` bytes) says why. */
struct mg_certificate;
struct mg_certificate *mg_certificate_new(const char *pem, uint32_t length, const char *key,
                                          uint32_t key_length, char *error, uint32_t error_size);
void mg_certificate_unref(struct mg_certificate *certificate);
uint32_t mg_certificate_name_count(const struct mg_certificate *certificate);
const char *mg_certificate_name(const struct mg_certificate *certificate, uint32_t index);
/* Seconds since 1970. */
int64_t mg_certificate_not_after(const struct mg_certificate *certificate);
/* Of OCSP: until when the response that came with it is sent along, in seconds since 1970, 0 where none
 * is; and why not, empty where nothing is wrong. */
int64_t mg_certificate_response_until(const struct mg_certificate *certificate);
const char *mg_certificate_response_fault(const struct mg_certificate *certificate);
/* 0 organization and 1 common name of the issuer, 2 the issuer's serial number, 3 the serial number, in
 * decimal, 4 "RSA" or "ECDSA". Cut where `out` ends; returns the length. */
uint32_t mg_certificate_fact(const struct mg_certificate *certificate, int32_t fact, char *out,
                             uint32_t size);
/* What clients that come under a name are asked for: tls/client_auth.h. */
struct mg_client_auth;
struct mg_client_auth *mg_client_auth_new(const char *pem, uint32_t length, int32_t any,
                                          int32_t depth, char *error, uint32_t error_size);
/* Nothing, whatever the wildcard above the name asks for. Null: no memory. */
struct mg_client_auth *mg_client_auth_none(void);
void mg_client_auth_unref(struct mg_client_auth *auth);
/* Cipher suites of a host's own: tls/suites.h. Null: no memory. */
struct mg_suites;
struct mg_suites *mg_suites_new(const char *names, int32_t client_order);
void mg_suites_unref(struct mg_suites *suites);
/* OCSP, of chains in PEM: tls/ocsp.h. 1: `url` and `request` (DER) are freed by mg_file_free; 0: nobody
 * answers for this one. */
int32_t mg_ocsp_question(const char *pem, uint32_t length, struct mg_text *url,
                         struct mg_text *request);
/* Null, or why an answer (DER) cannot be believed; static. `until_s`: its end, in seconds since 1970. */
const char *mg_ocsp_check(const char *pem, uint32_t length, const char *answer,
                          uint32_t answer_length, int64_t *until_s);
/* Makes a certificate for `name` and its key, PEM; both are freed by mg_file_free. */
int32_t mg_certificate_self_signed(const char *name, struct mg_text *certificate,
                                   struct mg_text *key);

/* TLS towards upstreams: bridge/api_tls.c. Texts that are not given are empty or null. */
struct mg_tls_options {
  uint32_t verify;
  int32_t depth;     /* intermediates that a chain may have; below 0: no limit */
  struct mg_text ca; /* PEM; empty: the system's */
  struct mg_text certificate;
  struct mg_text key;
  const char *server_name;          /* for SNI; null: none */
  const char *verify_name;          /* null: server_name */
  int32_t min_version, max_version; /* 12, 13, or 0 */
  int32_t protocol;                 /* as of mg_endpoint: what ALPN offers */
  const char *suites;               /* names of OpenSSL's; null: ours */
};
/* A profile of this worker, which outlives the endpoints that have it. Null: `error` says why not. */
struct mg_tls_client;
struct mg_tls_client *mg_tls_client_new(struct mg_vm *vm, const struct mg_tls_options *options,
                                        char *error, uint32_t error_size);
void mg_tls_client_free(struct mg_tls_client *profile);

/* TLS to clients: secure.c */
struct mg_tls_serve {
  int32_t min_version, max_version; /* 12, 13, or 0 for the defaults */
  int32_t client_order;             /* 1: of suites of TLS 1.2, the client's first choice counts */
  int32_t resume_s;                 /* how long a session may be resumed; 0: not at all */
  const char *suites, *groups;      /* names of OpenSSL's, in order; empty: ours */
};
/* Has workers that are not started yet append secrets of their TLS connections to a file, with which
 * what was captured of them can be read. Below 0: it cannot be opened. */
int32_t mg_tls_log_keys(struct mg_vm *vm, const char *path);
/* A ClientHello that waits for a script: hello.c. Texts are borrowed, until the next call. */
struct mg_hello {
  struct mg_text sni; /* lower case; empty: none */
  struct mg_text ip;
  uint32_t port;
  int32_t service;              /* that the name's bytes are to go to; below 0: none */
  struct mg_snapshot *snapshot; /* that the service is of; null without one */
  uint32_t version;             /* the highest offered: 13, 12, … */
  uint32_t legacy_version;      /* 0x0303 for 1.2 and later */
  struct mg_text alpn;          /* each protocol behind a byte that is its length */
  struct mg_text suites, groups, signatures, versions; /* two bytes each, the higher first */
  struct mg_text points;
  uint32_t extension_count;
  uint16_t extensions[64]; /* in the order sent */
};
/* ERR_STALE: the client has left. */
int32_t mg_hello_get(struct mg_vm *vm, uint32_t number, struct mg_hello *out);
/* Goes on, with `certificate` (a reference is taken) in place of the name's own unless it is null. */
int32_t mg_hello_end(struct mg_vm *vm, uint32_t number, int32_t refuse,
                     struct mg_certificate *certificate);
/* Hands all bytes to an endpoint as they are. */
int32_t mg_hello_pass(struct mg_vm *vm, uint32_t number, const char *ip, uint32_t port);
/* For connections that begin from now on. On an error (no suite, no group is left) all stays. */
int32_t mg_tls_serve(struct mg_vm *vm, const struct mg_tls_serve *wanted);
/* Names of suites, or with `groups` 1 of groups, that mean nothing here go to `unknown`, with spaces
 * between. Below 0: nothing is left. */
int32_t mg_tls_names(const char *names, int32_t groups, char *unknown, uint32_t size);
/* cdef-end */

#pragma GCC visibility pop

#endif
