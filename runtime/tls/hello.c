/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/hello.h"

#include <string.h>

enum {
  RECORD_HEADER = 5,
  RECORD_MOST = 16384,
  CONTENT_HANDSHAKE = 22,
  CLIENT_HELLO = 1,
  MESSAGE_HEADER = 4,
  RANDOM_BYTES = 32,
  NAME_MOST = 255
};

enum {
  EXTENSION_NAME = 0,
  EXTENSION_GROUPS = 10,
  EXTENSION_POINTS = 11,
  EXTENSION_SIGNATURES = 13,
  EXTENSION_ALPN = 16,
  EXTENSION_VERSIONS = 43
};

static uint32_t number(const unsigned char *at, uint32_t bytes)
{
  uint32_t value = 0;
  for (uint32_t i = 0; i < bytes; i++)
    value = value << 8 | at[i];
  return value;
}

/* Takes `length` bytes from the front of *from. 0, or TLS_HELLO_MALFORMED. */
static int cut(struct tls_slice *from, uint32_t length, struct tls_slice *out)
{
  if (from->length < length)
    return TLS_HELLO_MALFORMED;
  *out = (struct tls_slice){ from->at, length };
  from->at += length;
  from->length -= length;
  return 0;
}

/* The same, for a vector that has its length in `prefix` bytes before it. */
static int cut_vector(struct tls_slice *from, uint32_t prefix, struct tls_slice *out)
{
  struct tls_slice length;
  if (cut(from, prefix, &length) < 0)
    return TLS_HELLO_MALFORMED;
  return cut(from, number(length.at, prefix), out);
}

/* An extension that is nothing but a vector of whole elements, at least one. */
static int whole_vector(struct tls_slice body, uint32_t prefix, uint32_t element,
                        struct tls_slice *out)
{
  if (cut_vector(&body, prefix, out) < 0 || body.length > 0 || out->length == 0)
    return TLS_HELLO_MALFORMED;
  return out->length % element == 0 ? 0 : TLS_HELLO_MALFORMED;
}

/* RFC 6066 3. An address is none of its names, but clients send them. */
static int take_name(struct tls_slice body, struct tls_slice *out)
{
  struct tls_slice list;
  struct tls_slice type;
  if (whole_vector(body, 2, 1, &list) < 0 || cut(&list, 1, &type) < 0 ||
      cut_vector(&list, 2, out) < 0 || list.length > 0)
    return TLS_HELLO_MALFORMED;
  if (type.at[0] != 0 || out->length == 0 || out->length > NAME_MOST)
    return TLS_HELLO_BAD_NAME;
  for (uint32_t i = 0; i < out->length; i++) {
    if (out->at[i] <= ' ' || out->at[i] >= 127)
      return TLS_HELLO_BAD_NAME;
  }
  return 0;
}

static int take_alpn(struct tls_slice body, struct tls_slice *out)
{
  if (whole_vector(body, 2, 1, out) < 0)
    return TLS_HELLO_MALFORMED;
  struct tls_slice rest = *out;
  struct tls_slice protocol;
  while (rest.length > 0) {
    if (cut_vector(&rest, 1, &protocol) < 0 || protocol.length == 0)
      return TLS_HELLO_MALFORMED;
  }
  return 0;
}

static int take_extension(struct tls_hello *hello, uint32_t id, struct tls_slice body)
{
  switch (id) {
  case EXTENSION_NAME:
    return take_name(body, &hello->name);
  case EXTENSION_GROUPS:
    return whole_vector(body, 2, 2, &hello->groups);
  case EXTENSION_POINTS:
    return whole_vector(body, 1, 1, &hello->points);
  case EXTENSION_SIGNATURES:
    return whole_vector(body, 2, 2, &hello->signatures);
  case EXTENSION_ALPN:
    return take_alpn(body, &hello->alpn);
  case EXTENSION_VERSIONS:
    return whole_vector(body, 1, 2, &hello->versions);
  default:
    return 0;
  }
}

static int take_extensions(struct tls_hello *hello, struct tls_slice rest)
{
  while (rest.length > 0) {
    struct tls_slice id;
    struct tls_slice body;
    if (cut(&rest, 2, &id) < 0 || cut_vector(&rest, 2, &body) < 0)
      return TLS_HELLO_MALFORMED;
    uint16_t value = (uint16_t)number(id.at, 2);
    for (uint32_t i = 0; i < hello->extension_count; i++) {
      if (hello->extensions[i] == value)
        return TLS_HELLO_MALFORMED; /* RFC 8446 4.2: not twice */
    }
    if (hello->extension_count == TLS_HELLO_EXTENSIONS)
      return TLS_HELLO_TOO_LARGE;
    hello->extensions[hello->extension_count++] = value;
    int err = take_extension(hello, value, body);
    if (err < 0)
      return err;
  }
  return 0;
}

