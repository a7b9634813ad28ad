/* R4, RFC 5280 5.1.1.2, 5.1.1.3: who signed a CRL and how, and PEM around it (RFC 7468 8). */
#include "small_crl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define ENTRIES 100

typedef struct signing {
    const char *key;    /* make_certs.h's words, or "ed25519", "ed448", "rsa-pss" */
    const char *digest; /* NULL: EdDSA */
    bool pss;
    int salt;         /* of PSS */
    const char *mask; /* its digest; NULL: the same */
    const char *code; /* NULL: good */
} signing;

static EVP_PKEY *new_key(const char *kind)
{
    if (strcmp(kind, "rsa-pss") == 0) {
        EVP_PKEY *key = NULL;
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
        assert_int_equal(EVP_PKEY_keygen_init(context), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 1024), 1);
        assert_int_equal(EVP_PKEY_generate(context, &key), 1);
        EVP_PKEY_CTX_free(context);
        return key;
    }
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, kind);
    assert_non_null(key);
    return key;
}

/* make_cert() makes EC and RSA keys; the others are made here and given to it. */
static made new_ca(const char *kind)
{
    if (strncmp(kind, "rsa:", 4) == 0 || kind[0] == 'P')
        return make_cert(&(recipe){.cn = "CA", .kind = kind, .usage = "critical,cRLSign"});
    EVP_PKEY *key = new_key(kind);
    made issuer = make_cert(&(recipe){.cn = "Root"});
    made ca = make_cert(&(recipe){.cn = "CA", .issuer = &issuer, .key = key, .usage = "critical,cRLSign"});
    EVP_PKEY_free(key);
    free_made(&issuer);
    return ca;
}

static ASN1_INTEGER *serial_of(long i)
{
    ASN1_INTEGER *serial = ASN1_INTEGER_new();
    assert_int_equal(ASN1_INTEGER_set(serial, i * 7919 + 1), 1);
    return serial;
}

static void add_entry(X509_CRL *crl, long i)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *serial = serial_of(i);
    ASN1_TIME *date = ASN1_TIME_set(NULL, 1700000000 + i);
    assert_int_equal(X509_REVOKED_set_serialNumber(entry, serial), 1);
    assert_int_equal(X509_REVOKED_set_revocationDate(entry, date), 1);
    if (i % 3 == 0) {
        ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
        assert_int_equal(ASN1_ENUMERATED_set(reason, 4), 1);
        assert_int_equal(X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0, 0), 1);
        ASN1_ENUMERATED_free(reason);
    }
    if (i % 7 == 0) {
        ASN1_GENERALIZEDTIME *invalid = ASN1_GENERALIZEDTIME_set(NULL, 1600000000);
        assert_int_equal(X509_REVOKED_add1_ext_i2d(entry, NID_invalidity_date, invalid, 0, 0), 1);
        ASN1_GENERALIZEDTIME_free(invalid);
    }
    assert_int_equal(X509_CRL_add0_revoked(crl, entry), 1);
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(date);
}

static void sign(X509_CRL *crl, EVP_PKEY *key, const signing *how)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context = NULL;
    assert_int_equal(EVP_DigestSignInit_ex(context, &key_context, how->digest, NULL, NULL, key, NULL), 1);
    if (how->pss) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, how->salt), 1);
        if (how->mask != NULL)
            assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(key_context, how->mask, NULL), 1);
    }
    assert_true(X509_CRL_sign_ctx(crl, context) > 0);
    EVP_MD_CTX_free(context);
}

/* What OpenSSL makes of it. */
static small_der make_list(const made *ca, const signing *how, int entries)
{
    small_der der = {0};
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_set(NULL, 1735689600), *to = ASN1_TIME_set(NULL, 2493072000);
    assert_int_equal(X509_CRL_set_version(crl, X509_CRL_VERSION_2), 1);
    assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->cert)), 1);
    assert_int_equal(X509_CRL_set1_lastUpdate(crl, from), 1);
    assert_int_equal(X509_CRL_set1_nextUpdate(crl, to), 1);
    for (long i = 0; i < entries; i++)
        add_entry(crl, i);
    sign(crl, ca->key, how);
    int len = i2d_X509_CRL(crl, &der.bytes);
    assert_true(len > 0);
    der.len = (size_t)len;
    X509_CRL_free(crl);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    return der;
}

