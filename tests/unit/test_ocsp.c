/* OCSP: what is asked, and what an answer must be to count (R1, RFC 6960, RFC 8954), and must-staple (R3). */
#include "der_text.h"
#include "small_ocsp.h"

#include <openssl/err.h>

static small_pki pki;

static int set_up(void **state)
{
    (void)state;
    pki = small_pki_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    small_pki_free(&pki);
    return 0;
}

static est_question about(const made *leaf)
{
    return (est_question){.certificate = leaf->cert, .issuer = pki.ca.cert, .now = pki.now, .skew = 300};
}

/* --- judging ------------------------------------------------------------------------------------------ */

typedef struct expected {
    estuary_revocation_status status;
    const char *code;
    bool delegate; /* to be checked */
} expected;

static const expected good = {ESTUARY_REVOCATION_GOOD, "", false};
static const expected revoked = {ESTUARY_REVOCATION_REVOKED, "", false};

static expected refused(const char *code)
{
    return (expected){ESTUARY_REVOCATION_UNKNOWN, code, false};
}

static void assert_verdict(const estuary_verdict *verdict, const X509 *delegate, const expected *want)
{
    if (estuary_verdict_status(verdict) != want->status ||
        strcmp(estuary_verdict_code(verdict), want->code) != 0)
        fail_msg("%s %s (%s) instead of %s %s",
                 estuary_revocation_status_name(estuary_verdict_status(verdict)),
                 estuary_verdict_code(verdict), estuary_verdict_why(verdict),
                 estuary_revocation_status_name(want->status), want->code);
    assert_int_equal(estuary_verdict_why(verdict)[0] != '\0', want->status == ESTUARY_REVOCATION_UNKNOWN);
    assert_int_equal(delegate != NULL, want->delegate);
}

static void judge_der(const est_question *question, const est_ocsp_request *request, const uint8_t *der,
                      size_t len, expected want)
{
    X509 *delegate = NULL;
    estuary_verdict *verdict = est_verdict_new();
    assert_int_equal(est_ocsp_judge(question, request, der, len, verdict, &delegate, NULL), ESTUARY_OK);
    assert_verdict(verdict, delegate, &want);
    if (want.status != ESTUARY_REVOCATION_UNKNOWN)
        assert_int_equal(estuary_verdict_evidence(verdict), ESTUARY_REVOCATION_OCSP);
    assert_int_equal(ERR_peek_error(), 0);
    X509_free(delegate);
    estuary_verdict_free(verdict);
}

static void judge_with(const est_question *question, const est_ocsp_request *request, const small_ocsp *how,
                       expected want)
{
    size_t len = 0;
    small_ocsp full = *how;
    if (full.cert == NULL)
        full.cert = pki.leaf.cert;
    if (full.issuer == NULL)
        full.issuer = pki.ca.cert;
    if (full.signer == NULL)
        full.signer = &pki.ca;
    uint8_t *der = small_ocsp_answer(&full, pki.now, &len);
    judge_der(question, request, der, len, want);
    OPENSSL_free(der);
}

static void judge(const small_ocsp *how, expected want)
{
    est_question question = about(&pki.leaf);
    judge_with(&question, NULL, how, want);
}

static void test_direct(void **state)
{
    (void)state;
    judge(&(small_ocsp){.signer = &pki.ca}, good);
    judge(&(small_ocsp){.signer = &pki.ca, .by_key = true}, good);
    judge(&(small_ocsp){.singles = {{.status = V_OCSP_CERTSTATUS_UNKNOWN}}},
          refused("ocsp.unknown-certificate"));
    /* certificates that are of no use do no harm */
    judge(&(small_ocsp){.certs = {pki.ca.cert, pki.other.cert, pki.other_ca.cert}}, good);
}

static void test_certid_digests(void **state)
{
    (void)state;
    const EVP_MD *digests[] = {EVP_sha1(), EVP_sha256(), EVP_sha384(), EVP_sha512()};
    for (size_t i = 0; i < COUNT_OF(digests); i++)
        judge(&(small_ocsp){.singles = {{.digest = digests[i]}}}, good);
    judge(&(small_ocsp){.singles = {{.digest = EVP_md5()}}}, refused("ocsp.other-certificate"));
    judge(&(small_ocsp){.singles = {{.digest = EVP_sha224()}}}, refused("ocsp.other-certificate"));
}

