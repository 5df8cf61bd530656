/* SPDX-License-Identifier: Apache-2.0 */
/* Lists that exchange, bridge and Lua share: stages, sources of an answer, reasons for a retry. */
#ifndef EXCHANGE_STAGE_H
#define EXCHANGE_STAGE_H

/* cdef-begin */
/* The points at which an exchange calls Lua. REQUEST covers rewrite, route, access, balance and
 * upstream_request; RETRY the last two of them for a further attempt. */
enum mg_stage {
  MG_STAGE_REQUEST,
  MG_STAGE_RETRY,
  MG_STAGE_REQUEST_BODY,
  MG_STAGE_RESPONSE,
  MG_STAGE_RESPONSE_BODY,
  MG_STAGE_LOG,
  MG_STAGE_COUNT
};

enum mg_source {
  MG_SOURCE_UPSTREAM,
  MG_SOURCE_PLUGIN,
  MG_SOURCE_GATEWAY
};

/* What lets an attempt be followed by another (the words of proxy-next-upstream). */
enum mg_retry {
  MG_RETRY_ERROR = 1,
  MG_RETRY_TIMEOUT = 2,
  MG_RETRY_INVALID_HEADER = 4,
  MG_RETRY_500 = 8,
  MG_RETRY_502 = 16,
  MG_RETRY_503 = 32,
  MG_RETRY_504 = 64,
  MG_RETRY_403 = 128,
  MG_RETRY_404 = 256,
  MG_RETRY_429 = 512,
  MG_RETRY_NON_IDEMPOTENT = 1024
};
/* cdef-end */

#endif