static void test_algorithms(void **state)
{
    static const signing rows[] = {
        {.key = "rsa:2048", .digest = "SHA256"},
        {.key = "rsa:2048", .digest = "SHA384"},
        {.key = "rsa:2048", .digest = "SHA512"},
        {.key = "P-256", .digest = "SHA256"},
        {.key = "P-384", .digest = "SHA384"},
        {.key = "P-521", .digest = "SHA512"},
        {.key = "ed25519"},
        {.key = "ed448"},
        {.key = "rsa:2048", .digest = "SHA256", .pss = true, .salt = 32},
        {.key = "rsa:2048", .digest = "SHA256", .pss = true, .salt = 20},
        {.key = "rsa:2048", .digest = "SHA256", .pss = true, .salt = 0},
        {.key = "rsa:2048", .digest = "SHA384", .pss = true, .salt = 48, .mask = "SHA256"},
        {.key = "rsa-pss", .digest = "SHA256", .pss = true, .salt = 32},
        {.key = "rsa:2048", .digest = "SHA1", .code = "crl.weak-signature"},
        {.key = "rsa:2048", .digest = "MD5", .code = "crl.weak-signature"},
        {.key = "P-256", .digest = "SHA1", .code = "crl.weak-signature"},
        {.key = "rsa:2048", .digest = "SHA1", .pss = true, .salt = 20, .code = "crl.weak-signature"},
        {.key = "rsa:2048",
         .digest = "SHA256",
         .pss = true,
         .salt = 32,
         .mask = "SHA1",
         .code = "crl.weak-signature"},
    };
    (void)state;
    estuary_error *err = estuary_error_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        made ca = new_ca(rows[i].key);
        STACK_OF(X509) *signers = make_stack(ca.cert, NULL);
        small_der der = make_list(&ca, &rows[i], 5);
        for (size_t step = 1; step <= 4096; step *= 16) {
            est_crl *crl = NULL;
            estuary_status status = small_crl_read(der.bytes, der.len, step, NULL, signers, &crl, err);
            if (rows[i].code != NULL) {
                assert_failed(status, err, rows[i].code);
                continue;
            }
            assert_ok(status, err);
            assert_int_equal(crl->entries, 5);
            est_crl_free(crl);
        }
        if (rows[i].code == NULL) { /* the signature's last byte, and one of the entries */
            est_crl *crl = NULL;
            der.bytes[der.len - 1] ^= 0x40;
            assert_failed(small_crl_read(der.bytes, der.len, 99, NULL, signers, &crl, err), err,
                          "crl.signature");
            der.bytes[der.len - 1] ^= 0x40;
        }
        OPENSSL_free(der.bytes);
        sk_X509_pop_free(signers, X509_free);
        free_made(&ca);
    }
    estuary_error_free(err);
}