static void test_revoked(void **state)
{
    (void)state;
    X509 *delegate = NULL;
    size_t len = 0;
    est_question question = about(&pki.leaf);
    estuary_verdict *verdict = est_verdict_new();
    small_ocsp how = {.cert = pki.leaf.cert,
                      .issuer = pki.ca.cert,
                      .signer = &pki.ca,
                      .singles = {{.status = V_OCSP_CERTSTATUS_REVOKED,
                                   .reason = OCSP_REVOKED_STATUS_KEYCOMPROMISE,
                                   .revoked = -7200,
                                   .made = -1800,
                                   .next = 1800}}};
    uint8_t *der = small_ocsp_answer(&how, pki.now, &len);
    /* thisUpdate after producedAt (an hour ago) by more than the clocks may differ */
    judge_der(&question, NULL, der, len, refused("ocsp.produced-at"));
    OPENSSL_free(der);
    how.produced = -1800;
    der = small_ocsp_answer(&how, pki.now, &len);
    assert_int_equal(est_ocsp_judge(&question, NULL, der, len, verdict, &delegate, NULL), ESTUARY_OK);
    assert_int_equal(estuary_verdict_status(verdict), ESTUARY_REVOCATION_REVOKED);
    assert_string_equal(estuary_verdict_reason(verdict), "keyCompromise");
    assert_int_equal(estuary_verdict_revoked_at(verdict), pki.now - 7200);
    assert_int_equal(estuary_verdict_this_update(verdict), pki.now - 1800);
    assert_int_equal(estuary_verdict_next_update(verdict), pki.now + 1800);
    assert_string_equal(estuary_verdict_code(verdict), "");
    OPENSSL_free(der);
    estuary_verdict_free(verdict);
    /* no reason; on hold; a reason that only delta CRLs have: revoked all the same */
    judge(&(small_ocsp){.singles = {{.status = V_OCSP_CERTSTATUS_REVOKED, .reason = -1}}}, revoked);
    judge(&(small_ocsp){.singles = {{.status = V_OCSP_CERTSTATUS_REVOKED, .reason = 6}}}, revoked);
    judge(&(small_ocsp){.singles = {{.status = V_OCSP_CERTSTATUS_REVOKED, .reason = 8}}}, revoked);
}

static void test_other_certificate(void **state)
{
    (void)state;
    made twin = make_ca("Issuing CA", NULL); /* the same name, another key */
    judge(&(small_ocsp){.cert = pki.other.cert}, refused("ocsp.other-certificate"));
    judge(&(small_ocsp){.issuer = twin.cert}, refused("ocsp.other-certificate"));
    judge(&(small_ocsp){.singles = {{.issuer = pki.other_ca.cert}}}, refused("ocsp.other-certificate"));
    free_made(&twin);
}

/* R0: revoked wins; and a doubt beside a "good" stays a doubt. */
static void test_several(void **state)
{
    (void)state;
    const small_single is_good = {.status = V_OCSP_CERTSTATUS_GOOD};
    const small_single is_revoked = {.status = V_OCSP_CERTSTATUS_REVOKED, .reason = -1};
    const small_single is_unknown = {.status = V_OCSP_CERTSTATUS_UNKNOWN};
    const small_single is_stale = {.made = -90000, .next = -80000, .revoked = NOTHING};
    const small_single of_other = {.cert = pki.other.cert, .status = V_OCSP_CERTSTATUS_REVOKED, .reason = -1};
    judge(&(small_ocsp){.singles = {is_good, is_revoked}, .count = 2}, revoked);
    judge(&(small_ocsp){.singles = {is_revoked, is_good}, .count = 2}, revoked);
    judge(&(small_ocsp){.singles = {is_unknown, is_revoked, is_good}, .count = 3}, revoked);
    judge(&(small_ocsp){.singles = {is_good, is_unknown}, .count = 2}, refused("ocsp.unknown-certificate"));
    judge(&(small_ocsp){.singles = {is_unknown, is_good}, .count = 2}, refused("ocsp.unknown-certificate"));
    judge(&(small_ocsp){.singles = {is_good, is_stale}, .count = 2}, refused("revocation.stale"));
    judge(&(small_ocsp){.singles = {of_other, is_good}, .count = 2}, good);
    judge(&(small_ocsp){.singles = {of_other, of_other}, .count = 2}, refused("ocsp.other-certificate"));
}

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        long made, next, produced;
        const char *code;
    } cases[] = {
        {-3600, 3600, -3600, ""},
        {-3600, NOTHING, -3600, ""},
        {-3600, -200, -3600, ""}, /* within the skew */
        {200, 3600, 200, ""},
        {-3600, -400, -3600, "revocation.stale"},
        {400, 3600, -60, "revocation.not-yet-valid"},
        {-8 * 86400, NOTHING, -8 * 86400, "revocation.too-old"},
        {-8 * 86400, 3600, -8 * 86400, ""},
        {-3600, 3600, 400, "ocsp.produced-at"},
        {-3600, 3600, -4000, "ocsp.produced-at"},
        {-60, -100, -60, "revocation.stale"}, /* nextUpdate before thisUpdate */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        judge(&(small_ocsp){.singles = {{.made = cases[i].made, .next = cases[i].next, .revoked = NOTHING}},
                            .produced = cases[i].produced},
              cases[i].code[0] == '\0' ? good : refused(cases[i].code));
    est_question strict = about(&pki.leaf);
    strict.max_age = 1800;
    judge_with(&strict, NULL, &(small_ocsp){.count = 0}, refused("revocation.too-old"));
    /* out of date is out of date for "revoked" too: it may have been a certificateHold */
    judge(&(small_ocsp){.singles = {{.status = V_OCSP_CERTSTATUS_REVOKED,
                                     .reason = 6,
                                     .revoked = -9000,
                                     .made = -8000,
                                     .next = -7000}},
                        .produced = -8000},
          refused("revocation.stale"));
}

