/* The certs-only message (RFC 7030 4.1.3, RFC 5272 4.1). */
#include "small_ca.h"

static estuary_error *err;
static EVP_PKEY *key;
static X509 *certs[3];

static estuary_status parse(const uint8_t *der, size_t len, const estuary_limits *limits, int *count)
{
    STACK_OF(X509) *out = (STACK_OF(X509) *)&out;
    estuary_status status = est_certs_only_parse(der, len, limits, &out, err);
    *count = status == ESTUARY_OK ? sk_X509_num(out) : -1;
    if (status != ESTUARY_OK)
        assert_null(out);
    else
        sk_X509_pop_free(out, X509_free);
    assert_int_equal(ERR_peek_error(), 0);
    return status;
}

static void one_to_three(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 3; n++) {
        unsigned char *der = NULL;
        int count = 0, len = small_certs_only(certs, n, NULL, &der);
        STACK_OF(X509) *out = NULL;
        assert_ok(parse(der, (size_t)len, NULL, &count), err);
        assert_int_equal(count, (int)n);
        assert_ok(est_certs_only_parse(der, (size_t)len, NULL, &out, err), err);
        int found = 0; /* a SET: the order is the encoder's */
        for (int i = 0; i < count; i++) {
            for (size_t k = 0; k < n; k++)
                found += X509_cmp(sk_X509_value(out, i), certs[k]) == 0;
        }
        assert_int_equal(found, (int)n);
        sk_X509_pop_free(out, X509_free);
        OPENSSL_free(der);
    }
}

static void bounded(void **state)
{
    (void)state;
    estuary_limits *limits = NULL;
    unsigned char *der = NULL;
    int count = 0, len = small_certs_only(certs, 3, NULL, &der);
    assert_ok(estuary_limits_new(&limits, err), err);
    assert_ok(estuary_limits_set(limits, ESTUARY_LIMIT_CERTIFICATES, 3, err), err);
    assert_ok(parse(der, (size_t)len, limits, &count), err);
    assert_ok(estuary_limits_set(limits, ESTUARY_LIMIT_CERTIFICATES, 2, err), err);
    assert_failed(parse(der, (size_t)len, limits, &count), err, "protocol.too-many-certificates");
    assert_string_equal(estuary_error_message(err),
                        "the server's answer holds 3 certificates, more than the 2 allowed");
    estuary_limits_free(limits);
    OPENSSL_free(der);
}

static void wrong_shapes(void **state)
{
    (void)state;
    unsigned char *der = NULL;
    int count = 0, len = small_certs_only(certs, 0, NULL, &der);
    assert_failed(parse(der, (size_t)len, NULL, &count), err, "protocol.no-certificates");
    OPENSSL_free(der);
    len = small_certs_only(certs, 1, "content", &der);
    assert_failed(parse(der, (size_t)len, NULL, &count), err, "protocol.cms-content");
    OPENSSL_free(der);
    len = small_certs_only(certs, 2, NULL, &der);
    der = OPENSSL_realloc(der, (size_t)len + 1);
    der[len] = 0;
    assert_failed(parse(der, (size_t)len + 1, NULL, &count), err, "protocol.cms-trailing");
    OPENSSL_free(der);
    assert_failed(parse((const uint8_t *)"", 0, NULL, &count), err, "protocol.cms");
    assert_failed(parse((const uint8_t *)"\x30\x00", 2, NULL, &count), err, "protocol.cms");
    der = NULL;
    len = i2d_X509(certs[0], &der); /* a bare certificate */
    assert_failed(parse(der, (size_t)len, NULL, &count), err, "protocol.cms");
    OPENSSL_free(der);
}

static void assert_cms_refused(CMS_ContentInfo *cms, const char *code)
{
    unsigned char *der = NULL;
    int count = 0;
    assert_non_null(cms);
    int len = i2d_CMS_ContentInfo(cms, &der);
    assert_true(len > 0);
    assert_failed(parse(der, (size_t)len, NULL, &count), err, code);
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
}

