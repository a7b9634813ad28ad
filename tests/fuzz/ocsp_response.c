/*
 * R1: a whole OCSP response, or a tbsResponseData signed here so that mutations get past the signature. What
 * we call good OpenSSL must call good too; what we call revoked, it must at least not call good alone.
 *
 * The first byte says how: its low 3 bits who signs (0: the input is a whole response), 0x08 whether there
 * was a request with a nonce, 0x10 whether a nonce is required. Keys are fixed and signatures are Ed25519:
 * the same input is the same response each time.
 */
#include "fuzz.h"
#include "revocation/revocation.h"

#include <openssl/err.h>

#define NOW      1780272000 /* the first of June 2026 */
#define BODY_MAX 65536
#define ASKED    0x08
#define REQUIRED 0x10
#define SERIAL   0x0a01
#define NONCE    "estuary fuzz ocsp nonce 32 bytes"

enum { WHOLE, ISSUER, DELEGATE, CHECKED_DELEGATE, NO_DELEGATE, SIGNERS };

/* Made once, never changed. */
static struct {
    EVP_PKEY *key[SIGNERS];
    X509 *cert[SIGNERS];
    X509 *leaf;
    est_ocsp_request request;
    X509_STORE *store;
} fixed;

static EVP_PKEY *make_key(int which)
{
    uint8_t raw[32] = "estuary fuzz ocsp key number 0..";
    raw[29] = (uint8_t)('0' + which);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, sizeof(raw));
    REQUIRE(key != NULL);
    return key;
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = value == NULL ? NULL : X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    REQUIRE(value == NULL || (extension != NULL && X509_add_ext(cert, extension, -1) == 1));
    X509_EXTENSION_free(extension);
}

static X509 *make_cert(const char *cn, long serial, EVP_PKEY *key, const char *ca, const char *purposes,
                       const char *no_check)
{
    X509 *cert = X509_new();
    X509_NAME *issuer = X509_NAME_new();
    REQUIRE(cert != NULL && issuer != NULL && X509_set_version(cert, X509_VERSION_3) == 1);
    REQUIRE(X509_NAME_add_entry_by_txt(issuer, "CN", MBSTRING_UTF8, (const unsigned char *)"Fuzz CA", -1, -1,
                                       0) == 1);
    REQUIRE(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                       (const unsigned char *)cn, -1, -1, 0) == 1);
    REQUIRE(X509_set_issuer_name(cert, issuer) == 1 && X509_set_pubkey(cert, key) == 1);
    REQUIRE(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial) == 1);
    REQUIRE(ASN1_TIME_set_string(X509_getm_notBefore(cert), "20250101000000Z") == 1);
    REQUIRE(ASN1_TIME_set_string(X509_getm_notAfter(cert), "20490101000000Z") == 1);
    add_extension(cert, NID_basic_constraints, ca);
    add_extension(cert, NID_ext_key_usage, purposes);
    add_extension(cert, NID_id_pkix_OCSP_noCheck, no_check);
    REQUIRE(X509_sign(cert, fixed.key[ISSUER], NULL) > 0);
    X509_NAME_free(issuer);
    return cert;
}

static void set_up(void)
{
    if (fixed.store != NULL)
        return;
    for (int i = ISSUER; i < SIGNERS; i++)
        fixed.key[i] = make_key(i);
    fixed.cert[ISSUER] = make_cert("Fuzz CA", 1, fixed.key[ISSUER], "critical,CA:TRUE", NULL, NULL);
    fixed.cert[DELEGATE] = make_cert("Delegate", 2, fixed.key[DELEGATE], NULL, "OCSPSigning", "");
    fixed.cert[CHECKED_DELEGATE] =
        make_cert("Delegate", 3, fixed.key[CHECKED_DELEGATE], NULL, "OCSPSigning", NULL);
    fixed.cert[NO_DELEGATE] = make_cert("Delegate", 4, fixed.key[NO_DELEGATE], NULL, "serverAuth", NULL);
    fixed.leaf = make_cert("Device", SERIAL, fixed.key[NO_DELEGATE], NULL, NULL, NULL);
    fixed.request.request = OCSP_REQUEST_new();
    REQUIRE(OCSP_request_add1_nonce(fixed.request.request, (unsigned char *)NONCE, 32) == 1);
    fixed.store = X509_STORE_new();
    REQUIRE(fixed.store != NULL && X509_STORE_add_cert(fixed.store, fixed.cert[ISSUER]) == 1);
    REQUIRE(X509_STORE_set_flags(fixed.store, X509_V_FLAG_NO_CHECK_TIME) == 1);
}

