/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and histograms of one thread (DESIGN D18): written by it alone, read by any other at any
 * time, so a plain load and store do and nothing is locked. The lists below are all there is: names,
 * labels and help of the page /metrics are made from them. */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include <stdint.h>

enum stat_kind {
  STAT_COUNTER,
  STAT_GAUGE,
  STAT_BUCKET, /* of a histogram: how many fell into this bucket alone */
  STAT_SUM     /* of a histogram: the sum of what was observed */
};

/* X(id, kind, name, labels, help). Entries of one name follow each other; the first has the help. The
 * classes of status are in order: STAT_ANSWERS + status / 100. */
#define STAT_LIST(X)                                                                               \
  X(STAT_ANSWERS, COUNTER, "requests_total", "code_class=\"none\"", "Requests that have ended.")   \
  X(STAT_ANSWERS_1, COUNTER, "requests_total", "code_class=\"1xx\"", "")                           \
  X(STAT_ANSWERS_2, COUNTER, "requests_total", "code_class=\"2xx\"", "")                           \
  X(STAT_ANSWERS_3, COUNTER, "requests_total", "code_class=\"3xx\"", "")                           \
  X(STAT_ANSWERS_4, COUNTER, "requests_total", "code_class=\"4xx\"", "")                           \
  X(STAT_ANSWERS_5, COUNTER, "requests_total", "code_class=\"5xx\"", "")                           \
  X(STAT_HEADS, GAUGE, "request_heads", "", "Requests whose head is not whole.")                   \
  X(STAT_IN_FLIGHT, GAUGE, "requests_in_flight", "", "Requests that have begun and not ended.")    \
  X(STAT_CLIENTS_GONE, COUNTER, "client_aborts_total", "", "Requests that the client broke off.")  \
  X(STAT_BYTES_IN, COUNTER, "received_bytes_total", "", "Bytes of request bodies.")                \
  X(STAT_BYTES_OUT, COUNTER, "sent_bytes_total", "", "Bytes of response bodies.")                  \
  X(STAT_CONNECTIONS, GAUGE, "connections", "state=\"open\"", "Connections of clients.")           \
  X(STAT_ACCEPTED, COUNTER, "connections_accepted_total", "", "Connections that were accepted.")   \
  X(STAT_REFUSED, COUNTER, "connections_refused_total", "", "Connections that were turned away.")  \
  X(STAT_TLS_DONE, COUNTER, "tls_handshakes_total", "result=\"done\"",                             \
    "TLS handshakes with clients.")                                                                \
  X(STAT_TLS_FAILED, COUNTER, "tls_handshakes_total", "result=\"failed\"", "")                     \
  X(STAT_ATTEMPTS, COUNTER, "upstream_attempts_total", "", "Attempts at an endpoint.")             \
  X(STAT_RETRIES, COUNTER, "upstream_retries_total", "", "Attempts that followed another.")        \
  X(STAT_CONNECTS, COUNTER, "upstream_connects_total", "", "Connections opened to endpoints.")     \
  X(STAT_UPSTREAM_BUSY, GAUGE, "upstream_connections", "state=\"busy\"",                           \
    "Connections to endpoints.")                                                                   \
  X(STAT_UPSTREAM_IDLE, GAUGE, "upstream_connections", "state=\"idle\"", "")                       \
  X(STAT_FAIL_CONNECT, COUNTER, "upstream_errors_total", "reason=\"connect\"",                     \
    "Attempts that failed.")                                                                       \
  X(STAT_FAIL_TIMEOUT, COUNTER, "upstream_errors_total", "reason=\"timeout\"", "")                 \
  X(STAT_FAIL_CLOSED, COUNTER, "upstream_errors_total", "reason=\"closed\"", "")                   \
  X(STAT_FAIL_PROTOCOL, COUNTER, "upstream_errors_total", "reason=\"protocol\"", "")               \
  X(STAT_FAIL_TLS, COUNTER, "upstream_errors_total", "reason=\"tls\"", "")                         \
  X(STAT_FAIL_OTHER, COUNTER, "upstream_errors_total", "reason=\"other\"", "")                     \
  X(STAT_STREAMS_TCP, COUNTER, "stream_sessions_total", "protocol=\"tcp\"",                        \
    "Connections of TCP services and sessions of UDP services.")                                   \
  X(STAT_STREAMS_UDP, COUNTER, "stream_sessions_total", "protocol=\"udp\"", "")                    \
  X(STAT_STREAMS_TCP_OPEN, GAUGE, "stream_sessions", "protocol=\"tcp\"", "Those that are open.")   \
  X(STAT_STREAMS_UDP_OPEN, GAUGE, "stream_sessions", "protocol=\"udp\"", "")                       \
  X(STAT_STREAMS_TCP_FAILED, COUNTER, "stream_sessions_failed_total", "protocol=\"tcp\"",          \
    "Those that reached no endpoint.")                                                             \
  X(STAT_STREAMS_UDP_FAILED, COUNTER, "stream_sessions_failed_total", "protocol=\"udp\"", "")      \
  X(STAT_STREAMS_TCP_IN, COUNTER, "stream_received_bytes_total", "protocol=\"tcp\"",               \
    "Bytes of their clients.")                                                                     \
  X(STAT_STREAMS_UDP_IN, COUNTER, "stream_received_bytes_total", "protocol=\"udp\"", "")           \
  X(STAT_STREAMS_TCP_OUT, COUNTER, "stream_sent_bytes_total", "protocol=\"tcp\"",                  \
    "Bytes to their clients.")                                                                     \
  X(STAT_STREAMS_UDP_OUT, COUNTER, "stream_sent_bytes_total", "protocol=\"udp\"", "")              \
  X(STAT_STREAM_RETRIES, COUNTER, "stream_retries_total", "",                                      \
    "Attempts at an endpoint of theirs that followed another.")                                    \
  X(STAT_DATAGRAMS_DROPPED, COUNTER, "stream_datagrams_dropped_total", "",                         \
    "Datagrams for which there was no session, or no room in a socket.")                           \
  X(STAT_LUA_HEAP, GAUGE, "lua_heap_bytes", "", "Memory of the scripts' states in the workers.")   \
  X(STAT_LOG_DROPPED, COUNTER, "access_log_dropped_total", "",                                     \
    "Lines of the access log that nobody took in time.")

