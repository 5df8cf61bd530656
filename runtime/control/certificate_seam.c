/* SPDX-License-Identifier: Apache-2.0 */
#include "control/certificate_seam.h"

/* A counter of references, so that specs can see what a snapshot holds. */
struct mg_certificate {
  int references;
};

__attribute__((visibility("default"))) struct mg_certificate *
mg_certificate_ref(struct mg_certificate *certificate)
{
  certificate->references++;
  return certificate;
}

__attribute__((visibility("default"))) void mg_certificate_unref(struct mg_certificate *certificate)
{
  certificate->references--;
}