/* 7030-4.1.3-2, 7030-4.2.3-2 */
static void other_messages(void **state)
{
    (void)state;
    BIO *content = BIO_new_mem_buf("content", 7);
    STACK_OF(X509) *to = sk_X509_new_null();
    assert_true(sk_X509_push(to, certs[0]) > 0);
    assert_cms_refused(CMS_sign(certs[0], key, NULL, content, CMS_BINARY), "protocol.cms-signers");
    assert_int_equal(BIO_reset(content), 1);
    assert_cms_refused(CMS_sign(certs[0], key, NULL, content, CMS_BINARY | CMS_DETACHED),
                       "protocol.cms-signers");
    assert_int_equal(BIO_reset(content), 1);
    assert_cms_refused(CMS_encrypt(to, content, EVP_aes_128_cbc(), CMS_BINARY), "protocol.cms-type");
    assert_int_equal(BIO_reset(content), 1);
    assert_cms_refused(CMS_data_create(content, CMS_BINARY), "protocol.cms-type");
    assert_int_equal(BIO_reset(content), 1);
    assert_cms_refused(CMS_digest_create(content, EVP_sha256(), CMS_BINARY), "protocol.cms-type");
    sk_X509_free(to);
    BIO_free(content);
}

/* Servers built on BouncyCastle send BER with indefinite lengths. */
static void indefinite_lengths(void **state)
{
    (void)state;
    unsigned char *der = NULL, ber[8192];
    int count = 0, len = small_certs_only(certs, 2, NULL, &der);
    const unsigned char *p = der, *oid_start, *end = der + len;
    long size = 0;
    int tag = 0, class = 0;
    size_t used = 0;
    assert_int_equal(ASN1_get_object(&p, &size, &tag, &class, len) & 0x80, 0);
    oid_start = p;
    assert_int_equal(ASN1_get_object(&p, &size, &tag, &class, end - p) & 0x80, 0);
    p += size;
    size_t oid_len = (size_t)(p - oid_start);
    assert_int_equal(ASN1_get_object(&p, &size, &tag, &class, end - p) & 0x80, 0); /* [0] */
    assert_true((size_t)size + oid_len + 16 < sizeof(ber));
    memcpy(ber, "\x30\x80", 2);
    used = 2;
    memcpy(ber + used, oid_start, oid_len);
    used += oid_len;
    memcpy(ber + used, "\xa0\x80", 2);
    used += 2;
    memcpy(ber + used, p, (size_t)size);
    used += (size_t)size;
    memcpy(ber + used, "\0\0\0\0", 4);
    used += 4;
    assert_ok(parse(ber, used, NULL, &count), err);
    assert_int_equal(count, 2);
    assert_failed(parse(ber, used - 1, NULL, &count), err, "protocol.cms");
    assert_failed(parse(ber, used - 2, NULL, &count), err, "protocol.cms");
    ber[used] = 0;
    assert_failed(parse(ber, used + 1, NULL, &count), err, "protocol.cms-trailing");
    OPENSSL_free(der);
}

/* Each parse takes valgrind milliseconds; 9 meets every bit of a byte in turn. */
static size_t stride(void)
{
    return getenv("ESTUARY_VALGRIND") != NULL ? 9 : 1;
}

static void cut_at_every_byte(void **state)
{
    (void)state;
    unsigned char *der = NULL;
    int count = 0, len = small_certs_only(certs, 2, NULL, &der);
    for (size_t cut = 0; cut < (size_t)len; cut += stride()) {
        uint8_t *exact = est_alloc(cut); /* a sanitizer sees what is read beyond */
        memcpy(exact, der, cut);
        assert_failed(parse(exact, cut, NULL, &count), err, "protocol.cms");
        est_free(exact);
    }
    OPENSSL_free(der);
}

static void damaged_at_every_byte(void **state)
{
    (void)state;
    unsigned char *der = NULL;
    int count = 0, len = small_certs_only(certs, 1, NULL, &der);
    for (size_t bit = 0; bit < (size_t)len * 8; bit += stride()) {
        der[bit / 8] ^= (unsigned char)(1u << bit % 8);
        estuary_status status = parse(der, (size_t)len, NULL, &count);
        if (status != ESTUARY_OK)
            assert_int_equal(status, ESTUARY_E_PROTOCOL);
        der[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    OPENSSL_free(der);
}

static int set_up(void **state)
{
    (void)state;
    err = estuary_error_new();
    key = EVP_EC_gen("P-256");
    if (err == NULL || key == NULL)
        return -1;
    certs[0] = small_root(key, "one");
    certs[1] = small_root(key, "two");
    certs[2] = small_root(key, "three");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(certs); i++)
        X509_free(certs[i]);
    EVP_PKEY_free(key);
    estuary_error_free(err);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_to_three),          cmocka_unit_test(bounded),
        cmocka_unit_test(wrong_shapes),          cmocka_unit_test(other_messages),
        cmocka_unit_test(indefinite_lengths),    cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(damaged_at_every_byte),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
