/* SPDX-License-Identifier: Apache-2.0 */
#include "sessions.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "net/cidr.h"
#include "net/datagrams.h"
#include "net/port.h"
#include "ports.h"

enum {
  BUCKETS = 4096,
  LEAVING_MS = 5000, /* what an answer may still take; who asked gives up about then */
  STATUS_DONE = 200,
  STATUS_UNREACHABLE = 502
};

struct sessions {
  struct worker *worker;
  struct list ports; /* of struct udp_port */
  struct list all;   /* the one that was busy last comes first */
  uint32_t count;
  uint32_t seed;
  struct session *buckets[BUCKETS];
};

/* Ends when it is LEAVING and has no session any more. */
struct udp_port {
  struct list node; /* of owner->ports */
  struct sessions *owner;
  struct mg_port *port; /* counted */
  struct datagrams *socket;
  uint32_t sessions;
  uint8_t leaving;
};

/* In the table until it closes; freed from the loop. */
struct session {
  uv_udp_t socket; /* connected to the endpoint */
  struct sessions *owner;
  struct list node;     /* of owner->all */
  struct session *next; /* of its bucket */
  struct udp_port *port;
  struct datagram_path path;
  struct deadline deadline;
  struct mg_place to;
  uint64_t started_ms;
  uint64_t requests;
  uint64_t responses;
  uint64_t received; /* bytes */
  uint64_t sent;
};

static struct stats *stats_of(const struct sessions *self)
{
  return &self->worker->exchanges.stats.counts;
}

/* the table */

static struct session **bucket_of(struct sessions *self, const struct udp_port *port,
                                  const struct datagram_path *path)
{
  uint32_t seed = self->seed ^ port_number(port->port);
  return &self->buckets[hash_bytes((const char *)path, sizeof(*path), seed) % BUCKETS];
}

static struct session *find(struct sessions *self, const struct udp_port *port,
                            const struct datagram_path *path)
{
  struct session *at = *bucket_of(self, port, path);
  while (at && (at->port != port || memcmp(&at->path, path, sizeof(*path)) != 0))
    at = at->next;
  return at;
}

static void put(struct session *session)
{
  struct sessions *self = session->owner;
  struct session **bucket = bucket_of(self, session->port, &session->path);
  session->next = *bucket;
  *bucket = session;
  list_push(&self->all, &session->node);
  session->port->sessions++;
  stat_set(stats_of(self), STAT_STREAMS_UDP_OPEN, ++self->count);
}

static void take_out(struct session *session)
{
  struct sessions *self = session->owner;
  struct session **at = bucket_of(self, session->port, &session->path);
  while (*at != session)
    at = &(*at)->next;
  *at = session->next;
  list_remove(&session->node);
  stat_set(stats_of(self), STAT_STREAMS_UDP_OPEN, --self->count);
}

/* the end */

static void on_closed(uv_handle_t *handle)
{
  free(handle->data);
}

static void client_text(const struct datagram_path *path, char ip[INET6_ADDRSTRLEN], uint16_t *port)
{
  struct sockaddr_storage addr = { 0 };
  memcpy(&addr, &path->client, sizeof(path->client));
  address_text(&addr, ip, INET6_ADDRSTRLEN, port);
}

/* Its line in the log, and what it adds to the counters. `session` need not have been made known. */
static void account(const struct session *session, uint16_t status)
{
  struct worker *worker = session->owner->worker;
  struct stats *stats = stats_of(session->owner);
  char ip[INET6_ADDRSTRLEN];
  struct access_session line = { .protocol = "UDP",
                                 .ip = ip,
                                 .upstream_ip = session->to.ip,
                                 .upstream_port = session->to.port,
                                 .local_port = port_number(session->port->port),
                                 .status = status,
                                 .received = session->received,
                                 .sent = session->sent };
  client_text(&session->path, ip, &line.port);
  line.seconds = (double)(uv_now(&worker->uv) - session->started_ms) / 1000;
  access_log_write_session(&worker->stream_log, &line);
  stat_add(stats, STAT_STREAMS_UDP_IN, session->received);
  stat_add(stats, STAT_STREAMS_UDP_OUT, session->sent);
  if (status != STATUS_DONE)
    stat_add(stats, STAT_STREAMS_UDP_FAILED, 1);
}

/* Before it was made known, or for good. */
static void discard(struct session *session)
{
  deadline_remove(&session->deadline);
  uv_close((uv_handle_t *)&session->socket, on_closed);
}

static void close_udp_port(struct udp_port *port)
{
  list_remove(&port->node);
  if (port->socket)
    datagrams_close(port->socket);
  port_leave(port->port);
  port_unref(port->port);
  free(port);
}

