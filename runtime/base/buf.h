/* SPDX-License-Identifier: Apache-2.0 */
/* A growable run of bytes, consumed from the front. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

#include "base/compiler.h"

struct buf {
  char *data;
  size_t len; /* bytes held */
  size_t cap;
};

/* Frees the memory; the buffer is empty and usable afterwards. */
void buf_fini(struct buf *buf);
/* Makes room for `more` bytes after `len`. UV_ENOMEM, or 0. */
MG_MUST_USE int buf_reserve(struct buf *buf, size_t more);
/* UV_ENOMEM, or 0. */
MG_MUST_USE int buf_put(struct buf *buf, const void *data, size_t len);
/* As buf_put, before the byte at `at`. */
MG_MUST_USE int buf_insert(struct buf *buf, size_t at, const void *data, size_t len);
/* Drops `len` bytes from the front. */
void buf_drop(struct buf *buf, size_t len);

#endif