/* --- a response around the input ------------------------------------------------------------------------ */

/* Puts a header in front of what ends at *at, going backwards. */
static void put_header(uint8_t **at, int tag, size_t len)
{
    uint8_t *p = *at;
    if (len < 0x80) {
        *--p = (uint8_t)len;
    } else {
        int octets = len > 0xffff ? 3 : len > 0xff ? 2 : 1;
        for (int i = 0; i < octets; i++)
            *--p = (uint8_t)(len >> 8 * i);
        *--p = (uint8_t)(0x80 | octets);
    }
    *--p = (uint8_t)tag;
    *at = p;
}

static void put_bytes(uint8_t **at, const void *bytes, size_t len)
{
    *at -= len;
    memcpy(*at, bytes, len);
}

static void put_certificate(uint8_t **at, X509 *cert)
{
    unsigned char *der = NULL;
    const uint8_t *end = *at;
    int len = i2d_X509(cert, &der);
    REQUIRE(len > 0);
    put_bytes(at, der, (size_t)len);
    put_header(at, 0x30, (size_t)(end - *at));
    put_header(at, 0xa0, (size_t)(end - *at));
    OPENSSL_free(der);
}

static void put_signature(uint8_t **at, int signer, const uint8_t *tbs, size_t len)
{
    uint8_t signature[64];
    size_t size = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    REQUIRE(ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, fixed.key[signer]) == 1);
    REQUIRE(EVP_DigestSign(ctx, signature, &size, tbs, len) == 1 && size == sizeof(signature));
    EVP_MD_CTX_free(ctx);
    put_bytes(at, signature, sizeof(signature));
    put_bytes(at, "\x03\x41\x00", 3);                 /* BIT STRING, no unused bits */
    put_bytes(at, "\x30\x05\x06\x03\x2b\x65\x70", 7); /* id-Ed25519 */
}

/* RFC 6960 4.2.1, from the end to the beginning. */
static const uint8_t *wrap(int signer, const uint8_t *tbs, size_t tbs_len, uint8_t *buffer, size_t size,
                           size_t *len)
{
    const uint8_t *end = buffer + size;
    uint8_t *at = buffer + size;
    if (signer != ISSUER)
        put_certificate(&at, fixed.cert[signer]);
    put_signature(&at, signer, tbs, tbs_len);
    put_bytes(&at, tbs, tbs_len);
    put_header(&at, 0x30, (size_t)(end - at));
    put_header(&at, 0x04, (size_t)(end - at));
    put_bytes(&at, "\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01", 11); /* id-pkix-ocsp-basic */
    put_header(&at, 0x30, (size_t)(end - at));
    put_header(&at, 0xa0, (size_t)(end - at));
    put_bytes(&at, "\x0a\x01\x00", 3);
    put_header(&at, 0x30, (size_t)(end - at));
    *len = (size_t)(end - at);
    return at;
}

/* --- what OpenSSL says --- */

static void count_states(OCSP_BASICRESP *basic, const EVP_MD *digest, int seen[3])
{
    OCSP_CERTID *id = OCSP_cert_to_id(digest, fixed.leaf, fixed.cert[ISSUER]);
    REQUIRE(id != NULL);
    for (int at = -1; (at = OCSP_resp_find(basic, id, at)) >= 0;) {
        int state = OCSP_single_get0_status(OCSP_resp_get0(basic, at), NULL, NULL, NULL, NULL);
        REQUIRE(state >= 0 && state < 3);
        seen[state]++;
    }
    OCSP_CERTID_free(id);
}