/* RFC 4055 3.1, RFC 5758: what stands in the AlgorithmIdentifier */
static void test_algorithm_identifiers(void **state)
{
    static const struct {
        const char *what, *algorithm, *code;
    } rows[] = {
        {"unknown", " 30{06:2a0304} ", "crl.algorithm"},
        {"a digest alone", " 30{06:608648016503040201 05:} ", "crl.algorithm"},
        {"DSA with SHA-256", " 30{06:608648016503040302} ", "crl.algorithm"},
        {"DSA with SHA-1", " 30{06:2a8648ce380403} ", "crl.weak-signature"},
        {"RSA with SHA-1", " 30{06:2a864886f70d010105 05:} ", "crl.weak-signature"},
        {"PSS without parameters", " 30{06:2a864886f70d01010a} ", "crl.malformed"},
        {"PSS by default", " 30{06:2a864886f70d01010a 30{}} ", "crl.weak-signature"},
        {"PSS, broken", " 30{06:2a864886f70d01010a 30{02:01}} ", "crl.malformed"},
        {"PSS, another trailer",
         " 30{06:2a864886f70d01010a 30{a0{30{06:608648016503040201}} a1{30{06:2a864886f70d010108"
         " 30{06:608648016503040201}}} a3{02:02}}} ",
         "crl.algorithm"},
        {"PSS, another mask",
         " 30{06:2a864886f70d01010a 30{a0{30{06:608648016503040201}} a1{30{06:2a0304}}}} ", "crl.algorithm"},
        {"PSS, a mask of nothing",
         " 30{06:2a864886f70d01010a 30{a0{30{06:608648016503040201}} a1{30{06:2a864886f70d010108}}}} ",
         "crl.algorithm"},
        {"PSS, negative salt",
         " 30{06:2a864886f70d01010a 30{a0{30{06:608648016503040201}} a1{30{06:2a864886f70d010108"
         " 30{06:608648016503040201}}} a2{02:ff}}} ",
         "crl.algorithm"},
        {"ECDSA with NULL", " 30{06:2a8648ce3d040302 05:} ", "crl.malformed"},
        {"Ed25519 with NULL", " 30{06:2b6570 05:} ", "crl.malformed"},
        {"RSA with a number", " 30{06:2a864886f70d01010b 02:01} ", "crl.malformed"},
        {"RSA without NULL", " 30{06:2a864886f70d01010b} ", "crl.signature"},
        {"another key's", " 30{06:2a864886f70d01010b 05:} ", "crl.signature"},
        {"another digest", " 30{06:2a8648ce3d040303} ", "crl.signature"},
        {"EdDSA", " 30{06:2b6570} ", "crl.signature"},
        {"two values", " 30{06:2a8648ce3d040302 05: 05:} ", "crl.malformed"},
    };
    (void)state;
    estuary_error *err = estuary_error_new();
    made ca = new_ca("P-256");
    STACK_OF(X509) *signers = make_stack(ca.cert, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[DER_TEXT_MAX];
        uint8_t tbs[DER_TEXT_MAX];
        snprintf(text, sizeof(text), "30{" CRL_V2 "%s" CRL_ISSUER CRL_THIS "}", rows[i].algorithm);
        size_t len = der_text(text, tbs);
        small_der der = small_crl_sign(tbs, len, rows[i].algorithm, ca.key, "SHA256");
        est_crl *crl = NULL;
        estuary_status status = small_crl_read(der.bytes, der.len, 13, NULL, signers, &crl, err);
        if (strcmp(estuary_error_code(err), rows[i].code) != 0)
            fail_msg("%s: %s, not %s", rows[i].what, estuary_error_code(err), rows[i].code);
        assert_failed(status, err, rows[i].code);
        OPENSSL_free(der.bytes);
    }
    sk_X509_pop_free(signers, X509_free);
    free_made(&ca);
    estuary_error_free(err);
}