/* --- the signer --------------------------------------------------------------------------------------- */

static void test_delegate(void **state)
{
    (void)state;
    expected checked = {ESTUARY_REVOCATION_GOOD, "", true};
    expected checked_revoked = {ESTUARY_REVOCATION_REVOKED, "", true};
    small_single is_revoked = {.status = V_OCSP_CERTSTATUS_REVOKED, .reason = -1};
    judge(&(small_ocsp){.signer = &pki.delegate, .certs = {pki.delegate.cert}}, good);
    judge(&(small_ocsp){.signer = &pki.delegate, .certs = {pki.delegate.cert}, .by_key = true}, good);
    judge(&(small_ocsp){.signer = &pki.checked, .certs = {pki.checked.cert}}, checked);
    judge(&(small_ocsp){.signer = &pki.checked, .certs = {pki.checked.cert}, .singles = {is_revoked}},
          checked_revoked);
    judge(&(small_ocsp){.signer = &pki.delegate}, refused("ocsp.signer")); /* not sent along */
    judge(&(small_ocsp){.signer = &pki.delegate, .certs = {pki.checked.cert}}, refused("ocsp.signer"));
    judge(&(small_ocsp){.signer = &pki.other_ca, .certs = {pki.other_ca.cert}}, refused("ocsp.signer"));
    judge(&(small_ocsp){.signer = &pki.delegate, .certs = {pki.delegate.cert}, .break_signature = true},
          refused("ocsp.signature"));
    judge(&(small_ocsp){.break_signature = true}, refused("ocsp.signature"));
    judge(&(small_ocsp){.break_signature = true, .certs = {pki.ca.cert}}, refused("ocsp.signature"));
}

/* RFC 6960 4.2.2.2: each of these is signed by a key that the chain would lead to, and still must not count.
 */