/* May end: the session's port. */
static void end(struct session *session, uint16_t status)
{
  struct udp_port *port = session->port;
  take_out(session);
  account(session, status);
  discard(session);
  if (--port->sessions == 0 && port->leaving)
    close_udp_port(port);
}

static void on_deadline(struct deadline *deadline)
{
  end(LIST_ENTRY(deadline, struct session, deadline), STATUS_DONE);
}

static void touch(struct session *session)
{
  struct worker *worker = session->owner->worker;
  list_remove(&session->node);
  list_push(&session->owner->all, &session->node);
  if (!session->port->leaving)
    deadline_set(&worker->loop.deadlines, &session->deadline, worker->vm.settings.stream_ms);
}

static int is_answered(const struct session *session)
{
  uint64_t expected = session->owner->worker->vm.settings.stream_responses;
  return session->responses >= session->requests * expected;
}

/* An endpoint that is not there (ICMP): only one that has never answered was not reached. */
static void fail(struct session *session, int err)
{
  char ip[INET6_ADDRSTRLEN];
  uint16_t port;
  client_text(&session->path, ip, &port);
  log_warn("stream_failed", "protocol", "udp", "port", LOG_NUM(port_number(session->port->port)),
           "client", ip, "endpoint", session->to.ip, "error", err_text(err));
  end(session, session->responses > 0 ? STATUS_DONE : STATUS_UNREACHABLE);
}

/* datagrams of the endpoint */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
  const struct session *session = handle->data;
  (void)suggested;
  *buf = session->owner->worker->loop.read_buf;
}

static void on_answer(uv_udp_t *socket, ssize_t length, const uv_buf_t *buf,
                      const struct sockaddr *from, unsigned flags)
{
  struct session *session = socket->data;
  (void)flags;
  if (uv_is_closing((uv_handle_t *)socket) || (length == 0 && !from))
    return;
  if (length < 0) {
    fail(session, (int)length);
    return;
  }
  session->responses++;
  if (datagrams_send(session->port->socket, &session->path, buf->base, (size_t)length) < 0)
    stat_add(stats_of(session->owner), STAT_DATAGRAMS_DROPPED, 1);
  else
    session->sent += (uint64_t)length;
  if (is_answered(session))
    end(session, STATUS_DONE);
  else
    touch(session);
}

/* datagrams of the client */

/* Below 0: the endpoint is not there. */
static int forward(struct session *session, char *data, size_t length)
{
  uv_buf_t bytes = uv_buf_init(data, (unsigned)length);
  int err = uv_udp_try_send(&session->socket, &bytes, 1, NULL);
  if (err == UV_ECONNREFUSED || err == UV_EHOSTUNREACH || err == UV_ENETUNREACH)
    return err;
  session->requests++;
  if (err < 0)
    stat_add(stats_of(session->owner), STAT_DATAGRAMS_DROPPED, 1);
  else
    session->received += length;
  if (is_answered(session)) /* none is expected */
    end(session, STATUS_DONE);
  else
    touch(session);
  return 0;
}

static void make_room(struct sessions *self)
{
  struct worker *worker = self->worker;
  uint32_t most = worker->vm.settings.udp_sessions;
  if (list_empty(&self->all) || self->count < most)
    return;
  struct session *oldest = LIST_ENTRY(self->all.prev, struct session, node);
  char ip[INET6_ADDRSTRLEN];
  uint16_t port;
  client_text(&oldest->path, ip, &port);
  stats_limit(stats_of(self), LIMIT_UDP_SESSIONS);
  log_warn("limit_exceeded", "limit", limit_name(LIMIT_UDP_SESSIONS), "client", ip);
  end(oldest, STATUS_DONE);
}

static int connect_to(struct session *session, const struct sockaddr_storage *to)
{
  uv_udp_t *socket = &session->socket;
  int err = uv_udp_connect(socket, (const struct sockaddr *)to);
  return err < 0 ? err : uv_udp_recv_start(socket, on_alloc, on_answer);
}

static int make(struct session **out, struct sessions *self, const struct sockaddr_storage *to)
{
  struct worker *worker = self->worker;
  struct session *session = calloc(1, sizeof(*session));
  if (!session)
    return UV_ENOMEM;
  int err = uv_udp_init(&worker->uv, &session->socket);
  if (err < 0) {
    free(session);
    return err;
  }
  session->socket.data = session;
  session->owner = self;
  session->started_ms = uv_now(&worker->uv);
  list_init(&session->node);
  deadline_add(&worker->loop.deadlines, &session->deadline, on_deadline);
  err = connect_to(session, to);
  if (err < 0)
    discard(session);
  else
    *out = session;
  return err;
}

