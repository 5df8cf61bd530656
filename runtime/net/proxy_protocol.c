/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy_protocol.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* Version 1: "PROXY TCP6 " and the longest of all else it may hold, with CRLF. */
enum {
  LINE_MAX_BYTES = PROXY_PROTOCOL_LINE_BYTES - 1
};

enum {
  V2_HEAD_BYTES = 16,
  V2_LOCAL = 0x20,
  V2_PROXY = 0x21,
  V2_TCP4 = 0x11,
  V2_TCP6 = 0x21
};

static const char v2_signature[12] = { '\r', '\n', '\r', '\n', 0,   '\r',
                                       '\n', 'Q',  'U',  'I',  'T', '\n' };

/* One word of the line, ended by a space or the line's end. */
struct word {
  const char *text;
  size_t len;
};

static struct word next_word(const char **at, const char *end)
{
  struct word word = { .text = *at };
  while (*at < end && **at != ' ')
    (*at)++;
  word.len = (size_t)(*at - word.text);
  if (*at < end)
    (*at)++;
  return word;
}

static int word_is(struct word word, const char *text)
{
  return word.len == strlen(text) && memcmp(word.text, text, word.len) == 0;
}

static int read_port(struct word word, in_port_t *port)
{
  uint32_t value = 0;
  if (word.len == 0 || word.len > 5 || (word.len > 1 && word.text[0] == '0'))
    return ERR_BAD_PROXY_HEADER;
  for (size_t i = 0; i < word.len; i++) {
    if (word.text[i] < '0' || word.text[i] > '9')
      return ERR_BAD_PROXY_HEADER;
    value = value * 10 + (uint32_t)(word.text[i] - '0');
  }
  if (value > UINT16_MAX)
    return ERR_BAD_PROXY_HEADER;
  *port = htons((uint16_t)value);
  return 0;
}

static int read_address(int family, struct word host, struct word port,
                        union proxy_address *address)
{
  char text[INET6_ADDRSTRLEN];
  if (host.len >= sizeof(text))
    return ERR_BAD_PROXY_HEADER;
  memcpy(text, host.text, host.len);
  text[host.len] = 0;
  memset(address, 0, sizeof(*address));
  address->any.sa_family = (sa_family_t)family;
  void *into = family == AF_INET ? (void *)&address->v4.sin_addr : (void *)&address->v6.sin6_addr;
  if (strlen(text) != host.len || inet_pton(family, text, into) != 1)
    return ERR_BAD_PROXY_HEADER;
  return read_port(port, family == AF_INET ? &address->v4.sin_port : &address->v6.sin6_port);
}

/* "PROXY TCP4 source destination port port"; behind UNKNOWN anything may stand. */
static int read_line(const char *at, const char *end, struct proxy_header *header)
{
  struct word family = next_word(&at, end);
  if (word_is(family, "UNKNOWN"))
    return 0;
  int is_v4 = word_is(family, "TCP4");
  if (!is_v4 && !word_is(family, "TCP6"))
    return ERR_BAD_PROXY_HEADER;
  struct word words[4];
  for (size_t i = 0; i < 4; i++)
    words[i] = next_word(&at, end);
  if (at != end || end[-1] == ' ')
    return ERR_BAD_PROXY_HEADER;
  int kind = is_v4 ? AF_INET : AF_INET6;
  int err = read_address(kind, words[0], words[2], &header->source);
  if (err == 0)
    err = read_address(kind, words[1], words[3], &header->destination);
  header->has_addresses = err == 0;
  return err;
}

static int parse_v1(const char *data, size_t len, struct proxy_header *header)
{
  size_t seen = len < LINE_MAX_BYTES ? len : LINE_MAX_BYTES;
  const char *cr = memchr(data, '\r', seen);
  if (!cr)
    return len < LINE_MAX_BYTES ? 0 : ERR_BAD_PROXY_HEADER;
  size_t line = (size_t)(cr - data);
  if (line + 1 == len)
    return line + 2 <= LINE_MAX_BYTES ? 0 : ERR_BAD_PROXY_HEADER;
  if (line + 2 > LINE_MAX_BYTES || cr[1] != '\n')
    return ERR_BAD_PROXY_HEADER;
  int err = read_line(data + 6, cr, header);
  return err < 0 ? err : (int)line + 2;
}