static void test_wrong_delegates(void **state)
{
    (void)state;
    made below = make_ca("Sub CA", &pki.ca);
    made twin = make_ca("Issuing CA", NULL);
    const struct {
        recipe how;
        const char *code;
    } cases[] = {
        {{.cn = "no EKU", .issuer = &pki.ca, .usage = "digitalSignature"}, "ocsp.signer"},
        {{.cn = "any EKU", .issuer = &pki.ca, .purposes = "anyExtendedKeyUsage"}, "ocsp.signer"},
        {{.cn = "server", .issuer = &pki.ca, .purposes = "serverAuth,clientAuth"}, "ocsp.signer"},
        {{.cn = "other CA", .issuer = &pki.other_ca, .purposes = "OCSPSigning"}, "ocsp.signer"},
        {{.cn = "below", .issuer = &below, .purposes = "OCSPSigning"}, "ocsp.signer"},
        {{.cn = "twin's", .issuer = &twin, .purposes = "OCSPSigning"}, "ocsp.signer"},
        {{.cn = "self", .purposes = "OCSPSigning"}, "ocsp.signer"},
        {{.cn = "broken", .issuer = &pki.ca, .purposes = "OCSPSigning", .broken_signature = true},
         "ocsp.signer"},
        {{.cn = "old", .issuer = &pki.ca, .purposes = "OCSPSigning", .from = -7200, .to = -3600},
         "ocsp.signer"},
        {{.cn = "early", .issuer = &pki.ca, .purposes = "OCSPSigning", .from = 3600, .to = 7200},
         "ocsp.signer"},
        {{.cn = "usage", .issuer = &pki.ca, .purposes = "OCSPSigning", .usage = "keyAgreement"},
         "ocsp.signer"},
        {{.cn = "critical", .issuer = &pki.ca, .purposes = "OCSPSigning", .unknown_critical = true},
         "ocsp.signer"},
        {{.cn = "SHA-1", .issuer = &pki.ca, .purposes = "OCSPSigning", .digest = "SHA1"},
         "ocsp.weak-signature"},
        {{.cn = "RSA 1024", .issuer = &pki.ca, .purposes = "OCSPSigning", .kind = "rsa:1024"},
         "ocsp.weak-signature"},
        {{.cn = "fine",
          .issuer = &pki.ca,
          .purposes = "OCSPSigning",
          .usage = "nonRepudiation",
          .no_check = true},
         ""},
        {{.cn = "Issuing CA", .issuer = &pki.ca, .purposes = "OCSPSigning", .no_check = true}, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        made delegate = make_cert(&cases[i].how);
        expected want = cases[i].code[0] == '\0' ? good : refused(cases[i].code);
        judge(&(small_ocsp){.signer = &delegate, .certs = {delegate.cert}}, want);
        judge(&(small_ocsp){.signer = &delegate, .certs = {delegate.cert, pki.ca.cert}, .by_key = true},
              want);
        free_made(&delegate);
    }
    free_made(&below);
    free_made(&twin);
}

/* A certificate with id-kp-OCSPSigning that vouches for itself. */
static void test_signed_by_itself(void **state)
{
    (void)state;
    est_question question = about(&pki.delegate);
    judge_with(
        &question, NULL,
        &(small_ocsp){.cert = pki.delegate.cert, .signer = &pki.delegate, .certs = {pki.delegate.cert}},
        refused("ocsp.signer"));
}

static void test_named_by_another(void **state)
{
    (void)state;
    /* the responder names the CA, its delegate's key signed */
    made liar = {.cert = pki.ca.cert, .key = pki.delegate.key};
    size_t len = 0;
    est_question question = about(&pki.leaf);
    unsigned char *der = NULL;
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    small_ocsp how = {
        .cert = pki.leaf.cert, .issuer = pki.ca.cert, .signer = &pki.delegate, .certs = {pki.delegate.cert}};
    small_ocsp_add(basic, &how, &how.singles[0], pki.now);
    small_ocsp_sign(basic, &how, pki.now);
    /* OCSP_basic_sign() wants key and certificate to match: the name is changed, and signed once more */
    const X509_NAME *name = NULL;
    const ASN1_OCTET_STRING *hash = NULL;
    assert_int_equal(OCSP_resp_get0_id(basic, &hash, &name), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt((X509_NAME *)name, "O", MBSTRING_ASC,
                                                (const unsigned char *)"more", -1, -1, 0),
                     1);
    ASN1_item_sign(ASN1_ITEM_rptr(OCSP_RESPDATA), NULL, NULL,
                   (ASN1_BIT_STRING *)OCSP_resp_get0_signature(basic), OCSP_resp_get0_respdata(basic),
                   liar.key, EVP_sha256());
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    len = (size_t)i2d_OCSP_RESPONSE(response, &der);
    judge_der(&question, NULL, der, len, refused("ocsp.signer"));
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
}

static void test_weak_digests(void **state)
{
    (void)state;
    judge(&(small_ocsp){.digest = "SHA1"}, refused("ocsp.weak-signature"));
    judge(&(small_ocsp){.digest = "SHA224"}, good);
    judge(&(small_ocsp){.digest = "SHA512"}, good);
    judge(&(small_ocsp){.signer = &pki.delegate, .certs = {pki.delegate.cert}, .digest = "SHA1"},
          refused("ocsp.weak-signature"));
    made rsa = make_cert(&(recipe){
        .cn = "RSA", .issuer = &pki.ca, .purposes = "OCSPSigning", .kind = "rsa:2048", .no_check = true});
    judge(&(small_ocsp){.signer = &rsa, .certs = {rsa.cert}}, good);
    judge(&(small_ocsp){.signer = &rsa, .certs = {rsa.cert}, .digest = "SHA1"},
          refused("ocsp.weak-signature"));
    judge(&(small_ocsp){.signer = &rsa, .certs = {rsa.cert}, .digest = "MD5"},
          refused("ocsp.weak-signature"));
    free_made(&rsa);
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    made edwards = make_cert(&(recipe){
        .cn = "Ed25519", .issuer = &pki.ca, .purposes = "OCSPSigning", .key = key, .no_check = true});
    judge(&(small_ocsp){.signer = &edwards, .certs = {edwards.cert}}, good);
    free_made(&edwards);
    EVP_PKEY_free(key);
}

/* A hostile responder cannot make us verify as many signatures as it likes. */
static void test_too_many_certificates(void **state)
{
    (void)state;
    size_t len = 0;
    unsigned char *der = NULL;
    est_question question = about(&pki.leaf);
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    small_ocsp how = {.cert = pki.leaf.cert, .issuer = pki.ca.cert, .signer = &pki.delegate};
    small_ocsp_add(basic, &how, &how.singles[0], pki.now);
    small_ocsp_sign(basic, &how, pki.now);
    for (int i = 0; i < 17; i++)
        assert_int_equal(OCSP_basic_add1_cert(basic, pki.delegate.cert), 1);
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    len = (size_t)i2d_OCSP_RESPONSE(response, &der);
    judge_der(&question, NULL, der, len, refused("ocsp.malformed"));
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
}

/* --- nonce and extensions ------------------------------------------------------------------------------- */

static void test_nonce(void **state)
{
    (void)state;
    static const char other[] = "0123456789abcdef";
    est_ocsp_request with, without;
    est_question lenient = about(&pki.leaf), strict = lenient;
    strict.require_nonce = true;
    assert_int_equal(est_ocsp_request_make(pki.leaf.cert, pki.ca.cert, false, true, &with, NULL), ESTUARY_OK);
    assert_int_equal(est_ocsp_request_make(pki.leaf.cert, pki.ca.cert, false, false, &without, NULL),
                     ESTUARY_OK);
    const small_ocsp equal = {.nonce = with.request}, absent = {.nonce = NULL},
                     different = {.own_nonce = other};
    const small_ocsp twice = {.nonce = with.request, .extension = NID_id_pkix_OCSP_Nonce};
    judge_with(&lenient, &with, &equal, good);
    judge_with(&strict, &with, &equal, good);
    judge_with(&lenient, &with, &absent, good);
    judge_with(&strict, &with, &absent, refused("ocsp.no-nonce"));
    judge_with(&lenient, &with, &different, refused("ocsp.nonce"));
    judge_with(&strict, &with, &different, refused("ocsp.nonce"));
    judge_with(&lenient, &without, &different, good); /* nothing was asked */
    judge_with(&strict, &without, &different, refused("ocsp.no-nonce"));
    judge_with(&strict, NULL, &absent, good); /* a staple */
    judge_with(&strict, NULL, &different, good);
    judge_with(&lenient, &with, &twice, refused("ocsp.nonce"));
    est_ocsp_request_clear(&with);
    est_ocsp_request_clear(&without);
}

static void test_extensions(void **state)
{
    (void)state;
    const int unknown = NID_netscape_comment;
    const expected critical = refused("ocsp.critical-extension");
    judge(&(small_ocsp){.extension = unknown}, good);
    judge(&(small_ocsp){.extension = unknown, .critical = true}, critical);
    judge(&(small_ocsp){.extension = NID_id_pkix_OCSP_extendedStatus, .critical = true}, good);
    judge(&(small_ocsp){.singles = {{.extension = unknown}}}, good);
    judge(&(small_ocsp){.singles = {{.extension = unknown, .critical = true}}}, critical);
    judge(&(small_ocsp){.singles = {{.extension = NID_certificate_issuer, .critical = true}}}, critical);
    judge(&(small_ocsp){.singles = {{.extension = NID_id_pkix_OCSP_archiveCutoff, .critical = true}}}, good);
    judge(&(small_ocsp){.singles = {{.extension = NID_id_pkix_OCSP_CrlID, .critical = true}}}, good);
    judge(&(small_ocsp){.singles = {{.extension = NID_ct_cert_scts, .critical = true}}}, good);
    /* of a single response about another certificate too: the response as a whole is not understood */
    judge(&(small_ocsp){.singles = {{.extension = 0},
                                    {.cert = pki.other.cert, .extension = unknown, .critical = true}},
                        .count = 2},
          critical);
}

/* --- bytes --- */

static void test_error_responses(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *code;
    } cases[] = {{1, "ocsp.malformed-request"}, {2, "ocsp.internal-error"},     {3, "ocsp.try-later"},
                 {4, "ocsp.malformed"},         {5, "ocsp.signature-required"}, {6, "ocsp.unauthorized"},
                 {7, "ocsp.malformed"},         {127, "ocsp.malformed"}};
    est_question question = about(&pki.leaf);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const uint8_t der[] = {0x30, 0x03, 0x0a, 0x01, (uint8_t)cases[i].status};
        judge_der(&question, NULL, der, sizeof(der), refused(cases[i].code));
    }
    /* successful, and nothing in it; a number of which an int keeps only the zeros */
    judge_der(&question, NULL, (const uint8_t *)"\x30\x03\x0a\x01\x00", 5, refused("ocsp.malformed"));
    judge_der(&question, NULL, (const uint8_t *)"\x30\x07\x0a\x05\x01\x00\x00\x00\x00", 9,
              refused("ocsp.malformed"));
    /* an error status does not make what comes with it count */
    size_t len = 0;
    small_ocsp how = {.cert = pki.leaf.cert, .issuer = pki.ca.cert, .signer = &pki.ca};
    uint8_t *der = small_ocsp_answer(&how, pki.now, &len);
    assert_int_equal(der[6], 0); /* 30 82 xx xx 0a 01 00 */
    der[6] = 3;
    judge_der(&question, NULL, der, len, refused("ocsp.try-later"));
    OPENSSL_free(der);
}

