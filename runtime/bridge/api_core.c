/* SPDX-License-Identifier: Apache-2.0 */
/* Errors, logs, time and settings for Lua. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "bridge/api.h"
#include "bridge/vm.h"
#include "exchange/access_log.h"

const char *mg_error_name(int32_t error)
{
  return err_name(error);
}

const char *mg_error_text(int32_t error)
{
  return err_text(error);
}

int32_t mg_error_code(const char *name)
{
#define X(code, number, status, text)                                                              \
  if (strcmp(name, #code) == 0)                                                                    \
    return number;
  ERR_LIST(X)
#undef X
  return 0;
}

int32_t mg_log_begin(struct mg_vm *vm, int32_t level, const char *event, uint32_t length)
{
  if (level < LOG_DEBUG || level > LOG_ERROR || !log_enabled((enum log_level)level))
    return 0;
  /* The control thread tells each fault once, and of as many as there are. */
  if (vm->owner && strcmp(vm->role, "worker") == 0 &&
      !log_admit((enum log_level)level, event, length))
    return 0;
  log_begin(&vm->log, (enum log_level)level, event, length);
  return 1;
}

void mg_log_pair(struct mg_vm *vm, const char *key, uint32_t key_length, const char *value,
                 uint32_t value_length)
{
  log_pair(&vm->log, key, key_length, value, value_length);
}

void mg_log_end(struct mg_vm *vm)
{
  log_end(&vm->log);
}

int32_t mg_log_is_json(void)
{
  return log_is_json();
}

void mg_log_setup(int32_t level, int32_t json)
{
  log_setup((enum log_level)level, json);
}

void mg_log_least(int32_t level)
{
  log_set_least((enum log_level)level);
}

int32_t mg_log_open(const char *path)
{
  return log_open(path[0] ? path : NULL);
}

double mg_time_now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double mg_time_monotonic(void)
{
  return (double)uv_hrtime() / 1e9;
}

void mg_write(int32_t error, const char *text, uint32_t length)
{
  int fd = error ? STDERR_FILENO : STDOUT_FILENO;
  while (length > 0) {
    ssize_t done = write(fd, text, length);
    if (done <= 0)
      return; /* nobody reads any more */
    text += done;
    length -= (uint32_t)done;
  }
}

int32_t mg_access_log(struct mg_vm *vm, const struct mg_access_log *settings)
{
  struct access_log *log = vm->exchanges ? vm->exchanges->access_log : NULL;
  if (settings->streams)
    log = vm->stream_log;
  if (!log)
    return 0;
  const struct access_config config = { .format = settings->format,
                                        .escape = (enum access_escape)settings->escape,
                                        .path = settings->path,
                                        .skip = settings->skip,
                                        .not_found = settings->not_found,
                                        .streams = settings->streams };
  return access_log_set(log, &config);
}

int32_t mg_access_log_unknown(const char *format, uint32_t length, int32_t streams,
                              struct mg_text *name)
{
  struct access_format compiled = { .streams = (uint8_t)(streams != 0) };
  *name = (struct mg_text){ 0 };
  int err = access_format_init(&compiled, format, length, name);
  access_format_fini(&compiled);
  return err < 0 ? err : name->data != NULL;
}

struct mg_settings *mg_settings(struct mg_vm *vm)
{
  return &vm->settings;
}

void mg_settings_apply(struct mg_vm *vm)
{
  const struct mg_settings *settings = &vm->settings;
  struct exchanges *all = vm->exchanges;
  if (!all)
    return;
  all->stages = settings->stages;
  if (all->series)
    series_limit(all->series, settings->metric_series);
  all->config = (struct exchange_config){ .fields = settings->request_fields,
                                          .public_http_port = settings->public_http_port,
                                          .public_https_port = settings->public_https_port };
  (void)snprintf(all->config.port_texts[0], sizeof(all->config.port_texts[0]), "%u",
                 settings->public_http_port & 0xffff);
  (void)snprintf(all->config.port_texts[1], sizeof(all->config.port_texts[1]), "%u",
                 settings->public_https_port & 0xffff);
  const struct pool_config kept = { .idle_count = settings->upstream_idle_count,
                                    .requests = settings->upstream_requests,
                                    .idle_ms = settings->upstream_idle_ms,
                                    .life_ms = settings->upstream_life_ms,
                                    .ping_ms = settings->upstream_ping_ms,
                                    .ping_wait_ms = settings->upstream_ping_wait_ms,
                                    .tunnel_ms = settings->tunnel_ms };
  pool_configure(vm->pool, &kept);
  vm->server->limits = (struct http_limits){ .head_bytes = settings->header_bytes,
                                             .target_bytes = settings->target_bytes,
                                             .fields = settings->fields,
                                             .field_bytes = settings->field_bytes,
                                             .drop_names = (uint8_t)settings->drop_names };
  vm->server->timeouts = (struct http_server_timeouts){ .head_ms = settings->client_header_ms,
                                                        .body_ms = settings->client_body_ms,
                                                        .keep_alive_ms = settings->keep_alive_ms,
                                                        .send_ms = settings->client_send_ms,
                                                        .tunnel_ms = settings->tunnel_ms };
  vm->server->requests = settings->keep_alive_requests;
  vm->server->h2 = (struct h2_limits){ .streams = settings->h2_streams,
                                       .stream_window = settings->h2_stream_window,
                                       .connection_window = settings->h2_connection_window,
                                       .table_bytes = settings->h2_table_bytes,
                                       .continuations = settings->h2_continuations,
                                       .reset_burst = settings->h2_resets,
                                       .reset_rate = settings->h2_resets / 5 + 1,
                                       .control_burst = settings->h2_control_frames,
                                       .control_rate = settings->h2_control_frames };
}

int32_t mg_server_name(struct mg_vm *vm, const char *name, uint32_t length)
{
  struct exchanges *all = vm->exchanges;
  if (length > sizeof(all->server_name) || !text_is_value(name, length))
    return UV_EINVAL;
  memcpy(all->server_name, name, length);
  all->server_name_len = length;
  return 0;
}

int32_t mg_trust_clear(struct mg_vm *vm, const char *field, uint32_t length)
{
  struct exchanges *all = vm->exchanges;
  free(all->trusted);
  all->trusted = NULL;
  all->trusted_count = 0;
  all->address_field_len = 0;
  if (length > sizeof(all->address_field))
    return UV_EINVAL;
  memcpy(all->address_field, field, length);
  all->address_field_len = length;
  return 0;
}

int32_t mg_trust(struct mg_vm *vm, const char *network, uint32_t length, int32_t address_only)
{
  struct exchanges *all = vm->exchanges;
  struct trusted_proxy proxy = { .address_only = address_only != 0 };
  int err = cidr_parse(network, length, &proxy.network);
  if (err < 0)
    return err;
  struct trusted_proxy *trusted =
      realloc(all->trusted, (all->trusted_count + 1) * sizeof(*trusted));
  if (!trusted)
    return UV_ENOMEM;
  trusted[all->trusted_count++] = proxy;
  all->trusted = trusted;
  return 0;
}
