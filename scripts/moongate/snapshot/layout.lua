-- SPDX-License-Identifier: Apache-2.0
--
-- What the bytes of a part mean. The writer fills these structs in the control thread, the workers
-- read them in place. C looks into none of them but mg_route_names (exchange/record.h), whose texts
-- count from the route.
--
-- Texts of a route count from the route's first byte (`at` + `length`), all else from the part's
-- first byte. Every struct is a multiple of 8 bytes and stands at one.
local ffi = require("ffi")

require("moongate.api.core")

local M = {}

ffi.cdef([[
struct mg_span {
  uint32_t at;
  uint32_t length;
};

/* A condition on a header or a query parameter. */
struct mg_predicate {
  const struct mg_regex *regex;  /* kind regex; null when the pattern is faulty */
  struct mg_span name;
  struct mg_span value;          /* kind exact */
  uint32_t subject;              /* SUBJECT_* */
  uint32_t kind;                 /* MATCH_* */
};

struct mg_route {
  const struct mg_regex *regex;  /* path type regex */
  uint32_t plan;
  int32_t service;               /* -1: none */
  uint32_t flags;                /* FLAG_* */
  uint32_t path_type;            /* PATH_* */
  uint32_t method_count;
  uint32_t methods_at;           /* struct mg_span each, from the route; also in the host's index */
  uint32_t predicate_count;
  uint32_t predicates_at;        /* struct mg_predicate each, from the route */
  int32_t priority;
  uint32_t serial;               /* number of this route in its host, in the model's order */
  uint32_t part_at;              /* how far behind the part's first byte this route stands */
  uint32_t reserved;
  struct mg_span id;
  struct mg_span path;
  struct mg_span source;         /* JSON text of the model's `source`, or nothing */
  struct mg_span fault;          /* with FLAG_FAULT: what is wrong */
  struct mg_route_names names;
};

struct mg_host {
  uint32_t route_count;
  uint32_t routes_at;            /* uint32_t each: where a route stands, from the part */
  uint32_t regex_first;          /* index of the first route with a regex */
  uint32_t regex_count;
  uint32_t regexes_at;           /* the regex of each of those routes */
  /* Keys: PATH_* + 1 and a path, with the first route and the number of routes;
   * INDEX_METHODS + serial and a method, for routes that take some methods only. */
  uint32_t index_at;
  uint32_t text_length_count;    /* lengths of textual prefixes, greatest first */
  uint32_t text_lengths_at;
  uint32_t single_label;         /* a "*.suffix" that stands for one label only */
  uint32_t fall_through;         /* without a matching route the next host is asked */
};

struct mg_endpoint {
  struct mg_span address;        /* from the part */
  struct mg_span zone;
  uint32_t port;
  uint32_t weight;
};

/* `serial` differs in all parts that one writer made, unlike addresses. */
struct mg_service {
  uint32_t serial;
  uint32_t endpoint_count;
  uint32_t endpoints_at;
  uint32_t reserved;
  struct mg_span name;
  struct mg_span rest;           /* JSON text: the model's service without endpoints */
  struct mg_span upstream;       /* what access log and metrics call it */
};

struct mg_plan {
  uint32_t serial;
  uint32_t reserved;
  struct mg_span text;           /* JSON text {plugins, settings} */
};
]])

M.FLAG_FAULT = 1
M.FLAG_CASELESS = 2

M.PATH_EXACT = 0
M.PATH_PREFIX = 1
M.PATH_PREFIX_TEXT = 2
M.PATH_REGEX = 3

M.INDEX_METHODS = 8

M.SUBJECT_HEADER = 0
M.SUBJECT_QUERY = 1

M.MATCH_EXACT = 0
M.MATCH_PRESENT = 1
M.MATCH_REGEX = 2

-- Elements of a prefix, at most: a worker looks at no more of a path.
M.DEPTH_MAX = 63
-- The longest path of a route.
M.PATH_BYTES_MAX = 8192

M.REGEX_CASELESS = 1
M.REGEX_ANCHORED = 2

return M
