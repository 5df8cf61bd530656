/* SPDX-License-Identifier: Apache-2.0 */
/* CHECK: always on, aborts; for mistakes of our own, never for what a peer or an operator can cause. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(cond)                                                                                \
  do {                                                                                             \
    if (!(cond)) {                                                                                 \
      (void)fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #cond);               \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)

#endif