typedef struct layers {
    const char *oid;              /* DER text of the type */
    size_t inner, between, outer; /* bytes too many: in the OCTET STRING, beside it, after all */
    bool long_length;             /* a length in more octets than needed */
    int version;                  /* -1: as it is, not said */
} layers;

static size_t put_length(uint8_t *out, uint8_t tag, size_t len, bool longer)
{
    size_t used = 0;
    out[used++] = tag;
    out[used++] = longer ? 0x83 : 0x82;
    if (longer)
        out[used++] = 0;
    out[used++] = (uint8_t)(len >> 8);
    out[used++] = (uint8_t)len;
    return used;
}

/* tbsResponseData with a version in front of it, in a BasicOCSPResponse */
static size_t put_version(uint8_t *basic, size_t len, int version)
{
    uint8_t field[] = {0xa0, 0x03, 0x02, 0x01, (uint8_t)version};
    size_t tbs = (size_t)(basic[6] << 8 | basic[7]) + sizeof(field), outer = len + sizeof(field) - 4;
    assert_int_equal(basic[1], 0x82);
    assert_int_equal(basic[5], 0x82);
    for (size_t i = len; i > 8; i--) /* valgrind takes the C library's fortified memmove() for memcpy() */
        basic[i - 1 + sizeof(field)] = basic[i - 1];
    memcpy(basic + 8, field, sizeof(field));
    basic[2] = (uint8_t)(outer >> 8);
    basic[3] = (uint8_t)outer;
    basic[6] = (uint8_t)(tbs >> 8);
    basic[7] = (uint8_t)tbs;
    return len + sizeof(field);
}