static void read_v2_addresses(const uint8_t *at, int is_v4, struct proxy_header *header)
{
  memset(&header->source, 0, sizeof(header->source));
  memset(&header->destination, 0, sizeof(header->destination));
  if (is_v4) {
    header->source.v4.sin_family = header->destination.v4.sin_family = AF_INET;
    memcpy(&header->source.v4.sin_addr, at, 4);
    memcpy(&header->destination.v4.sin_addr, at + 4, 4);
    memcpy(&header->source.v4.sin_port, at + 8, 2);
    memcpy(&header->destination.v4.sin_port, at + 10, 2);
  } else {
    header->source.v6.sin6_family = header->destination.v6.sin6_family = AF_INET6;
    memcpy(&header->source.v6.sin6_addr, at, 16);
    memcpy(&header->destination.v6.sin6_addr, at + 16, 16);
    memcpy(&header->source.v6.sin6_port, at + 32, 2);
    memcpy(&header->destination.v6.sin6_port, at + 34, 2);
  }
  header->has_addresses = 1;
}

/* The TLVs behind the addresses are skipped: their length is part of the header's. */
static int parse_v2(const char *data, size_t len, struct proxy_header *header)
{
  const uint8_t *bytes = (const uint8_t *)data;
  if (len > 12 && bytes[12] != V2_LOCAL && bytes[12] != V2_PROXY)
    return ERR_BAD_PROXY_HEADER;
  if (len < V2_HEAD_BYTES)
    return 0;
  uint32_t rest = (uint32_t)bytes[14] << 8 | bytes[15];
  uint32_t total = V2_HEAD_BYTES + rest;
  int is_v4 = bytes[13] == V2_TCP4;
  int is_v6 = bytes[13] == V2_TCP6;
  /* Transports and families that are not these may be used; they say nothing about a TCP client. */
  if (bytes[13] >> 4 > 3 || (bytes[13] & 15) > 2 || total > PROXY_PROTOCOL_MAX_BYTES)
    return ERR_BAD_PROXY_HEADER;
  int with_addresses = bytes[12] == V2_PROXY && (is_v4 || is_v6);
  if (with_addresses && rest < (is_v4 ? 12u : 36u))
    return ERR_BAD_PROXY_HEADER;
  if (len < total)
    return 0;
  if (with_addresses)
    read_v2_addresses(bytes + V2_HEAD_BYTES, is_v4, header);
  return (int)total;
}

int proxy_protocol_parse(const char *data, size_t len, struct proxy_header *header)
{
  memset(header, 0, sizeof(*header));
  if (len == 0)
    return 0;
  size_t seen = len < sizeof(v2_signature) ? len : sizeof(v2_signature);
  if (memcmp(data, v2_signature, seen) == 0)
    return seen < sizeof(v2_signature) ? 0 : parse_v2(data, len, header);
  seen = len < 6 ? len : 6;
  if (memcmp(data, "PROXY ", seen) != 0)
    return ERR_BAD_PROXY_HEADER;
  return seen < 6 ? 0 : parse_v1(data, len, header);
}

size_t proxy_protocol_write(struct proxy_end source, struct proxy_end destination,
                            char line[PROXY_PROTOCOL_LINE_BYTES])
{
  int is_v6 = strchr(source.ip, ':') != NULL;
  if (source.ip[0] && destination.ip[0] && is_v6 == (strchr(destination.ip, ':') != NULL)) {
    int len = snprintf(line, PROXY_PROTOCOL_LINE_BYTES, "PROXY TCP%d %s %s %u %u\r\n",
                       is_v6 ? 6 : 4, source.ip, destination.ip, source.port, destination.port);
    if (len < PROXY_PROTOCOL_LINE_BYTES)
      return (size_t)len;
  }
  return (size_t)snprintf(line, PROXY_PROTOCOL_LINE_BYTES, "PROXY UNKNOWN\r\n");
}
