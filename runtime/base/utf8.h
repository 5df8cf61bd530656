/* SPDX-License-Identifier: Apache-2.0 */
/* Whether bytes that anybody may have sent are UTF-8 (RFC 3629), as some formats require of texts. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdint.h>

int utf8_is_valid(const char *text, uint32_t length);
/* Bytes of the character that begins there, of which `left` are there; 0: none does. */
uint32_t utf8_character(const char *text, uint32_t left);

#endif