static void judge_layers(const layers *how, expected want)
{
    static const uint8_t basic_oid[] = {0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01};
    uint8_t basic[4096], inner[4096], response[4096];
    est_question question = about(&pki.leaf);
    size_t len = 0, used;
    /* three of them, so that each length takes two octets */
    small_ocsp answer = {.cert = pki.leaf.cert, .issuer = pki.ca.cert, .signer = &pki.ca, .count = 3};
    uint8_t *der = small_ocsp_answer(&answer, pki.now, &len);
    /* 30 82 .. 0a 01 00 a0 82 .. 30 82 .. OID 04 82 .. : the basic response */
    size_t skip = 4 + 3 + 4 + 4 + sizeof(basic_oid) + 4;
    len -= skip;
    memcpy(basic, der + skip, len);
    OPENSSL_free(der);
    if (how->version >= 0)
        len = put_version(basic, len, how->version);
    memset(basic + len, 0, how->inner);
    memcpy(inner, basic_oid, sizeof(basic_oid));
    inner[10] = (uint8_t)(how->oid == NULL ? inner[10] : how->oid[0]);
    used = sizeof(basic_oid);
    used += put_length(inner + used, 0x04, len + how->inner, how->long_length);
    memcpy(inner + used, basic, len + how->inner);
    used += len + how->inner;
    memset(inner + used, 0, how->between);
    used += how->between;
    uint8_t *at = response;
    size_t seq = used + 4;
    at += put_length(at, 0x30, 3 + 4 + seq, false);
    memcpy(at, "\x0a\x01\x00", 3);
    at += 3;
    at += put_length(at, 0xa0, seq, false);
    at += put_length(at, 0x30, used, false);
    memcpy(at, inner, used);
    at += used;
    memset(at, 0, how->outer);
    judge_der(&question, NULL, response, (size_t)(at - response) + how->outer, want);
}

