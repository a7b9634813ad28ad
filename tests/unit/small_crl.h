/* CRLs written down readably and signed in the test. */
#ifndef TEST_SMALL_CRL_H
#define TEST_SMALL_CRL_H

#include "der_text.h"
#include "make_certs.h"
#include "support.h"
#include "wire/crl.h"

#include <stdio.h>

#define SMALL_CRL_MAX (1024 * 1024)

/* Parts of a tbsCertList for der_text(). */
#define CRL_V2       " 02:01 "
#define CRL_ECDSA    " 30{06:2a8648ce3d040302} "
#define CRL_NAME(cn) " 30{31{30{06:550403 0c\"" cn "\"}}} "
#define CRL_ISSUER   CRL_NAME("CA")
#define CRL_THIS     " 17\"250101000000Z\" "
#define CRL_NEXT     " 17\"490101000000Z\" "
#define CRL_HEAD     CRL_V2 CRL_ECDSA CRL_ISSUER CRL_THIS CRL_NEXT
#define CRL_DATE     " 17\"240229235959Z\" " /* 1709251199 */
/* Serials, and the last octet of an OID below id-ce, are hexadecimal, values in der_text()'s words. */
#define CRL_ENTRY(hex)             " 30{02:" hex CRL_DATE "} "
#define CRL_EXT(octet, value)      " 30{06:551d" octet " 04{" value "}} "
#define CRL_CRITICAL(octet, value) " 30{06:551d" octet " 01:ff 04{" value "}} "
#define CRL_REASON(hex)            CRL_EXT("15", "0a:" hex)
#define CRL_ENTRY_WITH(hex, exts)  " 30{02:" hex CRL_DATE "30{" exts "}} "

typedef struct small_der {
    uint8_t *bytes; /* OPENSSL_free() */
    size_t len;
} small_der;

static inline void small_put(small_der *der, const void *bytes, size_t len)
{
    memcpy(der->bytes + der->len, bytes, len);
    der->len += len;
}

static inline void small_put_header(small_der *der, uint8_t tag, size_t len)
{
    uint8_t header[] = {tag, 0x82, (uint8_t)(len >> 8), (uint8_t)len};
    assert_in_range(len, 0, 0xffff);
    if (len >= 256) {
        small_put(der, header, 4);
    } else if (len >= 128) {
        uint8_t middle[] = {tag, 0x81, (uint8_t)len};
        small_put(der, middle, 3);
    } else {
        uint8_t little[] = {tag, (uint8_t)len};
        small_put(der, little, 2);
    }
}

/* tbs: the whole element. outer: the second AlgorithmIdentifier, in text. digest NULL: EdDSA. */
static inline small_der small_crl_sign(const uint8_t *tbs, size_t tbs_len, const char *outer, EVP_PKEY *key,
                                       const char *digest)
{
    uint8_t algorithm[DER_TEXT_MAX], signature[1024];
    size_t algorithm_len = der_text(outer, algorithm), len = sizeof(signature);
    small_der der = {.bytes = OPENSSL_malloc(tbs_len + 4096)};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_non_null(der.bytes);
    assert_int_equal(EVP_DigestSignInit_ex(context, NULL, digest, NULL, NULL, key, NULL), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &len, tbs, tbs_len), 1);
    size_t bits = 1 + len, bits_header = bits >= 256 ? 4 : bits >= 128 ? 3 : 2;
    small_put_header(&der, 0x30, tbs_len + algorithm_len + bits_header + bits);
    small_put(&der, tbs, tbs_len);
    small_put(&der, algorithm, algorithm_len);
    small_put_header(&der, 0x03, bits);
    small_put(&der, "", 1);
    small_put(&der, signature, len);
    EVP_MD_CTX_free(context);
    return der;
}

/* A CertificateList with ECDSA and SHA-256 from what stands inside of its tbsCertList. */
static inline small_der small_crl(const char *inside, EVP_PKEY *key)
{
    char text[DER_TEXT_MAX];
    uint8_t tbs[DER_TEXT_MAX];
    assert_in_range(snprintf(text, sizeof(text), "30{%s}", inside), 1, sizeof(text) - 1);
    size_t len = der_text(text, tbs);
    return small_crl_sign(tbs, len, CRL_ECDSA, key, "SHA256");
}

/* In pieces of `step` bytes. */
static inline estuary_status small_crl_read(const void *bytes, size_t len, size_t step, const X509 *wanted,
                                            const STACK_OF(X509) *signers, est_crl **out, estuary_error *err)
{
    est_crl_reader *reader = NULL;
    *out = NULL;
    estuary_status status = est_crl_reader_new(wanted, SMALL_CRL_MAX, &reader, err);
    for (size_t at = 0; status == ESTUARY_OK && at < len; at += step) {
        size_t count = len - at < step ? len - at : step;
        uint8_t *piece = OPENSSL_memdup((const uint8_t *)bytes + at, count); /* for the sanitizer */
        assert_non_null(piece);
        status = est_crl_reader_feed(reader, piece, count, err);
        OPENSSL_free(piece);
    }
    if (status == ESTUARY_OK)
        status = est_crl_reader_final(reader, signers, out, err);
    est_crl_reader_free(reader);
    return status;
}

#endif
