/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stddef.h>

/* Forms of more than a byte (RFC 3629 4): what the first and the second byte may be; the others are
 * 80 to BF. */
static const struct form {
  uint8_t first_low, first_high;
  uint8_t second_low, second_high;
  uint8_t length;
} forms[] = {
  { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
  { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
  { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

uint32_t utf8_character(const char *text, uint32_t left)
{
  const uint8_t *at = (const uint8_t *)text;
  if (left == 0 || *at < 0x80)
    return left > 0;
  for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
    const struct form *form = &forms[i];
    if (*at < form->first_low || *at > form->first_high)
      continue;
    if (left < form->length || at[1] < form->second_low || at[1] > form->second_high)
      return 0;
    for (uint32_t more = 2; more < form->length; more++) {
      if ((at[more] & 0xc0) != 0x80)
        return 0;
    }
    return form->length;
  }
  return 0;
}

int utf8_is_valid(const char *text, uint32_t length)
{
  for (uint32_t at = 0, step; at < length; at += step) {
    step = utf8_character(text + at, length - at);
    if (step == 0)
      return 0;
  }
  return 1;
}
