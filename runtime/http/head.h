/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of messages, neutral to the protocol's version: the fields of a request or a response as
 * offsets into one text arena, so that heads can be copied and edited without copying text. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/compiler.h"

enum {
  HEAD_FIELDS_MAX = 256
};

/* A piece of the arena. */
struct span {
  uint32_t at;
  uint32_t len;
};

/* Field names that the gateway itself reads or writes, in the order of their lengths: field_identify
 * looks only at those of the right one. At most 31, for head.ids. */
#define FIELD_LIST(X)                                                                              \
  X(FIELD_TE, "te")                                                                                \
  X(FIELD_VIA, "via")                                                                              \
  X(FIELD_HOST, "host")                                                                            \
  X(FIELD_DATE, "date")                                                                            \
  X(FIELD_PROXY, "proxy")                                                                          \
  X(FIELD_SERVER, "server")                                                                        \
  X(FIELD_EXPECT, "expect")                                                                        \
  X(FIELD_TRAILER, "trailer")                                                                      \
  X(FIELD_UPGRADE, "upgrade")                                                                      \
  X(FIELD_X_SCHEME, "x-scheme")                                                                    \
  X(FIELD_X_REAL_IP, "x-real-ip")                                                                  \
  X(FIELD_CONNECTION, "connection")                                                                \
  X(FIELD_KEEP_ALIVE, "keep-alive")                                                                \
  X(FIELD_X_REQUEST_ID, "x-request-id")                                                            \
  X(FIELD_CONTENT_LENGTH, "content-length")                                                        \
  X(FIELD_X_FORWARDED_FOR, "x-forwarded-for")                                                      \
  X(FIELD_PROXY_CONNECTION, "proxy-connection")                                                    \
  X(FIELD_X_FORWARDED_HOST, "x-forwarded-host")                                                    \
  X(FIELD_X_FORWARDED_PORT, "x-forwarded-port")                                                    \
  X(FIELD_TRANSFER_ENCODING, "transfer-encoding")                                                  \
  X(FIELD_X_FORWARDED_PROTO, "x-forwarded-proto")                                                  \
  X(FIELD_X_FORWARDED_SCHEME, "x-forwarded-scheme")

enum field_id {
  FIELD_OTHER,
#define X(id, name) id,
  FIELD_LIST(X)
#undef X
  FIELD_ID_COUNT
};

struct field {
  struct span name; /* as received; compared without case */
  struct span value;
  uint32_t id; /* enum field_id */
};

struct head {
  struct field *fields; /* grows to HEAD_FIELDS_MAX; owned */
  uint32_t count;
  uint32_t cap;
  uint32_t ids;       /* bit 1 << id for each known field that is, or was, there */
  struct span method; /* request */
  struct span target; /* request: origin-form path and query, or `*` */
  struct span host;   /* request: host[:port] from the authority */
  uint32_t status;    /* response */
  uint32_t version;   /* 10, 11, 20 */
  int64_t body_len;   /* -1: not known in advance; 0: none */
  uint8_t chunked;
  uint8_t keep_alive; /* the peer keeps the connection open */
  uint8_t upgrade;    /* asks for, or answers with, another protocol */
  uint8_t expect_continue;
};

void head_fini(struct head *head);
/* Forgets the message, keeps the memory. */
void head_clear(struct head *head);
/* `to` gets all of `from`; both use the same arena. */
MG_MUST_USE int head_copy(struct head *to, const struct head *from);
/* Puts text into the arena. */
MG_MUST_USE int text_put(struct buf *arena, const char *text, size_t len, struct span *span);
/* Adds a field. ERR_HEADERS_TOO_LARGE past HEAD_FIELDS_MAX. */
MG_MUST_USE int head_add(struct head *head, struct buf *arena, const char *name, size_t name_len,
                         const char *value, size_t value_len);
/* As head_add, with text that the arena holds already. */
MG_MUST_USE int head_add_span(struct head *head, const struct buf *arena, struct span name,
                              struct span value);
/* Replaces all fields of that name by one. */
MG_MUST_USE int head_set(struct head *head, struct buf *arena, const char *name, size_t name_len,
                         const char *value, size_t value_len);
/* Returns how many went. */
int head_remove(struct head *head, const struct buf *arena, const char *name, size_t name_len);
int head_remove_id(struct head *head, enum field_id id);
/* The index of the next field of that name from `from` on, or -1. */
int head_find(const struct head *head, const struct buf *arena, const char *name, size_t name_len,
              uint32_t from);
int head_find_id(const struct head *head, enum field_id id, uint32_t from);
enum field_id field_identify(const char *name, size_t len);
/* ASCII, without case. */
int text_equal(const char *a, size_t a_len, const char *b, size_t b_len);
/* 1 when the comma-separated `value` names `token`, without case (RFC 9110 5.6.1). */
int text_has_token(const char *value, size_t len, const char *token);
/* Characters that a field's name may have (RFC 9110 5.6.2) and hardly any has. A CGI behind takes them
 * all for `-`, so that a client could pass one name off as another. */
enum name_oddity {
  NAME_UNDERSCORE = 1,
  NAME_OTHER = 2 /* neither letter nor digit, `-` or `_` */
};
/* Bits of enum name_oddity, of a name that is a token. */
unsigned text_name_oddities(const char *name, size_t len);
/* RFC 9110 5.6.2. */
int text_is_token(const char *text, size_t len);
/* RFC 9110 5.5: no control characters but the tab. */
int text_is_value(const char *text, size_t len);
/* Drops what RFC 9110 7.6.1 says must not be forwarded: Connection, what it names, and its kin. */
void head_strip_hop_by_hop(struct head *head, const struct buf *arena);
/* Drops from trailers all that FIELD_LIST knows: framing, routing and who the client is are matters of
 * heads alone (RFC 9110 6.5.1), and a backend may not keep the two apart. */
void head_strip_trailers(struct head *trailers);

static inline const char *span_text(const struct buf *arena, struct span span)
{
  return span.len > 0 ? arena->data + span.at : ""; /* an arena without text has no memory */
}

/* 1: the answer has no body, whatever its head says (RFC 9110 9.3.2). */
static inline int head_is_of_head(const struct head *head, const struct buf *arena)
{
  return head->method.len == 4 && memcmp(span_text(arena, head->method), "HEAD", 4) == 0;
}

#endif
