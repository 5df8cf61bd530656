/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1/conn.h"

#include "http/h1/writer.h"

/* Up to here a copy is cheaper than one more iovec. */
enum {
  JOIN_BYTES = 4096
};

int h1_conn_flush(struct h1_conn *conn)
{
  if (conn->out.len == 0)
    return 0;
  uv_buf_t out = uv_buf_init(conn->out.data, (unsigned)conn->out.len);
  int err = stream_write(conn->stream, &out, 1);
  loop_return(conn->loop, &conn->out);
  return err;
}

static int write_large(struct h1_conn *conn, const char *data, size_t len)
{
  uv_buf_t bufs[3];
  unsigned count = 0;
  if (conn->out.len > 0)
    bufs[count++] = uv_buf_init(conn->out.data, (unsigned)conn->out.len);
  bufs[count++] = uv_buf_init((char *)data, (unsigned)len); /* libuv does not write to it */
  if (conn->out_chunked)
    bufs[count++] = uv_buf_init((char *)"\r\n", 2); /* as above */
  int err = stream_write(conn->stream, bufs, count);
  if (conn->out.data)
    loop_return(conn->loop, &conn->out);
  return err;
}

int h1_conn_body(struct h1_conn *conn, const char *data, size_t len)
{
  if (len == 0 || conn->out_none)
    return 0;
  loop_lend(conn->loop, &conn->out);
  if (conn->out_chunked) {
    char line[20];
    int err = buf_put(&conn->out, line, h1_chunk_line(line, len));
    if (err < 0)
      return err;
  }
  if (len > JOIN_BYTES)
    return write_large(conn, data, len);
  int err = buf_put(&conn->out, data, len);
  if (err == 0 && conn->out_chunked)
    err = buf_put(&conn->out, "\r\n", 2);
  return err;
}

int h1_conn_end(struct h1_conn *conn, const struct head *trailers, const struct buf *arena)
{
  if (!conn->out_chunked || conn->out_none)
    return 0;
  loop_lend(conn->loop, &conn->out);
  int err = buf_put(&conn->out, "0\r\n", 3);
  return err < 0 ? err : h1_write_trailers(&conn->out, trailers, arena);
}
