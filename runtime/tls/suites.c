/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/suites.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>

#include "base/check.h"
#include "base/err.h"

/* In the order of preference: forward secrecy and AEAD only, ECDSA before RSA, AES before ChaCha20. */
#define SUITE_LIST(X)                                                                              \
  X(MBEDTLS_TLS1_3_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256")                                   \
  X(MBEDTLS_TLS1_3_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384")                                   \
  X(MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256")                       \
  X(MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256")              \
  X(MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256")                  \
  X(MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384")              \
  X(MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384")                  \
  X(MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305")        \
  X(MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305")

static const struct {
  int id;
  const char *name;
} suites[] = {
#define X(id, name) { id, name },
  SUITE_LIST(X)
#undef X
};

static const struct {
  uint16_t id;
  const char *name;
} groups[] = {
  /* The first name of each makes the default order. */
  { MBEDTLS_SSL_IANA_TLS_GROUP_X25519, "X25519" },
  { MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, "P-256" },
  { MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, "P-384" },
  { MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1, "P-521" },
  { MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, "prime256v1" },
  { MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, "secp256r1" },
  { MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, "secp384r1" },
  { MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1, "secp521r1" },
};

enum {
  SUITE_COUNT = sizeof(suites) / sizeof(suites[0]),
  GROUP_NAMES = sizeof(groups) / sizeof(groups[0]),
  DEFAULT_GROUPS = 4,
  WORD_BYTES = 64
};

_Static_assert((int)SUITE_COUNT < (int)TLS_SUITES_MOST, "no room for the end of the list");

/* Words of OpenSSL's that stand for several suites, and what those have in their names. */
static const struct {
  const char *word;
  const char *part;
} families[] = {
  { "HIGH", "" },
  { "ALL", "" },
  { "DEFAULT", "" },
  { "ECDHE", "ECDHE-" },
  { "EECDH", "ECDHE-" },
  { "kECDHE", "ECDHE-" },
  { "kEECDH", "ECDHE-" },
  { "AESGCM", "GCM" },
  { "AES128", "AES128" },
  { "AES256", "AES256" },
  { "AES", "AES" },
  { "AES128GCM", "AES128-GCM" },
  { "AES256GCM", "AES256-GCM" },
  { "CHACHA20", "CHACHA20" },
  { "ECDSA", "-ECDSA-" },
  { "aECDSA", "-ECDSA-" },
  { "RSA", "-RSA-" },
  { "aRSA", "-RSA-" },
};

/* What nobody needs to switch off here, since it does not exist. */
static const char *const absent[] = { "aNULL",  "eNULL", "NULL",   "EXPORT",  "EXP",      "LOW",
                                      "MEDIUM", "DES",   "3DES",   "RC4",     "RC2",      "MD5",
                                      "SHA1",   "SHA",   "PSK",    "kPSK",    "SRP",      "kSRP",
                                      "DSS",    "aDSS",  "DH",     "DHE",     "EDH",      "ADH",
                                      "AECDH",  "kDHE",  "kEDH",   "kRSA",    "CAMELLIA", "ARIA",
                                      "IDEA",   "SEED",  "AESCCM", "AESCCM8", "CBC",      "SSLv2",
                                      "SSLv3",  "aDH",   "kDH",    "kECDH",   "ECDH" };

const char *tls_suite_name(int id)
{
  for (int i = 0; i < SUITE_COUNT; i++) {
    if (suites[i].id == id)
      return suites[i].name;
  }
  return NULL;
}

static int is_13(const char *name)
{
  return strncmp(name, "TLS_", 4) == 0;
}

/* The next word of a list: its length, 0 at the end. */
static size_t next_word(const char **at)
{
  *at += strspn(*at, ":, \t\r\n;");
  return strcspn(*at, ":, \t\r\n;");
}

static void complain(const char *word, size_t length, char *unknown, size_t size)
{
  size_t have = size > 0 ? strlen(unknown) : 0;
  if (have + length + 2 > size)
    return;
  if (have > 0)
    unknown[have++] = ' ';
  memcpy(unknown + have, word, length);
  unknown[have + length] = 0;
}

static int contains(const int *list, int id)
{
  while (*list && *list != id)
    list++;
  return *list != 0;
}

static void add(int *list, int id)
{
  if (contains(list, id))
    return;
  while (*list)
    list++;
  *list = id;
}

static void drop(int *list, int id)
{
  int *to = list;
  for (; *list; list++) {
    if (*list != id)
      *to++ = *list;
  }
  *to = 0;
}

static const char *part_of(const char *word, size_t length)
{
  for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
    if (strlen(families[i].word) == length && strncmp(families[i].word, word, length) == 0)
      return families[i].part;
  }
  return NULL;
}

/* A family is words with `+` between. 1 when the suite is of it, -1 when a word is not known. */
static int is_of_family(const char *word, const char *suite)
{
  int all = !is_13(suite);
  for (;;) {
    size_t length = strcspn(word, "+");
    const char *part = part_of(word, length);
    if (!part)
      return -1;
    all = all && strstr(suite, part) != NULL;
    if (!word[length])
      return all;
    word += length + 1;
  }
}

