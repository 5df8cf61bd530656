/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces of a URI that a request names: what one version of HTTP takes, each of them must. */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include "http/head.h"

/* reg-name, IPv4 or [IPv6] and a port (RFC 3986 3.2.2), without userinfo, or nothing. */
int uri_is_host(const char *text, uint32_t len);
/* ASCII without control characters and spaces: nothing that would end a target in HTTP/1.1, or that its
 * parser refuses. */
int uri_is_target(const char *text, uint32_t len);
/* RFC 9110 7.1 has no fragment in a target. Clients that send one mean the page: nginx takes it off. */
void uri_drop_fragment(struct span *target, const struct buf *arena);

#endif