/* With the endpoint that comes next. Below 0: there is none, or it could not be had. */
static int begin(struct sessions *self, struct udp_port *port, const struct datagram_path *path,
                 struct mg_choice *choice, struct session **out)
{
  struct sockaddr_storage to;
  int err = ports_choose(self->worker, choice, &to);
  if (err < 0)
    return err;
  make_room(self);
  err = make(out, self, &to);
  if (err < 0)
    return err;
  struct session *session = *out;
  session->port = port;
  session->path = *path;
  session->to = choice->chosen;
  put(session);
  stat_add(stats_of(self), STAT_STREAMS_UDP, 1);
  return 0;
}

/* No session came about. */
static void turn_away(struct sessions *self, struct udp_port *port,
                      const struct datagram_path *path, int err)
{
  const struct session none = {
    .owner = self, .port = port, .path = *path, .started_ms = uv_now(&self->worker->uv)
  };
  log_warn("stream_failed", "protocol", "udp", "port", LOG_NUM(port_number(port->port)), "error",
           err_text(err));
  stat_add(stats_of(self), STAT_DATAGRAMS_DROPPED, 1);
  account(&none, STATUS_UNREACHABLE);
}

/* A client that is not known yet. */
static void welcome(struct sessions *self, struct udp_port *port, const struct datagram_path *path,
                    char *data, size_t length)
{
  struct mg_choice choice;
  struct session *session;
  uint64_t started_ms = uv_now(&self->worker->uv);
  int err = ERR_NO_ENDPOINT;
  int again = ports_choice_init(self->worker, &choice, SOCK_DGRAM, port_number(port->port)) != NULL;
  while (again) {
    err = begin(self, port, path, &choice, &session);
    if (err == 0) {
      err = forward(session, data, length);
      if (err < 0)
        fail(session, err);
    }
    again = err < 0 && choice.chosen.ip[0] && ports_choose_again(self->worker, &choice, started_ms);
  }
  ports_choice_fini(&choice);
  if (err < 0)
    turn_away(self, port, path, err);
}

static struct udp_port *successor_of(const struct udp_port *port)
{
  const struct list *ports = &port->owner->ports;
  for (struct list *at = ports->next; at != ports; at = at->next) {
    struct udp_port *other = LIST_ENTRY(at, struct udp_port, node);
    if (!other->leaving && port_number(other->port) == port_number(port->port))
      return other;
  }
  return NULL;
}

static void on_datagram(struct datagrams *from, const struct datagram_path *path, char *data,
                        size_t length)
{
  struct udp_port *port = datagrams_owner(from);
  struct sessions *self = port->owner;
  if (port->leaving)
    port = successor_of(port);
  if (!port) {
    stat_add(stats_of(self), STAT_DATAGRAMS_DROPPED, 1);
    return;
  }
  struct session *session = find(self, port, path);
  if (session) {
    int err = forward(session, data, length);
    if (err == 0)
      return;
    fail(session, err);
    if (self->worker->vm.settings.stream_tries == 1)
      return;
  }
  welcome(self, port, path, data, length);
}

/* open and close */

int sessions_new(struct sessions **out, struct worker *worker)
{
  struct sessions *self = calloc(1, sizeof(*self));
  if (!self)
    return UV_ENOMEM;
  self->worker = worker;
  self->seed = (uint32_t)uv_hrtime(); /* clients shall not know what falls into one bucket */
  list_init(&self->ports);
  list_init(&self->all);
  *out = self;
  return 0;
}

void sessions_free(struct sessions *self)
{
  free(self);
}

int sessions_open_port(struct sessions *self, struct udp_port **out, int fd, struct mg_port *port)
{
  struct worker *worker = self->worker;
  struct udp_port *made = calloc(1, sizeof(*made));
  if (!made) {
    close(fd);
    port_leave(port);
    return UV_ENOMEM;
  }
  made->owner = self;
  made->port = port_ref(port);
  list_push(&self->ports, &made->node);
  int err =
      datagrams_open(&made->socket, &worker->uv, fd, &worker->loop.read_buf, on_datagram, made);
  if (err < 0)
    close_udp_port(made);
  else
    *out = made;
  return err;
}

void sessions_close_port(struct udp_port *port)
{
  struct sessions *self = port->owner;
  port->leaving = 1;
  for (struct list *at = self->all.next; at != &self->all; at = at->next) {
    struct session *session = LIST_ENTRY(at, struct session, node);
    if (session->port == port)
      deadline_set(&self->worker->loop.deadlines, &session->deadline, LEAVING_MS);
  }
  if (port->sessions == 0)
    close_udp_port(port);
}

int sessions_are_over(const struct sessions *self)
{
  return !self || list_empty(&self->all);
}

void sessions_end(struct sessions *self)
{
  while (!sessions_are_over(self))
    end(LIST_ENTRY(self->all.next, struct session, node), STATUS_DONE);
}
