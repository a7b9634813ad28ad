#include "cert/cert.h"

#include <estuary/csr.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#define SECURE_BITS 112 /* OpenSSL's security level 2: the same line as inside a path */

void est_name_text(const X509_NAME *name, char *out, size_t size)
{
    char *text = NULL;
    ERR_set_mark();
    if (name == NULL || estuary_name_format(name, &text, NULL) != ESTUARY_OK)
        est_text_sanitise("(unreadable name)", 17, out, size);
    else if (text[0] == '\0')
        est_text_sanitise("(no name)", 9, out, size);
    else
        est_text_sanitise(text, strlen(text), out, size);
    ERR_pop_to_mark();
    OPENSSL_free(text);
}

void est_subject_text(const X509 *certificate, char *out, size_t size)
{
    est_name_text(X509_get_subject_name(certificate), out, size);
}

bool est_asn1_time(const ASN1_TIME *at, time_t *out)
{
    struct tm parts = {0};
    /* ASN1_TIME_to_tm() takes NULL for "now" */
    if (at == NULL || ASN1_TIME_to_tm(at, &parts) != 1)
        return false;
    int year = parts.tm_year;
    time_t value = timegm(&parts);
    if (value == (time_t)-1 && year != 69)
        return false; /* does not fit; -1 itself is the last second of 1969 */
    *out = value;
    return true;
}

bool est_certificate_signature_is_weak(const X509 *certificate)
{
    int bits = 0;
    /* the X509 caches its parsed extensions behind its own lock, so lending it unconst is safe */
    ERR_set_mark();
    bool known = X509_get_signature_info((X509 *)certificate, NULL, NULL, &bits, NULL) == 1;
    ERR_pop_to_mark();
    return !known || bits < SECURE_BITS;
}
