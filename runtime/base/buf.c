/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/check.h"

void buf_fini(struct buf *buf)
{
  free(buf->data);
  *buf = (struct buf){ 0 };
}

int buf_reserve(struct buf *buf, size_t more)
{
  if (buf->cap - buf->len >= more)
    return 0;
  size_t cap = buf->cap ? buf->cap : 512;
  while (cap - buf->len < more) {
    if (cap > SIZE_MAX / 2)
      return UV_ENOMEM;
    cap *= 2;
  }
  char *data = realloc(buf->data, cap);
  if (!data)
    return UV_ENOMEM;
  buf->data = data;
  buf->cap = cap;
  return 0;
}

int buf_put(struct buf *buf, const void *data, size_t len)
{
  if (len == 0)
    return 0;
  int err = buf_reserve(buf, len);
  if (err < 0)
    return err;
  memcpy(buf->data + buf->len, data, len);
  buf->len += len;
  return 0;
}

int buf_insert(struct buf *buf, size_t at, const void *data, size_t len)
{
  CHECK(at <= buf->len);
  if (len == 0)
    return 0;
  int err = buf_reserve(buf, len);
  if (err < 0)
    return err;
  memmove(buf->data + at + len, buf->data + at, buf->len - at);
  memcpy(buf->data + at, data, len);
  buf->len += len;
  return 0;
}

void buf_drop(struct buf *buf, size_t len)
{
  CHECK(len <= buf->len);
  if (len == 0)
    return; /* a buffer without memory is no argument of memmove */
  buf->len -= len;
  if (buf->len > 0) /* an empty one may have no memory */
    memmove(buf->data, buf->data + len, buf->len);
}