static int is_absent(const char *word)
{
  for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
    if (strcmp(absent[i], word) == 0)
      return 1;
  }
  return 0;
}

/* Calls `act` on the suites that a word stands for. How many words it knows of: 0 or 1. */
static int for_each(const char *word, int *list, void (*act)(int *list, int id))
{
  for (int i = 0; i < SUITE_COUNT; i++) {
    if (strcasecmp(suites[i].name, word) == 0) {
      act(list, suites[i].id);
      return 1;
    }
  }
  for (int i = 0; i < SUITE_COUNT; i++) {
    int is = is_of_family(word, suites[i].name);
    if (is < 0)
      return 0;
    if (is)
      act(list, suites[i].id);
  }
  return 1;
}

static int take_word(const char *word, int *list)
{
  if (word[0] == '!' || word[0] == '-')
    return for_each(word + 1, list, drop) || is_absent(word + 1);
  if (word[0] == '@' || word[0] == '+')
    return 1; /* @STRENGTH, @SECLEVEL, and an order that we keep as it is */
  return for_each(word, list, add);
}

/* Those of TLS 1.3 come first and all, unless one is named. */
static int put_together(struct tls_suites *self, const int *list)
{
  int named = 0;
  for (const int *at = list; *at; at++)
    named = named || is_13(tls_suite_name(*at));
  for (int i = 0; i < SUITE_COUNT && !named; i++) {
    if (is_13(suites[i].name))
      add(self->ids, suites[i].id);
  }
  for (const int *at = list; *at; at++)
    add(self->ids, *at);
  return list[0] ? 0 : ERR_TLS_CONFIG;
}

int tls_suites_read(struct tls_suites *self, const char *names, char *unknown, size_t size)
{
  int list[TLS_SUITES_MOST] = { 0 };
  if (size > 0)
    unknown[0] = 0;
  memset(self->ids, 0, sizeof(self->ids));
  if (!names || !names[strspn(names, " ")])
    names = "HIGH";
  for (size_t length = next_word(&names); length > 0; length = next_word(&names)) {
    char word[WORD_BYTES] = { 0 };
    if (length < WORD_BYTES)
      memcpy(word, names, length);
    if (!word[0] || !take_word(word, list))
      complain(names, length, unknown, size);
    names += length;
  }
  return put_together(self, list);
}

static uint16_t group_of(const char *name, size_t length)
{
  for (int i = 0; i < GROUP_NAMES; i++) {
    if (strlen(groups[i].name) == length && strncasecmp(groups[i].name, name, length) == 0)
      return groups[i].id;
  }
  return 0;
}

int tls_groups_read(struct tls_suites *self, const char *names, char *unknown, size_t size)
{
  int count = 0;
  if (size > 0)
    unknown[0] = 0;
  memset(self->groups, 0, sizeof(self->groups));
  if (!names || !*names || strcmp(names, "auto") == 0) {
    for (; count < DEFAULT_GROUPS; count++)
      self->groups[count] = groups[count].id;
    return 0;
  }
  for (size_t length = next_word(&names); length > 0; length = next_word(&names)) {
    uint16_t id = group_of(names, length);
    int known = id == 0;
    for (int i = 0; i < count; i++)
      known = known || self->groups[i] == id;
    if (id == 0)
      complain(names, length, unknown, size);
    else if (!known && count < TLS_GROUPS_MOST - 1)
      self->groups[count++] = id;
    names += length;
  }
  return count > 0 ? 0 : ERR_TLS_CONFIG;
}

/* --- of a host of its own ---------------------------------------------------------- */

struct mg_suites {
  atomic_uint references;
  int client_order;
  struct tls_suites list; /* of suites alone */
};

MG_API struct mg_suites *mg_suites_new(const char *names, int32_t client_order)
{
  struct mg_suites *self = calloc(1, sizeof(*self));
  if (!self)
    return NULL;
  atomic_init(&self->references, 1);
  self->client_order = client_order;
  if (tls_suites_read(&self->list, names, NULL, 0) < 0)
    CHECK(self->list.ids[0]); /* TLS 1.3 is left in any case */
  return self;
}

MG_API struct mg_suites *mg_suites_ref(struct mg_suites *self)
{
  atomic_fetch_add_explicit(&self->references, 1, memory_order_relaxed);
  return self;
}

MG_API void mg_suites_unref(struct mg_suites *self)
{
  if (self && atomic_fetch_sub_explicit(&self->references, 1, memory_order_acq_rel) == 1)
    free(self);
}

void tls_suites_prefer(mbedtls_ssl_config *config, int client_order)
{
  mbedtls_ssl_conf_preference_order(config, client_order
                                                ? MBEDTLS_SSL_SRV_CIPHERSUITE_ORDER_CLIENT
                                                : MBEDTLS_SSL_SRV_CIPHERSUITE_ORDER_SERVER);
}

void suites_configure(const struct mg_suites *self, mbedtls_ssl_config *config)
{
  mbedtls_ssl_conf_ciphersuites(config, self->list.ids);
  tls_suites_prefer(config, self->client_order);
}