/* X(id, setting): limits that a client or an endpoint can go over, by the name of the setting. */
#define LIMIT_LIST(X)                                                                              \
  X(LIMIT_NONE, "none")                                                                            \
  X(LIMIT_CONNECTIONS, "max-worker-connections")                                                   \
  X(LIMIT_PROXY_TIME, "proxy-protocol-header-timeout")                                             \
  X(LIMIT_HANDSHAKE_TIME, "tls-handshake-timeout")                                                 \
  X(LIMIT_TARGET, "large-client-header-buffers")                                                   \
  X(LIMIT_HEADERS, "max-header-size")                                                              \
  X(LIMIT_HEADER_TIME, "client-header-timeout")                                                    \
  X(LIMIT_BODY_TIME, "client-body-timeout")                                                        \
  X(LIMIT_BODY, "proxy-body-size")                                                                 \
  X(LIMIT_CONNECT_TIME, "proxy-connect-timeout")                                                   \
  X(LIMIT_READ_TIME, "proxy-read-timeout")                                                         \
  X(LIMIT_WRITE_TIME, "proxy-send-timeout")                                                        \
  X(LIMIT_ANSWER_HEADERS, "proxy-buffer-size")                                                     \
  X(LIMIT_PATTERN, "pattern-effort")                                                               \
  X(LIMIT_HOOK_TIME, "hook-deadline")                                                              \
  X(LIMIT_SCRIPT_TIME, "script-time")                                                              \
  X(LIMIT_SEND_TIME, "client-send-timeout")                                                        \
  X(LIMIT_H2_STREAMS, "http2-max-concurrent-streams")                                              \
  X(LIMIT_H2_RESETS, "http2-max-resets")                                                           \
  X(LIMIT_H2_CONTROL, "http2-max-control-frames")                                                  \
  X(LIMIT_H2_CONTINUATIONS, "http2-max-continuations")                                             \
  X(LIMIT_RATE, "rate-limit")                                                                      \
  X(LIMIT_CONCURRENCY, "concurrency-limit")                                                        \
  X(LIMIT_UDP_SESSIONS, "max-worker-udp-sessions")                                                 \
  X(LIMIT_SPANS, "otel-max-queuesize")                                                             \
  X(LIMIT_SERIES, "max-metric-series")