/* Nothing but the exact encoding, at every layer. */
static void test_layers(void **state)
{
    (void)state;
    const expected malformed = refused("ocsp.malformed");
    judge_layers(&(layers){.version = -1}, good);
    judge_layers(&(layers){.version = -1, .outer = 1}, malformed);
    judge_layers(&(layers){.version = -1, .inner = 1}, malformed);
    judge_layers(&(layers){.version = -1, .inner = 2}, malformed);
    judge_layers(&(layers){.version = -1, .between = 2}, malformed);
    judge_layers(&(layers){.version = -1, .long_length = true}, malformed);
    judge_layers(&(layers){.version = -1, .oid = "\x02"}, refused("ocsp.response-type"));
    judge_layers(&(layers){.version = 1}, malformed);
    judge_layers(&(layers){.version = 0}, refused("ocsp.signature")); /* known, but not what was signed */
}

static void test_cut_and_changed(void **state)
{
    (void)state;
    size_t len = 0;
    est_question question = about(&pki.leaf);
    small_ocsp how = {.cert = pki.leaf.cert, .issuer = pki.ca.cert, .signer = &pki.ca};
    uint8_t *der = small_ocsp_answer(&how, pki.now, &len);
    for (size_t i = 0; i < len; i++) {
        X509 *delegate = NULL;
        estuary_verdict *verdict = est_verdict_new();
        uint8_t *cut = OPENSSL_memdup(der, i + 1); /* exactly as long: one byte too far is seen */
        judge_der(&question, NULL, cut, i, refused("ocsp.malformed"));
        OPENSSL_free(cut);
        der[i] ^= 0x01;
        assert_int_equal(est_ocsp_judge(&question, NULL, der, len, verdict, &delegate, NULL), ESTUARY_OK);
        if (estuary_verdict_status(verdict) != ESTUARY_REVOCATION_UNKNOWN)
            fail_msg("byte %zu of %zu may be changed", i, len);
        der[i] ^= 0x01;
        assert_null(delegate);
        estuary_verdict_free(verdict);
    }
    OPENSSL_free(der);
}

static void test_huge(void **state)
{
    (void)state;
    est_question question = about(&pki.leaf);
    uint8_t *bytes = OPENSSL_zalloc(EST_OCSP_BYTES_MAX + 1);
    memcpy(bytes, "\x30\x83\x0f\xff\xff", 5);
    judge_der(&question, NULL, bytes, EST_OCSP_BYTES_MAX + 1, refused("ocsp.too-large"));
    judge_der(&question, NULL, bytes, EST_OCSP_BYTES_MAX, refused("ocsp.malformed"));
    judge_der(&question, NULL, bytes, 0, refused("ocsp.malformed"));
    OPENSSL_free(bytes);
}

/* --- asking ------------------------------------------------------------------------------------------- */

static void test_request(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool sha256 = (i & 1) != 0, nonce = (i & 2) != 0;
        est_ocsp_request request;
        ASN1_OBJECT *algorithm = NULL;
        ASN1_INTEGER *serial = NULL;
        assert_int_equal(est_ocsp_request_make(pki.leaf.cert, pki.ca.cert, sha256, nonce, &request, NULL),
                         ESTUARY_OK);
        const unsigned char *at = request.der;
        OCSP_REQUEST *read = d2i_OCSP_REQUEST(NULL, &at, (long)request.len);
        assert_non_null(read);
        assert_ptr_equal(at, request.der + request.len);
        assert_int_equal(OCSP_request_onereq_count(read), 1);
        OCSP_CERTID *id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(read, 0));
        assert_int_equal(OCSP_id_get0_info(NULL, &algorithm, NULL, &serial, id), 1);
        assert_int_equal(OBJ_obj2nid(algorithm), sha256 ? NID_sha256 : NID_sha1);
        assert_int_equal(ASN1_INTEGER_get(serial), 0x0a01);
        int found = OCSP_REQUEST_get_ext_by_NID(read, NID_id_pkix_OCSP_Nonce, -1);
        assert_int_equal(found >= 0, nonce);
        if (nonce) { /* RFC 8954 2.1: an OCTET STRING of 32 octets */
            const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(OCSP_REQUEST_get_ext(read, found));
            assert_int_equal(ASN1_STRING_length(value), 34);
            assert_memory_equal(ASN1_STRING_get0_data(value), "\x04\x20", 2);
        }
        assert_int_equal(OCSP_request_is_signed(read), 0);
        OCSP_REQUEST_free(read);
        est_ocsp_request_clear(&request);
    }
}

