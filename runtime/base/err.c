/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <uv.h>

const char *err_name(int err)
{
  switch (err) {
  case 0:
    return "OK";
#define X(name, code, status, text)                                                                \
  case name:                                                                                       \
    return #name;
    ERR_LIST(X)
#undef X
  default:
    return uv_err_name(err);
  }
}

int err_status(int err)
{
  switch (err) {
#define X(name, code, status, text)                                                                \
  case name:                                                                                       \
    return status;
    ERR_LIST(X)
#undef X
  default:
    return 500;
  }
}

const char *err_text(int err)
{
  switch (err) {
  case 0: /* libuv would make a text for it, and leak it */
    return "no error";
#define X(name, code, status, text)                                                                \
  case name:                                                                                       \
    return text;
    ERR_LIST(X)
#undef X
  default:
    return uv_strerror(err);
  }
}
