/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, their bodies and chunks: one result, however the stream is cut into pieces. */
#include "message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  return record_compare(data, size, 0);
}
