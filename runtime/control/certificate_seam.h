/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for tls/certificate.h, which has these functions. */
#ifndef CONTROL_CERTIFICATE_SEAM_H
#define CONTROL_CERTIFICATE_SEAM_H

struct mg_certificate;

struct mg_certificate *mg_certificate_ref(struct mg_certificate *certificate);
void mg_certificate_unref(struct mg_certificate *certificate);

#endif
