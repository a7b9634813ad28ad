/* An OCSP responder in a few lines, for tests that need no network; everything asserts. */
#ifndef TEST_SMALL_OCSP_H
#define TEST_SMALL_OCSP_H

#include "make_certs.h"
#include "revocation/revocation.h"
#include "support.h"

#include <time.h>

#define NOTHING LONG_MIN /* no nextUpdate, no revocation time */

typedef struct small_single {
    X509 *cert, *issuer;      /* NULL: the responder's preset */
    const EVP_MD *digest;     /* of the certID; NULL: SHA-1 */
    int status;               /* V_OCSP_CERTSTATUS_* */
    int reason;               /* of revoked; -1: none */
    long revoked, made, next; /* seconds from now; all 0: an hour ago, an hour ago, in an hour */
    int extension;            /* NID of a single extension; 0: none */
    bool critical;
} small_single;

typedef struct small_ocsp {
    X509 *cert, *issuer; /* what singles are about when they do not say */
    small_single singles[4];
    size_t count; /* 0: one, as singles[0] is */
    const made *signer;
    bool by_key;
    X509 *certs[3];        /* sent along */
    const char *digest;    /* of the signature; NULL: SHA256 */
    long produced;         /* seconds from now; 0: an hour ago */
    OCSP_REQUEST *nonce;   /* echoes this request's */
    const char *own_nonce; /* 16 bytes instead */
    int extension;         /* NID of a response extension; 0: none */
    bool critical;
    bool break_signature;
} small_ocsp;

static inline ASN1_TIME *small_time(time_t now, long from_now)
{
    return from_now == NOTHING ? NULL : ASN1_GENERALIZEDTIME_adj(NULL, now, 0, from_now);
}

static inline X509_EXTENSION *small_ocsp_extension(int nid, bool critical)
{
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05\x00", 2), 1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_NID(NULL, nid, critical ? 1 : 0, value);
    assert_non_null(extension);
    ASN1_OCTET_STRING_free(value);
    return extension;
}

static inline void small_ocsp_add(OCSP_BASICRESP *basic, const small_ocsp *how, const small_single *one,
                                  time_t now)
{
    bool preset = one->revoked == 0 && one->made == 0 && one->next == 0;
    OCSP_CERTID *id = OCSP_cert_to_id(one->digest != NULL ? one->digest : EVP_sha1(),
                                      one->cert != NULL ? one->cert : how->cert,
                                      one->issuer != NULL ? one->issuer : how->issuer);
    ASN1_TIME *made_at = small_time(now, preset ? -3600 : one->made);
    ASN1_TIME *next = small_time(now, preset ? 3600 : one->next);
    ASN1_TIME *revoked = small_time(now, preset ? -3600 : one->revoked);
    OCSP_SINGLERESP *single =
        OCSP_basic_add1_status(basic, id, one->status, one->reason, revoked, made_at, next);
    assert_non_null(single);
    if (one->extension != 0) {
        X509_EXTENSION *extension = small_ocsp_extension(one->extension, one->critical);
        assert_int_equal(OCSP_SINGLERESP_add_ext(single, extension, -1), 1);
        X509_EXTENSION_free(extension);
    }
    ASN1_TIME_free(made_at);
    ASN1_TIME_free(next);
    ASN1_TIME_free(revoked);
    OCSP_CERTID_free(id);
}

static inline void small_ocsp_extend(OCSP_BASICRESP *basic, const small_ocsp *how)
{
    if (how->nonce != NULL)
        assert_int_equal(OCSP_copy_nonce(basic, how->nonce), 1);
    if (how->own_nonce != NULL)
        assert_int_equal(OCSP_basic_add1_nonce(basic, (unsigned char *)how->own_nonce, 16), 1);
    if (how->extension != 0) {
        X509_EXTENSION *extension = small_ocsp_extension(how->extension, how->critical);
        assert_int_equal(OCSP_BASICRESP_add_ext(basic, extension, -1), 1);
        X509_EXTENSION_free(extension);
    }
}

static inline void small_ocsp_sign(OCSP_BASICRESP *basic, const small_ocsp *how, time_t now)
{
    unsigned long flags = OCSP_NOCERTS | OCSP_NOTIME | (how->by_key ? OCSP_RESPID_KEY : 0UL);
    STACK_OF(X509) *certs = sk_X509_new_null();
    const EVP_MD *digest = EVP_get_digestbyname(how->digest == NULL ? "SHA256" : how->digest);
    int type = EVP_PKEY_get_id(how->signer->key);
    assert_non_null(ASN1_GENERALIZEDTIME_adj((ASN1_TIME *)OCSP_resp_get0_produced_at(basic), now, 0,
                                             how->produced == 0 ? -3600 : how->produced));
    for (size_t i = 0; i < COUNT_OF(how->certs) && how->certs[i] != NULL; i++)
        assert_int_equal(OCSP_basic_add1_cert(basic, how->certs[i]), 1);
    assert_int_equal(OCSP_basic_sign(basic, how->signer->cert, how->signer->key,
                                     type == EVP_PKEY_ED25519 ? NULL : digest, certs, flags),
                     1);
    sk_X509_free(certs);
}

/* The DER, freed with OPENSSL_free(). */
static inline uint8_t *small_ocsp_answer(const small_ocsp *how, time_t now, size_t *len)
{
    unsigned char *der = NULL;
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    for (size_t i = 0; i < (how->count == 0 ? 1 : how->count); i++)
        small_ocsp_add(basic, how, &how->singles[i], now);
    small_ocsp_extend(basic, how);
    small_ocsp_sign(basic, how, now);
    if (how->break_signature)
        ((ASN1_BIT_STRING *)OCSP_resp_get0_signature(basic))->data[10] ^= 1;
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    int size = i2d_OCSP_RESPONSE(response, &der);
    assert_true(size > 0);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    *len = (size_t)size;
    return der;
}

/* certificate, issuer and what else a responder test needs */
typedef struct small_pki {
    made ca, leaf, other, other_ca;
    made delegate, checked; /* with and without id-pkix-ocsp-nocheck */
    time_t now;
} small_pki;

static inline made small_delegate(const made *issuer, const char *cn, bool no_check)
{
    recipe how = {.cn = cn,
                  .issuer = issuer,
                  .purposes = "OCSPSigning",
                  .usage = "digitalSignature",
                  .serial = no_check ? "51" : "52",
                  .no_check = no_check};
    return make_cert(&how);
}

static inline small_pki small_pki_new(void)
{
    small_pki pki = {.now = time(NULL)};
    pki.ca = make_ca("Issuing CA", NULL);
    pki.other_ca = make_ca("Another CA", NULL);
    pki.leaf = make_cert(&(recipe){.cn = "device", .issuer = &pki.ca, .serial = "0A01"});
    pki.other = make_cert(&(recipe){.cn = "another", .issuer = &pki.ca, .serial = "0A02"});
    pki.delegate = small_delegate(&pki.ca, "Responder", true);
    pki.checked = small_delegate(&pki.ca, "Checked responder", false);
    return pki;
}

static inline void small_pki_free(small_pki *pki)
{
    made *all[] = {&pki->ca, &pki->leaf, &pki->other, &pki->other_ca, &pki->delegate, &pki->checked};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        free_made(all[i]);
}

#endif