/* X(id, name, help): durations in seconds. */
#define HISTOGRAM_LIST(X)                                                                          \
  X(HISTOGRAM_REQUEST, "request_duration_seconds", "From the first byte of a request to its end.") \
  X(HISTOGRAM_UPSTREAM, "upstream_response_seconds",                                               \
    "From the attempt to the head of the endpoint's response.")

/* X(upper bound in nanoseconds, its text in seconds). */
#define BUCKET_LIST(X)                                                                             \
  X(1000000, "0.001")                                                                              \
  X(2500000, "0.0025")                                                                             \
  X(5000000, "0.005")                                                                              \
  X(10000000, "0.01")                                                                              \
  X(25000000, "0.025")                                                                             \
  X(50000000, "0.05")                                                                              \
  X(100000000, "0.1")                                                                              \
  X(250000000, "0.25")                                                                             \
  X(500000000, "0.5")                                                                              \
  X(1000000000, "1")                                                                               \
  X(2500000000, "2.5")                                                                             \
  X(5000000000, "5")                                                                               \
  X(10000000000, "10")                                                                             \
  X(60000000000, "60")                                                                             \
  X(UINT64_MAX, "+Inf")

enum stat_id {
#define X(id, kind, name, labels, help) id,
  STAT_LIST(X)
#undef X
  STAT_COUNT
};

enum limit {
#define X(id, setting) id,
  LIMIT_LIST(X)
#undef X
  LIMIT_COUNT
};

enum histogram {
#define X(id, name, help) id,
  HISTOGRAM_LIST(X)
#undef X
  HISTOGRAM_COUNT
};

enum {
  BUCKET_COUNT = 0
#define X(bound, text) +1
      BUCKET_LIST(X)
#undef X
};

/* Read and written by stat_bump and its kin alone. */
struct stats {
  uint64_t values[STAT_COUNT];
  uint64_t limits[LIMIT_COUNT];
  uint64_t buckets[HISTOGRAM_COUNT][BUCKET_COUNT];
  uint64_t sums_ns[HISTOGRAM_COUNT];
};

static inline uint64_t stat_load(const uint64_t *value)
{
  return __atomic_load_n(value, __ATOMIC_RELAXED);
}

static inline void stat_bump(uint64_t *value, uint64_t by)
{
  __atomic_store_n(value, stat_load(value) + by, __ATOMIC_RELAXED);
}

static inline void stat_add(struct stats *stats, enum stat_id id, uint64_t by)
{
  stat_bump(&stats->values[id], by);
}

static inline void stat_set(struct stats *stats, enum stat_id id, uint64_t value)
{
  __atomic_store_n(&stats->values[id], value, __ATOMIC_RELAXED);
}

void stats_limit(struct stats *stats, enum limit limit);
void stats_observe(struct stats *stats, enum histogram histogram, uint64_t ns);
/* The setting behind a limit. */
const char *limit_name(enum limit limit);

/* One line of the page: all values, then limits, then each histogram's buckets and its sum. */
struct stat_info {
  const char *name; /* without the prefix */
  const char *label;
  const char *label_value; /* of a limit or bucket; NULL: `label` is the whole */
  const char *help;
  enum stat_kind kind;
};
/* 1, or 0 past the end. */
int stat_describe(uint32_t index, struct stat_info *info);
double stat_read(const struct stats *stats, uint32_t index);

#endif