/* Of several of the name the one whose key it was; of none of the name, none. */
static void test_which_signer(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    made old = new_ca("P-256"), ca = new_ca("P-256"), rsa = new_ca("rsa:2048");
    made other = make_ca("Other", NULL), spaced = make_cert(&(recipe){.cn = "  ca ", .key = ca.key});
    small_der der = make_list(&ca, &(signing){.digest = "SHA256"}, 1);
    const struct {
        STACK_OF(X509) *signers;
        X509 *signer;
        const char *code;
    } rows[] = {
        {make_stack(ca.cert, NULL), ca.cert, ""},
        {make_stack(other.cert, rsa.cert, old.cert, ca.cert, NULL), ca.cert, ""},
        {make_stack(spaced.cert, NULL), spaced.cert, ""}, /* RFC 5280 7.1: as names, not as bytes */
        {make_stack(old.cert, rsa.cert, NULL), NULL, "crl.signature"},
        {make_stack(other.cert, NULL), NULL, "crl.no-signer"},
        {sk_X509_new_null(), NULL, "crl.no-signer"},
        {NULL, NULL, "crl.no-signer"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_crl *crl = NULL;
        estuary_status status = small_crl_read(der.bytes, der.len, 50, NULL, rows[i].signers, &crl, err);
        if (rows[i].signer != NULL) {
            assert_ok(status, err);
            assert_ptr_equal(crl->signer, rows[i].signer);
        } else {
            assert_failed(status, err, rows[i].code);
            assert_null(crl);
        }
        est_crl_free(crl);
        sk_X509_pop_free(rows[i].signers, X509_free);
    }
    /* the same name and serial signed by somebody else's key */
    STACK_OF(X509) *signers = make_stack(old.cert, NULL);
    est_crl *crl = NULL;
    assert_failed(small_crl_read(der.bytes, der.len, 50, old.cert, signers, &crl, err), err, "crl.signature");
    assert_null(crl);
    sk_X509_pop_free(signers, X509_free);
    OPENSSL_free(der.bytes);
    free_made(&old);
    free_made(&ca);
    free_made(&rsa);
    free_made(&other);
    free_made(&spaced);
    estuary_error_free(err);
}

/* What OpenSSL finds is found, with its time and reason, whatever the size of the pieces. */
static void test_as_openssl_reads_it(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    made ca = new_ca("P-256"), leaf = make_cert(&(recipe){.cn = "leaf", .issuer = &ca});
    STACK_OF(X509) *signers = make_stack(ca.cert, NULL);
    small_der der = make_list(&ca, &(signing){.digest = "SHA256"}, ENTRIES);
    uint8_t digest[32] = {0};
    for (long i = 0; i < ENTRIES + 20; i++) {
        est_crl *crl = NULL;
        ASN1_INTEGER *serial = serial_of(i);
        assert_int_equal(X509_set_serialNumber(leaf.cert, serial), 1);
        size_t step = (size_t)(i < 64 ? i + 1 : i * i);
        assert_ok(small_crl_read(der.bytes, der.len, step, leaf.cert, signers, &crl, err), err);
        assert_true(crl->found == (i < ENTRIES));
        assert_false(crl->removed);
        if (i < ENTRIES) {
            assert_int_equal(crl->revoked_at, 1700000000 + i);
            assert_int_equal(crl->reason, i % 3 == 0 ? 4 : -1);
        }
        assert_int_equal(crl->entries, ENTRIES);
        if (i > 0)
            assert_memory_equal(crl->digest, digest, sizeof(digest));
        memcpy(digest, crl->digest, sizeof(digest));
        est_crl_free(crl);
        ASN1_INTEGER_free(serial);
    }
    /* signed again it is another one */
    OPENSSL_free(der.bytes);
    der = make_list(&ca, &(signing){.digest = "SHA256"}, ENTRIES);
    est_crl *crl = NULL;
    assert_ok(small_crl_read(der.bytes, der.len, 1000, NULL, signers, &crl, err), err);
    assert_memory_not_equal(crl->digest, digest, sizeof(digest));
    est_crl_free(crl);
    sk_X509_pop_free(signers, X509_free);
    OPENSSL_free(der.bytes);
    free_made(&ca);
    free_made(&leaf);
    estuary_error_free(err);
}

/* A CRL longer than the pieces it is hashed in, and the memory for one with EdDSA. */
static void test_long_lists(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    static const signing ways[] = {{.key = "P-256", .digest = "SHA256"}, {.key = "ed25519"}};
    for (size_t w = 0; w < COUNT_OF(ways); w++) {
        made ca = new_ca(ways[w].key);
        STACK_OF(X509) *signers = make_stack(ca.cert, NULL);
        small_der der = make_list(&ca, &ways[w], 3000);
        for (size_t step = 1000; step < der.len * 2; step = step * 5 + 3) {
            est_crl *crl = NULL;
            assert_ok(small_crl_read(der.bytes, der.len, step, NULL, signers, &crl, err), err);
            assert_int_equal(crl->entries, 3000);
            est_crl_free(crl);
        }
        OPENSSL_free(der.bytes);
        sk_X509_pop_free(signers, X509_free);
        free_made(&ca);
    }
    estuary_error_free(err);
}

/* What stands around the base64 text of a CRL. */
static void test_pem(void **state)
{
    static const struct {
        const char *what, *before, *newline, *after, *code;
    } rows[] = {
        {"as usual", "-----BEGIN X509 CRL-----\n", "\n", "-----END X509 CRL-----\n", ""},
        {"CRLF", "-----BEGIN X509 CRL-----\r\n", "\r\n", "-----END X509 CRL-----\r\n", ""},
        {"no last newline", "-----BEGIN X509 CRL-----\n", "\n", "-----END X509 CRL-----", ""},
        {"the other label", "-----BEGIN CRL-----\n", "\n", "-----END CRL-----\n", ""},
        {"one line", "-----BEGIN X509 CRL-----\n", "", "\n-----END X509 CRL-----\n", ""},
        {"text around",
         "Hello\n\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
         "-----BEGIN X509 CRL-----\n",
         "\n", "-----END X509 CRL-----\nGood bye\n", ""},
        {"a very long line before",
         "--------------------------------------------------------------------------"
         "-----------------------------\n-----BEGIN X509 CRL-----\n",
         "\n", "-----END X509 CRL-----\n", ""},
        {"blanks behind the marks", "-----BEGIN X509 CRL----- \t\n", " \n", "-----END X509 CRL-----  \n", ""},
        {"no end", "-----BEGIN X509 CRL-----\n", "\n", "", "crl.truncated"},
        {"half an end", "-----BEGIN X509 CRL-----\n", "\n", "-----END X509", "crl.truncated"},
        {"another end", "-----BEGIN X509 CRL-----\n", "\n", "-----END CERTIFICATE-----\n", "crl.malformed"},
        {"a dash in a line", "-----BEGIN X509 CRL-----\nMII-", "\n", "-----END X509 CRL-----\n",
         "crl.malformed"},
        {"no base64", "-----BEGIN X509 CRL-----\nMII*", "\n", "-----END X509 CRL-----\n", "crl.malformed"},
        {"headers", "-----BEGIN X509 CRL-----\nA: b\n\n", "\n", "-----END X509 CRL-----\n", "crl.malformed"},
        {"a group cut short", "-----BEGIN X509 CRL-----\n", "\n", "AA\n-----END X509 CRL-----\n",
         "crl.malformed"},
        {"more behind the padding", "-----BEGIN X509 CRL-----\n", "\n",
         "AA==\nAAAA\n-----END X509 CRL-----\n", "crl.malformed"},
        {"bytes behind the CRL", "-----BEGIN X509 CRL-----\n", "\n", "AAAA\n-----END X509 CRL-----\n",
         "crl.malformed"},
        {"a second CRL", "-----BEGIN X509 CRL-----\n", "\n",
         "-----END X509 CRL-----\n-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "crl.malformed"},
        {"nothing of the sort", "Hello\n", "\n", "", "crl.malformed"},
        {"another label", "-----BEGIN CERTIFICATE-----\n", "\n", "-----END CERTIFICATE-----\n",
         "crl.malformed"},
    };
    (void)state;
    estuary_error *err = estuary_error_new();
    made ca = new_ca("P-256");
    STACK_OF(X509) *signers = make_stack(ca.cert, NULL);
    small_der der = {0};
    do { /* one without padding, so that text can be added to it */
        OPENSSL_free(der.bytes);
        der = make_list(&ca, &(signing){.digest = "SHA256"}, 40);
    } while (der.len % 3 != 0);
    uint8_t *base64 = OPENSSL_malloc(der.len * 2), *text = OPENSSL_malloc(der.len * 4);
    int base64_len = EVP_EncodeBlock(base64, der.bytes, (int)der.len);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = (size_t)snprintf((char *)text, der.len * 4, "%s", rows[i].before);
        for (int at = 0; at < base64_len; at += 64)
            len += (size_t)snprintf((char *)text + len, der.len * 4 - len, "%.64s%s", base64 + at,
                                    rows[i].newline);
        len += (size_t)snprintf((char *)text + len, der.len * 4 - len, "%s", rows[i].after);
        for (size_t step = 1; step < 10000; step = step * 3 + 1) {
            est_crl *crl = NULL;
            estuary_status status = small_crl_read(text, len, step, NULL, signers, &crl, err);
            if (strcmp(status == ESTUARY_OK ? "" : estuary_error_code(err), rows[i].code) != 0)
                fail_msg("%s: %s, not %s", rows[i].what, estuary_error_code(err), rows[i].code);
            assert_true(crl == NULL || crl->entries == 40);
            est_crl_free(crl);
        }
    }
    OPENSSL_free(base64);
    OPENSSL_free(text);
    OPENSSL_free(der.bytes);
    sk_X509_pop_free(signers, X509_free);
    free_made(&ca);
    estuary_error_free(err);
}

static void test_every_cut_of_a_pem_file(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    made ca = new_ca("P-256");
    STACK_OF(X509) *signers = make_stack(ca.cert, NULL);
    small_der der = make_list(&ca, &(signing){.digest = "SHA256"}, 3);
    BIO *bio = BIO_new(BIO_s_mem());
    const char *mark = "-----END X509 CRL-----";
    char *text = NULL;
    assert_true(PEM_write_bio(bio, "X509 CRL", "", der.bytes, (long)der.len) > 0);
    long len = BIO_get_mem_data(bio, &text);
    const char *end = memmem(text, (size_t)len, mark, strlen(mark));
    assert_non_null(end);
    for (size_t cut = 0; cut <= (size_t)len; cut++) {
        est_crl *crl = NULL;
        estuary_status status = small_crl_read(text, cut, 17, NULL, signers, &crl, err);
        assert_true((status == ESTUARY_OK) == (cut >= (size_t)(end - text) + strlen(mark)));
        est_crl_free(crl);
    }
    BIO_free(bio);
    OPENSSL_free(der.bytes);
    sk_X509_pop_free(signers, X509_free);
    free_made(&ca);
    estuary_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_algorithm_identifiers),
        cmocka_unit_test(test_which_signer),
        cmocka_unit_test(test_as_openssl_reads_it),
        cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_pem),
        cmocka_unit_test(test_every_cut_of_a_pem_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