static void check_against_openssl(const uint8_t *der, size_t len, estuary_revocation_status status)
{
    int seen[3] = {0};
    const unsigned char *at = der;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)len);
    REQUIRE(response != NULL && at == der + len);
    REQUIRE(OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL);
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    STACK_OF(X509) *known = sk_X509_new_null();
    REQUIRE(basic != NULL && known != NULL && sk_X509_push(known, fixed.cert[ISSUER]) > 0);
    /* OpenSSL wants all single responses to be of one issuer when a delegate signs; it verifies one by one */
    int verified = OCSP_basic_verify(basic, known, fixed.store, OCSP_NOCHECKS);
    REQUIRE(verified == 1);
    count_states(basic, EVP_sha1(), seen);
    count_states(basic, EVP_sha256(), seen);
    count_states(basic, EVP_sha384(), seen);
    count_states(basic, EVP_sha512(), seen);
    if (status == ESTUARY_REVOCATION_GOOD)
        REQUIRE(seen[V_OCSP_CERTSTATUS_GOOD] > 0 && seen[V_OCSP_CERTSTATUS_REVOKED] == 0 &&
                seen[V_OCSP_CERTSTATUS_UNKNOWN] == 0);
    else
        REQUIRE(seen[V_OCSP_CERTSTATUS_REVOKED] > 0);
    sk_X509_free(known);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
}

/* --- the target --- */

static void check_verdict(const est_question *question, int signer, const estuary_verdict *verdict,
                          const X509 *delegate)
{
    if (verdict->status == ESTUARY_REVOCATION_UNKNOWN) {
        REQUIRE(estuary_verdict_code(verdict)[0] != '\0' && estuary_verdict_why(verdict)[0] != '\0');
        REQUIRE(delegate == NULL);
        return;
    }
    REQUIRE(signer != NO_DELEGATE && signer < SIGNERS);
    REQUIRE(signer == WHOLE || (delegate != NULL) == (signer == CHECKED_DELEGATE));
    REQUIRE(verdict->this_update <= question->now + question->skew);
    REQUIRE(verdict->next_update == 0 || verdict->next_update >= question->now - question->skew);
    REQUIRE(verdict->next_update != 0 || verdict->this_update >= question->now - 7 * 86400);
    REQUIRE(estuary_verdict_code(verdict)[0] == '\0' && estuary_verdict_why(verdict)[0] == '\0');
}

static void judge(int flags, int signer, const uint8_t *der, size_t len)
{
    est_question question = {.certificate = fixed.leaf,
                             .issuer = fixed.cert[ISSUER],
                             .now = NOW,
                             .skew = 300,
                             .require_nonce = (flags & REQUIRED) != 0};
    X509 *delegate = NULL;
    estuary_verdict *verdict = est_verdict_new();
    REQUIRE(verdict != NULL);
    REQUIRE(est_ocsp_judge(&question, (flags & ASKED) != 0 ? &fixed.request : NULL, der, len, verdict,
                           &delegate, NULL) == ESTUARY_OK);
    REQUIRE(ERR_peek_error() == 0);
    check_verdict(&question, signer, verdict, delegate);
    if (verdict->status != ESTUARY_REVOCATION_UNKNOWN)
        check_against_openssl(der, len, verdict->status);
    X509_free(delegate);
    estuary_verdict_free(verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t buffer[BODY_MAX + 4096];
    size_t len = 0;
    set_up();
    if (size == 0 || size > BODY_MAX)
        return 0;
    int signer = data[0] & 7;
    if (signer == WHOLE || signer >= SIGNERS) {
        judge(data[0], WHOLE, data + 1, size - 1);
    } else {
        const uint8_t *der = wrap(signer, data + 1, size - 1, buffer, sizeof(buffer), &len);
        judge(data[0], signer, der, len);
    }
    return 0;
}
