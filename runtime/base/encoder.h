/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings for bodies that go out piece by piece (RFC 9110 8.4.1): gzip by zlib, br by brotli. */
#ifndef BASE_ENCODER_H
#define BASE_ENCODER_H

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"

enum encoder_coding {
  ENCODER_GZIP,
  ENCODER_BROTLI
};

enum encoder_step {
  ENCODER_GO_ON, /* bytes may stay inside */
  ENCODER_FLUSH, /* all that came is to be had by the client */
  ENCODER_FINISH
};

struct encoder;

/* `level`: of gzip 1 to 9, of brotli 0 to 11. `length`: of the body, for its memory; -1: not known.
 * NULL: out of memory. */
struct encoder *encoder_new(enum encoder_coding coding, int level, int64_t length);
void encoder_free(struct encoder *encoder);
/* Appends what comes of the bytes to `out`. UV_ENOMEM, or 0. */
MG_MUST_USE int encoder_put(struct encoder *encoder, const char *data, size_t len,
                            enum encoder_step step, struct buf *out);

#endif
