/* SPDX-License-Identifier: Apache-2.0 */
#include "base/encoder.h"

#include <stdlib.h>

#include <brotli/encode.h>
#include <uv.h>
#include <zlib.h>

enum {
  ROOM_BYTES = 16 * 1024,
  WINDOW_BITS = 15,
  WINDOW_BITS_LEAST = 9,
  GZIP_FORMAT = 16, /* added to the bits of zlib's window */
  MEMORY_LEVEL = 8,
  BROTLI_WINDOW_BITS = 18,
  BROTLI_WINDOW_BITS_LEAST = 10
};

struct encoder {
  enum encoder_coding coding;
  z_stream zlib;
  BrotliEncoderState *brotli;
};

/* A window need not be larger than the body. */
static int window_bits(int64_t length, int least, int most)
{
  int bits = least;
  while (bits < most && (length < 0 || (int64_t)1 << bits < length))
    bits++;
  return bits;
}

static int open_gzip(struct encoder *self, int level, int64_t length)
{
  int bits = window_bits(length, WINDOW_BITS_LEAST, WINDOW_BITS);
  return deflateInit2(&self->zlib, level, Z_DEFLATED, bits + GZIP_FORMAT, MEMORY_LEVEL,
                      Z_DEFAULT_STRATEGY) == Z_OK
             ? 0
             : UV_ENOMEM;
}

static int open_brotli(struct encoder *self, int level, int64_t length)
{
  int bits = window_bits(length, BROTLI_WINDOW_BITS_LEAST, BROTLI_WINDOW_BITS);
  self->brotli = BrotliEncoderCreateInstance(NULL, NULL, NULL);
  return self->brotli &&
                 BrotliEncoderSetParameter(self->brotli, BROTLI_PARAM_QUALITY, (uint32_t)level) &&
                 BrotliEncoderSetParameter(self->brotli, BROTLI_PARAM_LGWIN, (uint32_t)bits)
             ? 0
             : UV_ENOMEM;
}

struct encoder *encoder_new(enum encoder_coding coding, int level, int64_t length)
{
  struct encoder *self = calloc(1, sizeof(*self));
  if (!self)
    return NULL;
  self->coding = coding;
  int err =
      coding == ENCODER_GZIP ? open_gzip(self, level, length) : open_brotli(self, level, length);
  if (err == 0)
    return self;
  encoder_free(self);
  return NULL;
}

void encoder_free(struct encoder *encoder)
{
  if (!encoder)
    return;
  if (encoder->coding == ENCODER_GZIP)
    (void)deflateEnd(&encoder->zlib); /* says whether bytes were left inside */
  else
    BrotliEncoderDestroyInstance(encoder->brotli); /* NULL is permitted */
  free(encoder);
}

static int put_gzip(struct encoder *self, const char *data, size_t len, enum encoder_step step,
                    struct buf *out)
{
  static const int flushes[] = { Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH };
  z_stream *zlib = &self->zlib;
  zlib->next_in = (Bytef *)(uintptr_t)data; /* zlib does not write to it */
  zlib->avail_in = (uInt)len;
  do {
    int err = buf_reserve(out, ROOM_BYTES);
    if (err < 0)
      return err;
    zlib->next_out = (Bytef *)out->data + out->len;
    zlib->avail_out = ROOM_BYTES;
    (void)deflate(zlib, flushes[step]); /* Z_BUF_ERROR: there was nothing to do */
    out->len += ROOM_BYTES - zlib->avail_out;
  } while (zlib->avail_out == 0);
  return 0;
}

static int put_brotli(struct encoder *self, const char *data, size_t len, enum encoder_step step,
                      struct buf *out)
{
  static const BrotliEncoderOperation operations[] = { BROTLI_OPERATION_PROCESS,
                                                       BROTLI_OPERATION_FLUSH,
                                                       BROTLI_OPERATION_FINISH };
  const uint8_t *next = (const uint8_t *)data;
  do {
    int err = buf_reserve(out, ROOM_BYTES);
    if (err < 0)
      return err;
    uint8_t *at = (uint8_t *)out->data + out->len;
    size_t room = ROOM_BYTES;
    if (!BrotliEncoderCompressStream(self->brotli, operations[step], &len, &next, &room, &at, NULL))
      return UV_ENOMEM;
    out->len += ROOM_BYTES - room;
  } while (len > 0 || BrotliEncoderHasMoreOutput(self->brotli));
  return 0;
}

int encoder_put(struct encoder *encoder, const char *data, size_t len, enum encoder_step step,
                struct buf *out)
{
  return (encoder->coding == ENCODER_GZIP ? put_gzip : put_brotli)(encoder, data, len, step, out);
}
