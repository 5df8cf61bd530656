/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tickets.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/gcm.h>
#include <mbedtls/platform_time.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/ssl.h>
#include <psa/crypto.h>
#include <uv.h>

enum {
  NAME_BYTES = 16,
  IV_BYTES = 12,
  TAG_BYTES = 16,
  KEY_BYTES = 32,
  HEAD_BYTES = NAME_BYTES + IV_BYTES,
  RENEW_S = 3600,
  LIFETIME_MOST_S = 7 * 24 * 3600
};

/* A ticket: name of the key, IV, session encrypted with AES-256-GCM, tag. The head and the binding are
 * authenticated with it. */
struct ticket_key {
  unsigned char name[NAME_BYTES];
  unsigned char key[KEY_BYTES];
  uint64_t made_ns;
};

struct tls_tickets {
  atomic_uint references;
  uv_mutex_t lock;           /* of `keys` */
  struct ticket_key keys[2]; /* the current one, and the one before */
  _Atomic uint32_t lifetime_s;
};

static int make_key(struct ticket_key *key)
{
  key->made_ns = uv_hrtime();
  return psa_generate_random(key->name, sizeof(key->name)) == PSA_SUCCESS &&
                 psa_generate_random(key->key, sizeof(key->key)) == PSA_SUCCESS
             ? 0
             : UV_EIO;
}

void tls_tickets_set_lifetime(struct tls_tickets *tickets, uint32_t lifetime_s)
{
  atomic_store(&tickets->lifetime_s, lifetime_s < LIFETIME_MOST_S ? lifetime_s : LIFETIME_MOST_S);
}

struct tls_tickets *tls_tickets_new(uint32_t lifetime_s)
{
  struct tls_tickets *self = calloc(1, sizeof(*self));
  if (!self)
    return NULL;
  atomic_init(&self->references, 1);
  tls_tickets_set_lifetime(self, lifetime_s);
  /* The older one has sealed nothing, but must not be all zeros either. */
  if (psa_crypto_init() != PSA_SUCCESS || make_key(&self->keys[0]) < 0 ||
      make_key(&self->keys[1]) < 0 || uv_mutex_init(&self->lock) < 0) {
    free(self);
    return NULL;
  }
  return self;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets)
{
  atomic_fetch_add_explicit(&tickets->references, 1, memory_order_relaxed);
  return tickets;
}

void tls_tickets_unref(struct tls_tickets *tickets)
{
  if (!tickets || atomic_fetch_sub_explicit(&tickets->references, 1, memory_order_acq_rel) != 1)
    return;
  uv_mutex_destroy(&tickets->lock);
  mbedtls_platform_zeroize(tickets, sizeof(*tickets));
  free(tickets);
}

/* With the lock. */
static int renew(struct tls_tickets *self)
{
  struct ticket_key key;
  int err = make_key(&key);
  if (err == 0) {
    self->keys[1] = self->keys[0];
    self->keys[0] = key;
  }
  mbedtls_platform_zeroize(&key, sizeof(key));
  return err;
}

int tls_tickets_rotate(struct tls_tickets *tickets)
{
  uv_mutex_lock(&tickets->lock);
  int err = renew(tickets);
  uv_mutex_unlock(&tickets->lock);
  return err;
}

/* A key that cannot be renewed is used on. */
static void current_key(struct tls_tickets *self, struct ticket_key *out)
{
  uint64_t lifetime_s = self->lifetime_s;
  uint64_t period_s = lifetime_s > RENEW_S ? lifetime_s : RENEW_S;
  uv_mutex_lock(&self->lock);
  if (uv_hrtime() - self->keys[0].made_ns >= period_s * 1000000000)
    (void)renew(self);
  *out = self->keys[0];
  uv_mutex_unlock(&self->lock);
}

static int find_key(struct tls_tickets *self, const unsigned char *name, struct ticket_key *out)
{
  int found = 0;
  uv_mutex_lock(&self->lock);
  for (int i = 0; i < 2 && !found; i++) {
    if (memcmp(self->keys[i].name, name, NAME_BYTES) == 0) {
      *out = self->keys[i];
      found = 1;
    }
  }
  uv_mutex_unlock(&self->lock);
  return found;
}

