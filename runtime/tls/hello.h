/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a ClientHello (RFC 8446 4.1.2, RFC 5246 7.4.1.2) before mbedTLS does: what a client asks for
 * decides who it is answered by. A pure function of bytes; session.h holds them meanwhile. */
#ifndef TLS_HELLO_H
#define TLS_HELLO_H

#include <stddef.h>
#include <stdint.h>

enum {
  TLS_HELLO_MAX_BYTES = 16384, /* of the message: what mbedTLS takes */
  TLS_HELLO_EXTENSIONS = 64
};

#define TLS_HELLO_FAULTS(X)                                                                        \
  X(TLS_HELLO_NOT_TLS, -1, "the client does not speak TLS")                                        \
  X(TLS_HELLO_PLAIN_HTTP, -2, "the client speaks plain HTTP to a port of TLS")                     \
  X(TLS_HELLO_MALFORMED, -3, "the ClientHello is malformed")                                       \
  X(TLS_HELLO_TOO_LARGE, -4, "the ClientHello is too large")                                       \
  X(TLS_HELLO_BAD_NAME, -5, "the server name in the ClientHello is no name")

enum tls_hello_fault {
#define X(name, code, text) name = code,
  TLS_HELLO_FAULTS(X)
#undef X
};

/* A field of the message as it was sent, without its length. */
struct tls_slice {
  const unsigned char *at;
  uint32_t length; /* bytes */
};

/* Points into what was parsed. Lists hold two bytes an element, the higher first. */
struct tls_hello {
  struct tls_slice name;       /* the server's, of SNI; length 0: none */
  struct tls_slice session_id; /* legacy */
  struct tls_slice suites;
  struct tls_slice alpn;     /* elements have a length of one byte before them */
  struct tls_slice versions; /* supported_versions; length 0: see `version` */
  struct tls_slice groups;
  struct tls_slice signatures; /* signature_algorithms */
  struct tls_slice points;     /* ec_point_formats, a byte an element */
  uint16_t version;            /* legacy_version: 0x0303 for 1.2 and later */
  uint16_t record_version;
  uint16_t extensions[TLS_HELLO_EXTENSIONS]; /* their numbers, in the order sent */
  uint32_t extension_count;
};

/* Bytes that the records of the hello take; 0: more are needed; an enum tls_hello_fault. A message that
 * came in several records is put together in `scratch`, of TLS_HELLO_MAX_BYTES, and `hello` then
 * points there. */
int tls_hello_parse(const char *bytes, size_t length, unsigned char *scratch,
                    struct tls_hello *hello);
/* One line for people. */
const char *tls_hello_fault_text(int fault);
/* The highest version that is offered and known here: 13, 12, 11, 10, 3 (SSL), or 0. */
int tls_hello_version(const struct tls_hello *hello);

#endif
