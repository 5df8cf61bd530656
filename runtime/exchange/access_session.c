/* SPDX-License-Identifier: Apache-2.0 */
/* Variables of the access log of TCP and UDP services: what each is of a connection or session. */
#include <stdio.h>
#include <string.h>

#include "exchange/access_format.h"

static const struct mg_text absent = { NULL, 0 };

static struct mg_text text_or_absent(const char *text)
{
  return text[0] ? (struct mg_text){ text, (uint32_t)strlen(text) } : absent;
}

static struct mg_text remote_addr(struct access_line *line)
{
  return text_or_absent(line->session->ip);
}

static struct mg_text remote_port(struct access_line *line)
{
  return access_number(line, line->session->port, 1);
}

static struct mg_text server_port(struct access_line *line)
{
  return access_number(line, line->session->local_port, 1);
}

static struct mg_text protocol(struct access_line *line)
{
  return text_or_absent(line->session->protocol);
}

static struct mg_text status(struct access_line *line)
{
  return access_number(line, line->session->status, 3);
}

static struct mg_text bytes_sent(struct access_line *line)
{
  return access_number(line, line->session->sent, 1);
}

static struct mg_text bytes_received(struct access_line *line)
{
  return access_number(line, line->session->received, 1);
}

static struct mg_text session_time(struct access_line *line)
{
  return access_seconds(line, line->session->seconds);
}

static struct mg_text upstream_addr(struct access_line *line)
{
  const struct access_session *session = line->session;
  if (!session->upstream_ip[0])
    return absent;
  const char *form = strchr(session->upstream_ip, ':') ? "[%s]:%u" : "%s:%u";
  (void)snprintf(line->scratch, sizeof(line->scratch), form, session->upstream_ip,
                 session->upstream_port);
  return text_or_absent(line->scratch);
}

/* X(name, function), as of access_variables.c. */
#define VARIABLE_LIST(X)                                                                           \
  X(bytes_received, bytes_received)                                                                \
  X(bytes_sent, bytes_sent)                                                                        \
  X(connection, access_nothing)                                                                    \
  X(hostname, access_hostname)                                                                     \
  X(msec, access_msec)                                                                             \
  X(pid, access_pid)                                                                               \
  X(protocol, protocol)                                                                            \
  X(remote_addr, remote_addr)                                                                      \
  X(remote_port, remote_port)                                                                      \
  X(server_addr, access_nothing)                                                                   \
  X(server_port, server_port)                                                                      \
  X(session_time, session_time)                                                                    \
  X(status, status)                                                                                \
  X(time_iso8601, access_time_iso8601)                                                             \
  X(time_local, access_time_local)                                                                 \
  X(upstream_addr, upstream_addr)

const struct access_named access_session_variables[] = {
#define X(name, fn) { #name, fn },
  VARIABLE_LIST(X)
#undef X
      { NULL, NULL },
};
