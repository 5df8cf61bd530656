/* SPDX-License-Identifier: Apache-2.0 */
#include "base/password.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <uv.h>

enum {
  PASSWORD_MAX = 511, /* crypt(3) takes no more */
  HASH_MAX = 255,
  SALT_MAX = 8, /* of apr1 */
  APR1_ROUNDS = 1000,
  MD5_BYTES = 16,
  SHA1_BYTES = 20,
  ROUNDS_MAX = 5000000, /* of $5$ and $6$; with either some seconds */
  COST_MAX = 16,        /* of bcrypt */
};

static const char apr1_mark[] = "$apr1$";
static const char sha_mark[] = "{SHA}";
static const char ssha_mark[] = "{SSHA}";

static int begins(const char *text, size_t length, const char *with)
{
  size_t size = strlen(with);
  return length >= size && memcmp(text, with, size) == 0;
}

static int is_crypt_letter(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '.' && c <= '9');
}

static int is_old_crypt(const char *hash, size_t length)
{
  if (length != 13)
    return 0;
  for (size_t i = 0; i < length; i++) {
    if (!is_crypt_letter(hash[i]))
      return 0;
  }
  return 1;
}

/* Digits from `at` on; a number that is larger than any that is allowed ends early. */
static unsigned long number_at(const char *hash, size_t length, size_t at)
{
  unsigned long number = 0;
  for (; at < length && hash[at] >= '0' && hash[at] <= '9' && number <= ROUNDS_MAX; at++)
    number = 10 * number + (unsigned long)(hash[at] - '0');
  return number;
}

/* Whoever writes a hash decides how long each login takes; some would take minutes or days. */
static int is_bearable(const char *hash, size_t length)
{
  static const char rounds[] = "rounds=";
  size_t at = sizeof("$5$") - 1;
  if (begins(hash, length, "$2"))
    return number_at(hash, length, sizeof("$2y$") - 1) <= COST_MAX;
  return length <= at || !begins(hash + at, length - at, rounds) ||
         number_at(hash, length, at + sizeof(rounds) - 1) <= ROUNDS_MAX;
}

static int is_crypt(const char *hash, size_t length)
{
  static const char *const marks[] = { "$2a$", "$2b$", "$2y$", "$1$", "$5$", "$6$" };
  for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
    if (begins(hash, length, marks[i]))
      return is_bearable(hash, length);
  }
  return is_old_crypt(hash, length);
}

int password_is_known(const char *hash, size_t length)
{
  return length <= HASH_MAX && (begins(hash, length, apr1_mark) || begins(hash, length, sha_mark) ||
                                begins(hash, length, ssha_mark) || is_crypt(hash, length));
}

/* Takes the same time wherever they differ. */
static int equal(const void *a, size_t a_length, const void *b, size_t b_length)
{
  return a_length == b_length && CRYPTO_memcmp(a, b, a_length) == 0;
}

/* --- crypt(3) ------------------------------------------------------------- */

static int check_crypt(const char *password, const char *hash, size_t hash_length)
{
  struct crypt_data *data = calloc(1, sizeof(*data));
  if (!data)
    return UV_ENOMEM;
  const char *made = crypt_r(password, hash, data);
  /* A failure gives a text that begins with '*' and is never a hash. */
  int same = made && made[0] != '*' && equal(made, strlen(made), hash, hash_length);
  OPENSSL_cleanse(data, sizeof(*data));
  free(data);
  return same;
}

/* --- {SHA} and {SSHA} ----------------------------------------------------- */

/* The digest, then the salt, as they stand behind the mark; returns the length or -1. */
static int decode(const char *text, size_t length, unsigned char *out)
{
  if (length == 0 || length % 4 != 0)
    return -1;
  int size = EVP_DecodeBlock(out, (const unsigned char *)text, (int)length);
  for (size_t i = length; size > 0 && i > 0 && text[i - 1] == '='; i--)
    size--;
  return size;
}

static int check_sha(const char *password, size_t length, const char *text, size_t text_length)
{
  unsigned char stored[HASH_MAX];
  int size = decode(text, text_length, stored);
  if (size < SHA1_BYTES)
    return 0;
  unsigned char joined[PASSWORD_MAX + HASH_MAX];
  size_t salt_length = (size_t)size - SHA1_BYTES;
  memcpy(joined, password, length);
  memcpy(joined + length, stored + SHA1_BYTES, salt_length);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int digest_size = 0;
  int done = EVP_Digest(joined, length + salt_length, digest, &digest_size, EVP_sha1(), NULL);
  OPENSSL_cleanse(joined, sizeof(joined));
  if (!done)
    return UV_ENOMEM;
  return equal(digest, digest_size, stored, SHA1_BYTES);
}

/* --- $apr1$: the MD5 crypt of Apache's htpasswd ---------------------------- */

struct apr1 {
  EVP_MD_CTX *context;
  const char *password;
  size_t length;
  const char *salt;
  size_t salt_length;
  int failed;
};

