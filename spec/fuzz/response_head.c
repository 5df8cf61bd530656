/* SPDX-License-Identifier: Apache-2.0 */
/* Responses of an upstream, as request_head.c. The first byte's top bit plays a response to HEAD. */
#include "message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  return record_compare(data, size, 1);
}