static void authenticate(unsigned char *out, const unsigned char *head,
                         const unsigned char *binding)
{
  memcpy(out, head, HEAD_BYTES);
  memcpy(out + HEAD_BYTES, binding, TLS_BINDING_BYTES);
}

static int encrypt(const struct ticket_key *key, const unsigned char *binding, unsigned char *start,
                   size_t length)
{
  unsigned char added[HEAD_BYTES + TLS_BINDING_BYTES];
  mbedtls_gcm_context gcm;
  memcpy(start, key->name, NAME_BYTES);
  if (psa_generate_random(start + NAME_BYTES, IV_BYTES) != PSA_SUCCESS)
    return MBEDTLS_ERR_SSL_HW_ACCEL_FAILED;
  authenticate(added, start, binding);
  mbedtls_gcm_init(&gcm);
  int code = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key->key, KEY_BYTES * 8);
  if (code == 0)
    code = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, length, start + NAME_BYTES,
                                     IV_BYTES, added, sizeof(added), start + HEAD_BYTES,
                                     start + HEAD_BYTES, TAG_BYTES, start + HEAD_BYTES + length);
  mbedtls_gcm_free(&gcm);
  return code;
}

int tickets_seal(struct tls_tickets *tickets, const unsigned char *binding,
                 const struct mbedtls_ssl_session *session, unsigned char *start,
                 const unsigned char *end, size_t *length, uint32_t *lifetime_s)
{
  struct ticket_key key;
  size_t used = 0;
  *length = 0;
  *lifetime_s = tickets->lifetime_s;
  if (end - start < HEAD_BYTES + TAG_BYTES)
    return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
  int code = mbedtls_ssl_session_save(session, start + HEAD_BYTES,
                                      (size_t)(end - start) - HEAD_BYTES - TAG_BYTES, &used);
  if (code != 0)
    return code;
  current_key(tickets, &key);
  code = encrypt(&key, binding, start, used);
  mbedtls_platform_zeroize(&key, sizeof(key));
  if (code == 0)
    *length = HEAD_BYTES + used + TAG_BYTES;
  return code;
}

static int decrypt(const struct ticket_key *key, const unsigned char *binding, unsigned char *bytes,
                   size_t length)
{
  unsigned char added[HEAD_BYTES + TLS_BINDING_BYTES];
  mbedtls_gcm_context gcm;
  authenticate(added, bytes, binding);
  mbedtls_gcm_init(&gcm);
  int code = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key->key, KEY_BYTES * 8);
  if (code == 0)
    code = mbedtls_gcm_auth_decrypt(&gcm, length, bytes + NAME_BYTES, IV_BYTES, added,
                                    sizeof(added), bytes + HEAD_BYTES + length, TAG_BYTES,
                                    bytes + HEAD_BYTES, bytes + HEAD_BYTES);
  mbedtls_gcm_free(&gcm);
  return code;
}

int tickets_open(struct tls_tickets *tickets, const unsigned char *binding,
                 struct mbedtls_ssl_session *session, unsigned char *bytes, size_t length)
{
  struct ticket_key key;
  mbedtls_ms_time_t made_ms = 0;
  if (length <= HEAD_BYTES + TAG_BYTES || !find_key(tickets, bytes, &key))
    return MBEDTLS_ERR_SSL_INVALID_MAC;
  size_t inner = length - HEAD_BYTES - TAG_BYTES;
  int code = decrypt(&key, binding, bytes, inner);
  mbedtls_platform_zeroize(&key, sizeof(key));
  if (code != 0)
    return MBEDTLS_ERR_SSL_INVALID_MAC;
  code = mbedtls_ssl_session_load(session, bytes + HEAD_BYTES, inner);
  mbedtls_platform_zeroize(bytes + HEAD_BYTES, inner);
  if (code == 0)
    code = mbedtls_ssl_session_get_ticket_creation_time(session, &made_ms);
  if (code != 0)
    return code;
  mbedtls_ms_time_t age_ms = mbedtls_ms_time() - made_ms;
  return age_ms >= 0 && age_ms < (mbedtls_ms_time_t)tickets->lifetime_s * 1000
             ? 0
             : MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED;
}