static int take_message(struct tls_hello *hello, struct tls_slice rest)
{
  struct tls_slice fixed;
  struct tls_slice compression;
  if (cut(&rest, 2 + RANDOM_BYTES, &fixed) < 0 || cut_vector(&rest, 1, &hello->session_id) < 0 ||
      cut_vector(&rest, 2, &hello->suites) < 0 || cut_vector(&rest, 1, &compression) < 0)
    return TLS_HELLO_MALFORMED;
  hello->version = (uint16_t)number(fixed.at, 2);
  if (hello->session_id.length > 32 || hello->suites.length == 0 || hello->suites.length % 2 != 0 ||
      compression.length == 0)
    return TLS_HELLO_MALFORMED;
  if (rest.length == 0)
    return 0; /* before TLS 1.3 there may be no extensions at all */
  struct tls_slice extensions;
  if (cut_vector(&rest, 2, &extensions) < 0 || rest.length > 0)
    return TLS_HELLO_MALFORMED;
  return take_extensions(hello, extensions);
}

/* What a client says that does not know of TLS: at least these are worth their own text. */
static int judge_first_bytes(const char *bytes, size_t length)
{
  static const char *const methods[] = { "GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "PRI " };
  for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
    size_t size = strlen(methods[i]);
    if (memcmp(bytes, methods[i], length < size ? length : size) == 0)
      return length < size ? 0 : TLS_HELLO_PLAIN_HTTP;
  }
  return TLS_HELLO_NOT_TLS;
}

/* Where the next record of the hello is: its content's length, 0 when more bytes are needed. */
static int next_record(const unsigned char *bytes, size_t left)
{
  if (left > 0 && bytes[0] != CONTENT_HANDSHAKE)
    return TLS_HELLO_MALFORMED;
  if (left > 1 && bytes[1] != 3)
    return TLS_HELLO_NOT_TLS;
  if (left < RECORD_HEADER)
    return 0;
  uint32_t content = number(bytes + 3, 2);
  if (content == 0 || content > RECORD_MOST)
    return TLS_HELLO_MALFORMED;
  return left - RECORD_HEADER < content ? 0 : (int)content;
}

/* Length of the message whose first bytes are these, once they tell. */
static int message_length(const unsigned char *bytes, size_t length)
{
  if (length > 0 && bytes[0] != CLIENT_HELLO)
    return TLS_HELLO_MALFORMED;
  if (length < MESSAGE_HEADER)
    return 0;
  uint32_t body = number(bytes + 1, 3);
  return body > TLS_HELLO_MAX_BYTES - MESSAGE_HEADER ? TLS_HELLO_TOO_LARGE
                                                     : (int)(body + MESSAGE_HEADER);
}

/* Puts the records' contents together. The message's length is in *whole once it is known. */
static int gather(const unsigned char *bytes, size_t length, unsigned char *scratch, int *whole)
{
  size_t used = 0;
  size_t have = 0;
  *whole = 0;
  while (*whole == 0 || have < (size_t)*whole) {
    int content = next_record(bytes + used, length - used);
    if (content <= 0)
      return content;
    size_t taken = (size_t)content;
    if (have + taken > TLS_HELLO_MAX_BYTES)
      return TLS_HELLO_TOO_LARGE;
    memcpy(scratch + have, bytes + used + RECORD_HEADER, taken);
    have += taken;
    used += RECORD_HEADER + taken;
    *whole = message_length(scratch, have);
    if (*whole < 0)
      return *whole;
  }
  /* RFC 8446 5.1: the key may not change within a record, and what follows waits for an answer. */
  return have == (size_t)*whole ? (int)used : TLS_HELLO_MALFORMED;
}

int tls_hello_parse(const char *bytes, size_t length, unsigned char *scratch,
                    struct tls_hello *hello)
{
  const unsigned char *raw = (const unsigned char *)bytes;
  memset(hello, 0, sizeof(*hello));
  if (length > 0 && raw[0] != CONTENT_HANDSHAKE)
    return judge_first_bytes(bytes, length);
  int content = next_record(raw, length);
  if (content < 0)
    return content;
  /* A message that cannot be is refused before all of it has come. */
  size_t here = length > RECORD_HEADER ? length - RECORD_HEADER : 0;
  if (content > 0 && here > (size_t)content)
    here = (size_t)content;
  int whole = message_length(raw + RECORD_HEADER, here);
  if (content == 0 || whole < 0)
    return whole < 0 ? whole : 0;
  int used = RECORD_HEADER + content;
  const unsigned char *message = raw + RECORD_HEADER;
  if (content < MESSAGE_HEADER || whole != content) {
    message = scratch;
    used = gather(raw, length, scratch, &whole);
  }
  if (used <= 0)
    return used;
  hello->record_version = (uint16_t)number(raw + 1, 2);
  struct tls_slice body = { message + MESSAGE_HEADER, (uint32_t)whole - MESSAGE_HEADER };
  int err = take_message(hello, body);
  return err < 0 ? err : used;
}

const char *tls_hello_fault_text(int fault)
{
  switch (fault) {
#define X(name, code, text)                                                                        \
  case name:                                                                                       \
    return text;
    TLS_HELLO_FAULTS(X)
#undef X
  default:
    return "";
  }
}

static int known_version(uint32_t wire)
{
  if (wire == 0x0300)
    return 3;
  return wire >= 0x0301 && wire <= 0x0304 ? 9 + (int)(wire & 0xff) : 0;
}

int tls_hello_version(const struct tls_hello *hello)
{
  if (hello->versions.length == 0)
    return known_version(hello->version > 0x0303 ? 0x0303 : hello->version);
  int best = 0;
  for (uint32_t i = 0; i + 1 < hello->versions.length; i += 2) {
    int version = known_version(number(hello->versions.at + i, 2));
    best = version > best ? version : best;
  }
  return best;
}