static void test_nonces_differ(void **state)
{
    (void)state;
    est_ocsp_request one, two;
    assert_int_equal(est_ocsp_request_make(pki.leaf.cert, pki.ca.cert, false, true, &one, NULL), ESTUARY_OK);
    assert_int_equal(est_ocsp_request_make(pki.leaf.cert, pki.ca.cert, false, true, &two, NULL), ESTUARY_OK);
    assert_int_equal(one.len, two.len);
    assert_memory_not_equal(one.der, two.der, one.len);
    est_ocsp_request_clear(&one);
    est_ocsp_request_clear(&two);
}

/* RFC 6960 A.1 */
static void test_get_url(void **state)
{
    (void)state;
    static uint8_t bytes[] = {0xfb, 0xff, 0xfe, 0x01};
    static uint8_t many[255];
    const est_ocsp_request small = {.der = bytes, .len = sizeof(bytes)};
    char *url = est_ocsp_get_url("http://ocsp.example", &small);
    assert_string_equal(url, "http://ocsp.example/%2B%2F%2F%2BAQ%3D%3D");
    est_free(url);
    url = est_ocsp_get_url("http://ocsp.example/a/", &small);
    assert_string_equal(url, "http://ocsp.example/a/%2B%2F%2F%2BAQ%3D%3D");
    est_free(url);
    assert_null(est_ocsp_get_url("http://ocsp.example/?x=1", &small));
    assert_null(est_ocsp_get_url("http://ocsp.example/#x", &small));
    /* 255 bytes are fine, 256 are not: base64 of 3 zero bytes is AAAA */
    for (size_t n = 0; n < 2; n++) {
        char responder[256];
        memset(responder, 'a', sizeof(responder));
        memcpy(responder, "http://", 7);
        responder[14 + n] = '\0';
        const est_ocsp_request large = {.der = many, .len = 180}; /* 240 characters */
        url = est_ocsp_get_url(responder, &large);
        assert_int_equal(url != NULL, n == 0);
        assert_true(url == NULL || strlen(url) == 255);
        est_free(url);
    }
    const est_ocsp_request larger = {.der = many, .len = 192}, largest = {.der = many, .len = 255};
    assert_null(est_ocsp_get_url("http://a", &larger));
    assert_null(est_ocsp_get_url("http://a", &largest));
    /* an ordinary request fits */
    est_ocsp_request request;
    assert_int_equal(est_ocsp_request_make(pki.leaf.cert, pki.ca.cert, false, true, &request, NULL),
                     ESTUARY_OK);
    url = est_ocsp_get_url("http://ocsp.example.com", &request);
    assert_non_null(url);
    assert_null(strpbrk(url + 7 + strlen("ocsp.example.com/"), "+/=\r\n"));
    est_free(url);
    est_ocsp_request_clear(&request);
}

/* --- RFC 7633 --- */

static bool must(const char *feature)
{
    made server = make_cert(&(recipe){.cn = "server", .issuer = &pki.ca, .tls_feature = feature});
    bool answer = est_staple_must(server.cert);
    free_made(&server);
    return answer;
}

static void test_must_staple(void **state)
{
    (void)state;
    assert_false(must(NULL));
    assert_true(must("status_request"));
    assert_true(must("5"));
    assert_true(must("17,5"));
    assert_false(must("17")); /* status_request_v2: OpenSSL does not ask for it */
    assert_false(must("10"));
    /* what cannot be read is taken at its strictest */
    X509 *copy = X509_dup(pki.leaf.cert);
    X509_EXTENSION *broken = small_ocsp_extension(NID_tlsfeature, false); /* NULL instead of a SEQUENCE */
    assert_int_equal(X509_add_ext(copy, broken, -1), 1);
    assert_true(est_staple_must(copy));
    assert_int_equal(ERR_peek_error(), 0);
    X509_EXTENSION_free(broken);
    X509_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_certid_digests),
        cmocka_unit_test(test_revoked),
        cmocka_unit_test(test_other_certificate),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_delegate),
        cmocka_unit_test(test_wrong_delegates),
        cmocka_unit_test(test_signed_by_itself),
        cmocka_unit_test(test_named_by_another),
        cmocka_unit_test(test_weak_digests),
        cmocka_unit_test(test_too_many_certificates),
        cmocka_unit_test(test_nonce),
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_error_responses),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_cut_and_changed),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_nonces_differ),
        cmocka_unit_test(test_get_url),
        cmocka_unit_test(test_must_staple),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