static void begin(struct apr1 *self)
{
  self->failed |= !EVP_DigestInit_ex(self->context, EVP_md5(), NULL);
}

static void add(struct apr1 *self, const void *bytes, size_t length)
{
  self->failed |= !EVP_DigestUpdate(self->context, bytes, length);
}

static void finish(struct apr1 *self, unsigned char digest[MD5_BYTES])
{
  self->failed |= !EVP_DigestFinal_ex(self->context, digest, NULL);
}

static void add_password(struct apr1 *self)
{
  add(self, self->password, self->length);
}

static void add_salt(struct apr1 *self)
{
  add(self, self->salt, self->salt_length);
}

static void first_digest(struct apr1 *self, unsigned char digest[MD5_BYTES])
{
  begin(self);
  add_password(self);
  add_salt(self);
  add_password(self);
  finish(self, digest);
  begin(self);
  add_password(self);
  add(self, apr1_mark, sizeof(apr1_mark) - 1);
  add_salt(self);
  for (size_t left = self->length; left > 0; left -= left < MD5_BYTES ? left : MD5_BYTES)
    add(self, digest, left < MD5_BYTES ? left : MD5_BYTES);
  for (size_t bits = self->length; bits > 0; bits >>= 1) {
    if (bits & 1)
      add(self, "", 1); /* its NUL */
    else
      add(self, self->password, 1);
  }
  finish(self, digest);
}

static void next_digest(struct apr1 *self, int round, unsigned char digest[MD5_BYTES])
{
  begin(self);
  if (round & 1)
    add_password(self);
  else
    add(self, digest, MD5_BYTES);
  if (round % 3)
    add_salt(self);
  if (round % 7)
    add_password(self);
  if (round & 1)
    add(self, digest, MD5_BYTES);
  else
    add_password(self);
  finish(self, digest);
}

static char *put_letters(char *out, unsigned value, int count)
{
  static const char letters[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (; count > 0; count--, value >>= 6)
    *out++ = letters[value & 63];
  return out;
}

/* 22 letters, in the order of bytes that the original chose. */
static void encode(const unsigned char d[MD5_BYTES], char out[22])
{
  static const unsigned char order[5][3] = {
    { 0, 6, 12 }, { 1, 7, 13 }, { 2, 8, 14 }, { 3, 9, 15 }, { 4, 10, 5 }
  };
  for (int i = 0; i < 5; i++) {
    unsigned value =
        (unsigned)d[order[i][0]] << 16 | (unsigned)d[order[i][1]] << 8 | d[order[i][2]];
    out = put_letters(out, value, 4);
  }
  (void)put_letters(out, d[11], 2);
}

static int check_apr1(const char *password, size_t length, const char *hash, size_t hash_length)
{
  const char *salt = hash + sizeof(apr1_mark) - 1;
  const char *dollar = memchr(salt, '$', hash_length - (sizeof(apr1_mark) - 1));
  if (!dollar)
    return 0;
  size_t salt_length = (size_t)(dollar - salt);
  struct apr1 self = { .context = EVP_MD_CTX_new(),
                       .password = password,
                       .length = length,
                       .salt = salt,
                       .salt_length = salt_length < SALT_MAX ? salt_length : SALT_MAX };
  if (!self.context)
    return UV_ENOMEM;
  unsigned char digest[MD5_BYTES] = { 0 };
  first_digest(&self, digest);
  for (int round = 0; round < APR1_ROUNDS; round++)
    next_digest(&self, round, digest);
  EVP_MD_CTX_free(self.context);
  char letters[22];
  encode(digest, letters);
  if (self.failed)
    return UV_ENOMEM;
  size_t stored = hash_length - (size_t)(dollar + 1 - hash);
  return equal(letters, sizeof(letters), dollar + 1, stored);
}

/* --- all ------------------------------------------------------------------ */

static int check_known(const char *password, size_t length, const char *hash, size_t hash_length)
{
  if (begins(hash, hash_length, apr1_mark))
    return check_apr1(password, length, hash, hash_length);
  if (begins(hash, hash_length, sha_mark))
    return check_sha(password, length, hash + sizeof(sha_mark) - 1,
                     hash_length - (sizeof(sha_mark) - 1));
  if (begins(hash, hash_length, ssha_mark))
    return check_sha(password, length, hash + sizeof(ssha_mark) - 1,
                     hash_length - (sizeof(ssha_mark) - 1));
  return check_crypt(password, hash, hash_length);
}

int password_check(const char *password, size_t length, const char *hash, size_t hash_length)
{
  char password_text[PASSWORD_MAX + 1];
  char hash_text[HASH_MAX + 1];
  if (length > PASSWORD_MAX || memchr(password, 0, length) ||
      !password_is_known(hash, hash_length) || memchr(hash, 0, hash_length))
    return 0;
  memcpy(password_text, password, length);
  password_text[length] = 0;
  memcpy(hash_text, hash, hash_length);
  hash_text[hash_length] = 0;
  int result = check_known(password_text, length, hash_text, hash_length);
  OPENSSL_cleanse(password_text, sizeof(password_text));
  return result;
}
