/* The server's private key in every form RFC 7030 4.4.2 has, and in wrong ones (E9, RFC 5958, RFC 5652, RFC
 * 5083). */
#include "rsa_keys.h"
#include "small_keygen.h"

#define KEK      "0123456789abcdef0123456789abcdef"
#define PASSWORD "correct horse"

typedef struct fixture {
    estuary_error *err;
    EVP_PKEY *ca_key, *generated, *rsa, *ec, *other_rsa, *other_ec;
    X509 *ca, *rsa_cert, *ec_cert, *other_rsa_cert, *other_ec_cert;
    estuary_secret *kek, *password;
} fixture;

static X509 *recipient(fixture *f, EVP_PKEY *key, const char *cn)
{
    X509_NAME *name = small_name(cn);
    X509 *cert = small_issue(f->ca, f->ca_key, &(small_cert){.subject = name, .key = key});
    X509_NAME_free(name);
    return cert;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    f->err = estuary_error_new();
    f->ca_key = EVP_EC_gen("P-256");
    f->generated = EVP_EC_gen("P-256");
    f->ec = EVP_EC_gen("P-256");
    f->other_ec = EVP_EC_gen("P-256");
    f->rsa = known_rsa_key(rsa_2048);
    f->other_rsa = known_rsa_key(rsa_2048_other);
    f->ca = small_root(f->ca_key, "small root");
    f->rsa_cert = recipient(f, f->rsa, "rsa");
    f->ec_cert = recipient(f, f->ec, "ec");
    f->other_rsa_cert = recipient(f, f->other_rsa, "rsa");
    f->other_ec_cert = recipient(f, f->other_ec, "ec");
    assert_int_equal(estuary_secret_new(KEK, strlen(KEK), &f->kek, NULL), ESTUARY_OK);
    assert_int_equal(estuary_secret_new(PASSWORD, strlen(PASSWORD), &f->password, NULL), ESTUARY_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    EVP_PKEY *keys[] = {f->ca_key, f->generated, f->rsa, f->ec, f->other_rsa, f->other_ec};
    X509 *certs[] = {f->ca, f->rsa_cert, f->ec_cert, f->other_rsa_cert, f->other_ec_cert};
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        EVP_PKEY_free(keys[i]);
    for (size_t i = 0; i < COUNT_OF(certs); i++)
        X509_free(certs[i]);
    estuary_secret_free(f->kek);
    estuary_secret_free(f->password);
    estuary_error_free(f->err);
    free(f);
    return 0;
}

static void ask(fixture *f, est_decrypt_method method, bool with_certificate, est_decrypt *out)
{
    estuary_status status = ESTUARY_OK;
    memset(out, 0, sizeof(*out));
    if (method == EST_DECRYPT_RSA)
        status = est_decrypt_set_key(out, f->rsa, with_certificate ? f->rsa_cert : NULL, f->err);
    else if (method == EST_DECRYPT_EC)
        status = est_decrypt_set_key(out, f->ec, with_certificate ? f->ec_cert : NULL, f->err);
    else if (method == EST_DECRYPT_KEK)
        status = est_decrypt_set_secret(out, method, (const uint8_t *)"k1", 2, f->kek, f->err);
    else
        status = est_decrypt_set_secret(out, method, (const uint8_t *)"p1", 2, f->password, f->err);
    assert_ok(status, f->err);
    assert_int_equal(out->method, method);
}

static small_bytes sealed(fixture *f, const EVP_CIPHER *cipher, const small_recipient *to, size_t n,
                          bool bare)
{
    small_bytes package = small_package(f->generated, 1);
    small_bytes inner =
        small_sign(&package, &(small_signing){.signer = f->ca, .key = f->ca_key, .bare = bare});
    small_bytes out = small_encrypt(&inner, cipher, to, n);
    OPENSSL_free(package.data);
    OPENSSL_free(inner.data);
    return out;
}

static estuary_status open_it(fixture *f, const small_bytes *der, const est_decrypt *how, EVP_PKEY **key,
                              CMS_ContentInfo **cms)
{
    estuary_error_clear(f->err);
    estuary_status status = est_key_package_open(der->data, der->len, how, key, cms, f->err);
    assert_true((status == ESTUARY_OK) == (*key != NULL && *cms != NULL));
    return status;
}

static void assert_opens(fixture *f, const small_bytes *der, const est_decrypt *how)
{
    EVP_PKEY *key = NULL;
    CMS_ContentInfo *cms = NULL;
    X509 *signer = NULL;
    assert_ok(open_it(f, der, how, &key, &cms), f->err);
    assert_int_equal(EVP_PKEY_eq(key, f->generated), 1);
    assert_ok(est_key_package_verify(cms, NULL, &signer, f->err), f->err);
    assert_int_equal(X509_cmp(signer, f->ca), 0);
    X509_free(signer);
    EVP_PKEY_free(key);
    est_key_package_free(cms);
}

static void assert_refused(fixture *f, const small_bytes *der, const est_decrypt *how, const char *code)
{
    EVP_PKEY *key = NULL;
    CMS_ContentInfo *cms = NULL;
    estuary_status status = open_it(f, der, how, &key, &cms);
    assert_failed(status, f->err, code);
    assert_int_equal(status, ESTUARY_E_PROTOCOL);
}

/* Each with CBC (EnvelopedData) and GCM (AuthEnvelopedData), the SignedData with and without ContentInfo. */
static void every_form(void **state)
{
    fixture *f = *state;
    const struct {
        est_decrypt_method method;
        bool with_certificate;
        small_recipient to;
    } rows[] = {
        {EST_DECRYPT_RSA, false, {.certificate = f->rsa_cert}},
        {EST_DECRYPT_RSA, false, {.certificate = f->rsa_cert, .oaep = true}},
        {EST_DECRYPT_RSA, false, {.certificate = f->rsa_cert, .by_issuer = true}},
        {EST_DECRYPT_RSA, true, {.certificate = f->rsa_cert, .by_issuer = true, .oaep = true}},
        {EST_DECRYPT_RSA, true, {.certificate = f->rsa_cert}},
        {EST_DECRYPT_EC, false, {.certificate = f->ec_cert}},
        {EST_DECRYPT_EC, true, {.certificate = f->ec_cert, .by_issuer = true}},
        {EST_DECRYPT_KEK, false, {.kek = KEK, .id = "k1"}},
        {EST_DECRYPT_PASSWORD, false, {.password = PASSWORD}},
    };
    const EVP_CIPHER *const ciphers[] = {EVP_aes_256_cbc(), EVP_aes_128_gcm()};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_decrypt how;
        ask(f, rows[i].method, rows[i].with_certificate, &how);
        for (size_t k = 0; k < COUNT_OF(ciphers); k++) {
            small_bytes der = sealed(f, ciphers[k], &rows[i].to, 1, k % 2 == 0);
            assert_opens(f, &der, &how);
            OPENSSL_free(der.data);
        }
        est_decrypt_clear(&how);
    }
}

/* E9: another recipient, key or method than was asked for, and algorithms that are not accepted */
static void other_recipients(void **state)
{
    fixture *f = *state;
    const struct {
        est_decrypt_method method;
        bool with_certificate;
        const EVP_CIPHER *cipher;
        small_recipient to[2];
        const char *code;
    } rows[] = {
        /* another method */
        {EST_DECRYPT_KEK, false, EVP_aes_256_cbc(), {{.certificate = f->rsa_cert}}, "protocol.key-method"},
        {EST_DECRYPT_PASSWORD, false, EVP_aes_256_cbc(), {{.kek = KEK, .id = "p1"}}, "protocol.key-method"},
        {EST_DECRYPT_KEK, false, EVP_aes_256_cbc(), {{.password = KEK}}, "protocol.key-method"},
        {EST_DECRYPT_RSA, false, EVP_aes_256_cbc(), {{.certificate = f->ec_cert}}, "protocol.key-method"},
        {EST_DECRYPT_EC, false, EVP_aes_256_cbc(), {{.certificate = f->rsa_cert}}, "protocol.key-method"},
        {EST_DECRYPT_RSA, false, EVP_aes_256_cbc(), {{.password = PASSWORD}}, "protocol.key-method"},
        {EST_DECRYPT_EC, false, EVP_aes_256_gcm(), {{.kek = KEK, .id = "k1"}}, "protocol.key-method"},
        /* another recipient */
        {EST_DECRYPT_RSA,
         false,
         EVP_aes_256_cbc(),
         {{.certificate = f->other_rsa_cert}},
         "protocol.key-recipient"},
        {EST_DECRYPT_EC,
         false,
         EVP_aes_256_cbc(),
         {{.certificate = f->other_ec_cert}},
         "protocol.key-recipient"},
        {EST_DECRYPT_RSA,
         true,
         EVP_aes_256_cbc(),
         {{.certificate = f->other_rsa_cert, .by_issuer = true}},
         "protocol.key-recipient"},
        {EST_DECRYPT_KEK, false, EVP_aes_256_cbc(), {{.kek = KEK, .id = "k2"}}, "protocol.key-recipient"},
        {EST_DECRYPT_KEK, false, EVP_aes_256_cbc(), {{.kek = KEK, .id = "k"}}, "protocol.key-recipient"},
        /* another key under the right name */
        {EST_DECRYPT_KEK,
         false,
         EVP_aes_256_cbc(),
         {{.kek = "fedcba9876543210fedcba9876543210", .id = "k1"}},
         "protocol.key-decrypt"},
        {EST_DECRYPT_KEK,
         false,
         EVP_aes_256_cbc(),
         {{.kek = "0123456789abcdef", .id = "k1"}},
         "protocol.key-cipher"},
        {EST_DECRYPT_PASSWORD, false, EVP_aes_256_cbc(), {{.password = "wrong"}}, "protocol.key-decrypt"},
        {EST_DECRYPT_PASSWORD, false, EVP_aes_256_gcm(), {{.password = "wrong"}}, "protocol.key-decrypt"},
        {EST_DECRYPT_RSA,
         false,
         EVP_aes_256_cbc(),
         {{.certificate = f->other_rsa_cert, .by_issuer = true}},
         "protocol.key-decrypt"},
        {EST_DECRYPT_RSA,
         false,
         EVP_aes_256_gcm(),
         {{.certificate = f->other_rsa_cert, .by_issuer = true}},
         "protocol.key-decrypt"},
        {EST_DECRYPT_EC,
         false,
         EVP_aes_256_cbc(),
         {{.certificate = f->other_ec_cert, .by_issuer = true}},
         "protocol.key-decrypt"},
        /* somebody else as well */
        {EST_DECRYPT_RSA,
         false,
         EVP_aes_256_cbc(),
         {{.certificate = f->rsa_cert}, {.certificate = f->other_rsa_cert}},
         "protocol.key-envelope"},
        {EST_DECRYPT_KEK,
         false,
         EVP_aes_256_cbc(),
         {{.kek = KEK, .id = "k1"}, {.password = PASSWORD}},
         "protocol.key-envelope"},
        /* algorithms */
        {EST_DECRYPT_RSA, false, EVP_des_ede3_cbc(), {{.certificate = f->rsa_cert}}, "protocol.key-cipher"},
        {EST_DECRYPT_KEK, false, EVP_camellia_256_cbc(), {{.kek = KEK, .id = "k1"}}, "protocol.key-cipher"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_decrypt how;
        size_t n = rows[i].to[1].certificate != NULL || rows[i].to[1].password != NULL ? 2 : 1;
        ask(f, rows[i].method, rows[i].with_certificate, &how);
        small_bytes der = sealed(f, rows[i].cipher, rows[i].to, n, true);
        assert_refused(f, &der, &how, rows[i].code);
        OPENSSL_free(der.data);
        est_decrypt_clear(&how);
    }
}

/* Triple-DES is refused by its name. */
static void names_the_cipher(void **state)
{
    fixture *f = *state;
    est_decrypt how;
    ask(f, EST_DECRYPT_KEK, false, &how);
    small_bytes der = sealed(f, EVP_des_ede3_cbc(), &(small_recipient){.kek = KEK, .id = "k1"}, 1, true);
    assert_refused(f, &der, &how, "protocol.key-cipher");
    assert_string_equal(estuary_error_message(f->err),
                        "the encryption of the private key uses des-ede3-cbc, which is not accepted");
    OPENSSL_free(der.data);
    est_decrypt_clear(&how);
}

/* The server chooses how much work a password is, within limits. */
static void iterations(void **state)
{
    fixture *f = *state;
    est_decrypt how;
    ask(f, EST_DECRYPT_PASSWORD, false, &how);
    small_bytes der =
        sealed(f, EVP_aes_256_cbc(), &(small_recipient){.password = PASSWORD, .iterations = 0x8000}, 1, true);
    assert_opens(f, &der, &how);
    bool found = false;
    for (size_t i = 0; !found && i + 5 < der.len; i++) {
        found = memcmp(der.data + i, "\x02\x03\x00\x80\x00", 5) == 0;
        if (found)
            memcpy(der.data + i, "\x02\x03\x1e\x84\x81", 5); /* 2000001 */
    }
    assert_true(found);
    assert_refused(f, &der, &how, "protocol.key-cipher");
    OPENSSL_free(der.data);
    est_decrypt_clear(&how);
}

static void bend(small_bytes *der, const char *pattern, size_t len, size_t at, unsigned char to)
{
    bool found = false;
    for (size_t i = 0; !found && i + len < der->len; i++) {
        found = memcmp(der->data + i, pattern, len) == 0;
        if (found)
            der->data[i + at] = to;
    }
    assert_true(found);
}

/* RFC 5084 3.2: the nonce has 12 bytes, the tag 12 to 16; nothing else reaches libcrypto (CVE-2025-15467). */
static void gcm_parameters(void **state)
{
    fixture *f = *state;
    /* SEQUENCE { OCTET STRING of 12 bytes, INTEGER 16 } */
    static const struct {
        size_t at;
        unsigned char to;
        const char *code; /* NULL: fine */
    } rows[] = {
        {3, 15, "protocol.key-cipher"},    /* a nonce that takes the tag's size in */
        {2, 0x0c, "protocol.key-cipher"},  /* no OCTET STRING */
        {18, 11, "protocol.key-cipher"},   /* too short a tag */
        {18, 17, "protocol.key-cipher"},   /* too long a one */
        {18, 0xff, "protocol.key-cipher"}, /* -1 */
        {16, 0x04, "protocol.key-cipher"}, /* no INTEGER */
        {18, 15, NULL},                    /* as it may be */
    };
    est_decrypt how;
    ask(f, EST_DECRYPT_KEK, false, &how);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        small_bytes der = sealed(f, EVP_aes_256_gcm(), &(small_recipient){.kek = KEK, .id = "k1"}, 1, true);
        assert_opens(f, &der, &how);
        bend(&der, "\x30\x11\x04\x0c", 4, rows[i].at, rows[i].to);
        if (rows[i].code == NULL)
            assert_opens(f, &der, &how);
        else
            assert_refused(f, &der, &how, rows[i].code);
        OPENSSL_free(der.data);
    }
    est_decrypt_clear(&how);
}

/* RFC 5753 7.1.4: the cofactor and one-pass MQV schemes were not offered. */
static void agreement_schemes(void **state)
{
    fixture *f = *state;
    est_decrypt how;
    ask(f, EST_DECRYPT_EC, false, &how);
    static const unsigned char others[] = {0x03, 0x10}; /* cofactorDH and mqvSinglePass with SHA-1 */
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        small_bytes der =
            sealed(f, EVP_aes_256_cbc(), &(small_recipient){.certificate = f->ec_cert}, 1, true);
        assert_opens(f, &der, &how);
        bend(&der, "\x06\x09\x2b\x81\x05\x10\x86\x48\x3f\x00\x02", 11, 10, others[i]);
        assert_refused(f, &der, &how, "protocol.key-cipher");
        OPENSSL_free(der.data);
    }
    est_decrypt_clear(&how);
}

/* One sentence for all of it: nothing in the error says how far the decryption came. */
static void no_oracle(void **state)
{
    fixture *f = *state;
    est_decrypt how;
    ask(f, EST_DECRYPT_RSA, false, &how);
    const small_recipient wrong = {.certificate = f->other_rsa_cert, .by_issuer = true};
    const EVP_CIPHER *const ciphers[] = {EVP_aes_256_cbc(), EVP_aes_128_gcm()};
    for (size_t i = 0; i < COUNT_OF(ciphers); i++) {
        small_bytes der = sealed(f, ciphers[i], &wrong, 1, true);
        assert_refused(f, &der, &how, "protocol.key-decrypt");
        assert_string_equal(estuary_error_detail(f->err), "");
        assert_int_equal(ERR_peek_error(), 0);
        OPENSSL_free(der.data);
    }
    est_decrypt_clear(&how);
}

static small_bytes seal_for_kek(const small_bytes *inner)
{
    return small_encrypt(inner, EVP_aes_256_gcm(), &(small_recipient){.kek = KEK, .id = "k1"}, 1);
}

static void assert_inside_refused(fixture *f, const small_bytes *inner, const char *code)
{
    est_decrypt how;
    small_bytes der = seal_for_kek(inner);
    ask(f, EST_DECRYPT_KEK, false, &how);
    assert_refused(f, &der, &how, code);
    est_decrypt_clear(&how);
    OPENSSL_free(der.data);
}

/* RFC 7030 4.4.2: SignedData of an asymmetric key package with one key */
static void wrong_inside(void **state)
{
    fixture *f = *state;
    const small_signing by_ca = {.signer = f->ca, .key = f->ca_key, .bare = true};
    small_bytes one = small_package(f->generated, 1), two = small_package(f->generated, 2),
                none = small_package(f->generated, 0), pkcs8 = small_pkcs8(f->generated);
    const struct {
        const small_bytes *content;
        small_signing how;
        const char *code;
    } rows[] = {
        {&two, by_ca, "protocol.key-package"},
        {&none, by_ca, "protocol.key-package"},
        {&pkcs8, by_ca, "protocol.key-package"},
        {&one, {.signer = f->ca, .key = f->ca_key, .type = "1.2.840.113549.1.7.1"}, "protocol.key-package"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        small_bytes inner = small_sign(rows[i].content, &rows[i].how);
        assert_inside_refused(f, &inner, rows[i].code);
        OPENSSL_free(inner.data);
    }
    small_bytes signerless = {0};
    signerless.len = (size_t)small_certs_only(&f->ca, 1, "content", &signerless.data);
    assert_inside_refused(f, &signerless, "protocol.key-unsigned");
    assert_inside_refused(f, &pkcs8, "protocol.key-unsigned");
    assert_inside_refused(f, &one, "protocol.key-unsigned");
    small_bytes nested = seal_for_kek(&one);
    assert_inside_refused(f, &nested, "protocol.key-unsigned");
    assert_inside_refused(f, &(small_bytes){(unsigned char *)"garbage", 7}, "protocol.key-decrypt");
    assert_inside_refused(f, &(small_bytes){(unsigned char *)"\x30\x03\x02\x01\x01", 5},
                          "protocol.key-decrypt");
    small_bytes broken = small_wrap(V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL,
                                    &(small_bytes){(unsigned char *)"\x30\x03\x02\x01\x00", 5});
    small_bytes inner = small_sign(&broken, &by_ca);
    assert_inside_refused(f, &inner, "protocol.key-format");
    small_bytes *all[] = {&one, &two, &none, &pkcs8, &nested, &broken, &inner, &signerless};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        OPENSSL_free(all[i]->data);
}

static void no_envelope(void **state)
{
    fixture *f = *state;
    est_decrypt how;
    ask(f, EST_DECRYPT_KEK, false, &how);
    small_bytes one = small_package(f->generated, 1);
    small_bytes info = small_sign(&one, &(small_signing){.signer = f->ca, .key = f->ca_key});
    assert_refused(f, &info, &how, "protocol.key-envelope"); /* signed, not encrypted */
    assert_refused(f, &one, &how, "protocol.key-envelope");
    assert_refused(f, &(small_bytes){0}, &how, "protocol.key-envelope");
    small_bytes der = seal_for_kek(&info);
    assert_opens(f, &der, &how);
    der.len--;
    assert_refused(f, &der, &how, "protocol.key-envelope"); /* cut */
    der.len++;
    der.data = OPENSSL_realloc(der.data, der.len + 1);
    der.data[der.len++] = 0;
    assert_refused(f, &der, &how, "protocol.key-envelope"); /* something after it */
    der.len--;
    der.data[der.len - 1] ^= 1; /* the GCM tag */
    assert_refused(f, &der, &how, "protocol.key-decrypt");
    OPENSSL_free(der.data);
    OPENSSL_free(info.data);
    OPENSSL_free(one.data);
    est_decrypt_clear(&how);
}

static CMS_ContentInfo *signed_package(fixture *f, const small_signing *signing)
{
    EVP_PKEY *key = NULL;
    CMS_ContentInfo *cms = NULL;
    est_decrypt how;
    small_bytes one = small_package(f->generated, 1);
    small_bytes inner = small_sign(&one, signing);
    small_bytes der = seal_for_kek(&inner);
    ask(f, EST_DECRYPT_KEK, false, &how);
    assert_ok(open_it(f, &der, &how, &key, &cms), f->err);
    est_decrypt_clear(&how);
    EVP_PKEY_free(key);
    OPENSSL_free(one.data);
    OPENSSL_free(inner.data);
    OPENSSL_free(der.data);
    return cms;
}

static void signatures(void **state)
{
    fixture *f = *state;
    X509 *signer = NULL;
    STACK_OF(X509) *known = sk_X509_new_null();
    assert_true(sk_X509_push(known, f->ca) > 0);
    const struct {
        small_signing how;
        const STACK_OF(X509) *known;
        const char *code; /* NULL: fine */
    } rows[] = {
        {{.signer = f->ca, .key = f->ca_key}, NULL, NULL},
        {{.signer = f->ca, .key = f->ca_key, .md = EVP_sha384()}, NULL, NULL},
        {{.signer = f->ca, .key = f->ca_key, .flags = CMS_NOCERTS}, known, NULL},
        {{.signer = f->ca, .key = f->ca_key, .flags = CMS_NOCERTS}, NULL, "protocol.key-signature"},
        {{.signer = f->ca, .key = f->ca_key, .spoilt = true}, NULL, "protocol.key-signature"},
        {{.signer = f->ca, .key = f->ca_key, .md = EVP_sha1()}, NULL, "protocol.key-signature"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CMS_ContentInfo *cms = signed_package(f, &rows[i].how);
        estuary_status status = est_key_package_verify(cms, rows[i].known, &signer, f->err);
        if (rows[i].code != NULL)
            assert_failed(status, f->err, rows[i].code);
        else
            assert_ok(status, f->err);
        assert_true((signer != NULL) == (rows[i].code == NULL));
        X509_free(signer);
        signer = NULL;
        est_key_package_free(cms);
    }
    est_key_package_free(NULL);
    sk_X509_free(known);
}

/* RFC 5958 2: version 2 with attributes and publicKey; ours to read, whatever OpenSSL can */
static void one_asymmetric_key(void **state)
{
    fixture *f = *state;
    EVP_PKEY *key = NULL;
    small_bytes old = small_pkcs8(f->generated), body = {0};
    /* SEQUENCE { version 1, …, [1] 04 00 } */
    const unsigned char *p = old.data;
    long len = 0;
    int tag, class;
    (void)ASN1_get_object(&p, &len, &tag, &class, (long)old.len);
    body.data = OPENSSL_malloc((size_t)len + 4);
    memcpy(body.data, p, (size_t)len);
    memcpy(body.data + len, "\x81\x02\x00\x04", 4);
    body.data[2] = 1;
    body.len = (size_t)len + 4;
    small_bytes v2 = small_wrap(V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, &body);
    assert_ok(est_pkcs8_parse(v2.data, v2.len, &key, f->err), f->err);
    assert_int_equal(EVP_PKEY_eq(key, f->generated), 1);
    EVP_PKEY_free(key);
    OPENSSL_free(v2.data);
    OPENSSL_free(body.data);
    OPENSSL_free(old.data);
}

static void pkcs8(void **state)
{
    fixture *f = *state;
    EVP_PKEY *kinds[] = {f->generated, f->rsa, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
                         EVP_PKEY_Q_keygen(NULL, NULL, "X25519")};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        EVP_PKEY *key = NULL;
        small_bytes der = small_pkcs8(kinds[i]);
        assert_ok(est_pkcs8_parse(der.data, der.len, &key, f->err), f->err);
        assert_int_equal(EVP_PKEY_eq(key, kinds[i]), 1);
        EVP_PKEY_free(key);
        assert_failed(est_pkcs8_parse(der.data, der.len - 1, &key, f->err), f->err, "protocol.key-format");
        assert_null(key);
        OPENSSL_free(der.data);
    }
    EVP_PKEY_free(kinds[2]);
    EVP_PKEY_free(kinds[3]);
    static const char *const broken[] = {"", "\x30", "\x30\x80\x02\x01", "\x02\x01\x01", "no key at all"};
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        EVP_PKEY *key = NULL;
        assert_failed(est_pkcs8_parse((const uint8_t *)broken[i], strlen(broken[i]), &key, f->err), f->err,
                      "protocol.key-format");
    }
    /* the traditional form is another one */
    unsigned char *der = NULL;
    EVP_PKEY *key = NULL;
    int len = i2d_PrivateKey(f->generated, &der);
    assert_true(len > 0);
    assert_failed(est_pkcs8_parse(der, (size_t)len, &key, f->err), f->err, "protocol.key-format");
    OPENSSL_free(der);
}

/* An EC key that claims another one's public half is believed by whoever does not look. */
static void halves(void **state)
{
    fixture *f = *state;
    EVP_PKEY *key = NULL;
    small_bytes a = small_pkcs8(f->generated), b = small_pkcs8(f->ec);
    assert_int_equal(a.len, b.len);
    memcpy(a.data + a.len - 64, b.data + b.len - 64, 64);
    assert_failed(est_pkcs8_parse(a.data, a.len, &key, f->err), f->err, "protocol.key-pair");
    assert_null(key);
    OPENSSL_free(a.data);
    OPENSSL_free(b.data);
}

/* An RSA key of so many bytes that is none: whoever tests its numbers for it is busy for a minute. */
static small_bytes huge_rsa(size_t bytes)
{
    static const unsigned char head[] =
        "\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05";
    small_bytes number = {OPENSSL_malloc(bytes), bytes}, body = {OPENSSL_malloc(bytes + 64), 3}, all = {0};
    memset(number.data, 0x7f, bytes);
    small_bytes n = small_wrap(V_ASN1_INTEGER, V_ASN1_UNIVERSAL, &number);
    n.data[0] = V_ASN1_INTEGER; /* not constructed */
    memcpy(body.data, "\x02\x01\x00", 3);
    memcpy(body.data + body.len, n.data, n.len);
    body.len += n.len;
    for (int i = 0; i < 7; i++, body.len += 3)
        memcpy(body.data + body.len, "\x02\x01\x03", 3);
    small_bytes rsa = small_wrap(V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, &body);
    small_bytes octets = small_wrap(V_ASN1_OCTET_STRING, V_ASN1_UNIVERSAL, &rsa);
    octets.data[0] = V_ASN1_OCTET_STRING;
    all.data = OPENSSL_malloc(sizeof(head) + octets.len);
    memcpy(all.data, head, sizeof(head));
    memcpy(all.data + sizeof(head), octets.data, octets.len);
    all.len = sizeof(head) + octets.len;
    small_bytes out = small_wrap(V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, &all);
    small_bytes *used[] = {&number, &body, &n, &rsa, &octets, &all};
    for (size_t i = 0; i < COUNT_OF(used); i++)
        OPENSSL_free(used[i]->data);
    return out;
}

static void huge_key(void **state)
{
    fixture *f = *state;
    EVP_PKEY *key = NULL;
    small_bytes der = huge_rsa(8200 / 8);
    assert_failed(est_pkcs8_parse(der.data, der.len, &key, f->err), f->err, "protocol.key-format");
    assert_string_equal(estuary_error_message(f->err), "the private key in the server's answer is too large");
    assert_null(key);
    OPENSSL_free(der.data);
}

static void setters(void **state)
{
    fixture *f = *state;
    est_decrypt how = {0}, copy;
    estuary_secret *odd = NULL, *empty = NULL;
    EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    const uint8_t id[256] = "id";
    assert_int_equal(estuary_secret_new("17 bytes, no key.", 17, &odd, NULL), ESTUARY_OK);
    assert_int_equal(estuary_secret_new("", 0, &empty, NULL), ESTUARY_OK);
    assert_failed(est_decrypt_set_key(&how, ed, NULL, f->err), f->err, "usage.decrypt");
    assert_failed(est_decrypt_set_key(&how, f->rsa, f->ec_cert, f->err), f->err, "usage.decrypt");
    assert_failed(est_decrypt_set_secret(&how, EST_DECRYPT_KEK, id, 2, odd, f->err), f->err, "usage.decrypt");
    assert_failed(est_decrypt_set_secret(&how, EST_DECRYPT_KEK, id, 2, NULL, f->err), f->err,
                  "usage.decrypt");
    assert_failed(est_decrypt_set_secret(&how, EST_DECRYPT_KEK, id, 0, f->kek, f->err), f->err,
                  "usage.decrypt");
    assert_failed(est_decrypt_set_secret(&how, EST_DECRYPT_KEK, id, 256, f->kek, f->err), f->err,
                  "usage.decrypt");
    assert_failed(est_decrypt_set_secret(&how, EST_DECRYPT_KEK, NULL, 2, f->kek, f->err), f->err,
                  "usage.decrypt");
    assert_failed(est_decrypt_set_secret(&how, EST_DECRYPT_PASSWORD, id, 2, empty, f->err), f->err,
                  "usage.decrypt");
    assert_int_equal(how.method, EST_DECRYPT_NONE);
    assert_ok(est_decrypt_set_secret(&how, EST_DECRYPT_PASSWORD, id, 255, odd, f->err), f->err);
    assert_ok(est_decrypt_set_key(&how, f->rsa, f->rsa_cert, f->err), f->err);
    assert_int_equal(how.id_len, 20);
    assert_memory_equal(how.id, ASN1_STRING_get0_data(X509_get0_subject_key_id(f->rsa_cert)), 20);
    assert_true(est_decrypt_copy(&how, &copy));
    est_decrypt_clear(&how);
    assert_ok(est_decrypt_set_key(&how, f->rsa, NULL, f->err), f->err);
    assert_true(
        est_decrypt_same_recipient(&how, &copy)); /* RFC 5280 4.2.1.2 (1), as the certificate has it */
    assert_ok(est_decrypt_set_key(&how, f->other_rsa, NULL, f->err), f->err);
    assert_false(est_decrypt_same_recipient(&how, &copy));
    est_decrypt_clear(&how);
    est_decrypt_clear(&copy);
    estuary_secret_free(odd);
    estuary_secret_free(empty);
    EVP_PKEY_free(ed);
}

/* RFC 7030 4.4.1.2: the certificate must allow it, or not restrict its key */
static void key_usage(void **state)
{
    fixture *f = *state;
    est_decrypt how = {0};
    const struct {
        EVP_PKEY *key;
        const char *usage;
        bool fine;
    } rows[] = {
        {f->rsa, "keyEncipherment", true}, {f->rsa, "digitalSignature", false}, {f->ec, "keyAgreement", true},
        {f->ec, "keyEncipherment", false}, {f->ec, "digitalSignature", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        X509_NAME *name = small_name("x");
        STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
        X509_EXTENSION *usage = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, rows[i].usage);
        assert_true(sk_X509_EXTENSION_push(extensions, usage) > 0);
        X509 *cert = small_issue(
            f->ca, f->ca_key, &(small_cert){.subject = name, .key = rows[i].key, .extensions = extensions});
        if (rows[i].fine)
            assert_ok(est_decrypt_set_key(&how, rows[i].key, cert, f->err), f->err);
        else
            assert_failed(est_decrypt_set_key(&how, rows[i].key, cert, f->err), f->err, "usage.decrypt");
        X509_free(cert);
        X509_NAME_free(name);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    }
    est_decrypt_clear(&how);
}

static void names(void **state)
{
    (void)state;
    static const char *const all[] = {"tls", "rsa", "ec", "kek", "password"};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        est_decrypt_method method = EST_DECRYPT_NONE;
        assert_true(est_decrypt_method_from_name(all[i], &method));
        assert_int_equal(method, i);
        assert_string_equal(est_decrypt_method_name(method), all[i]);
    }
    est_decrypt_method method = EST_DECRYPT_NONE;
    assert_false(est_decrypt_method_from_name("", &method));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form),
        cmocka_unit_test(other_recipients),
        cmocka_unit_test(names_the_cipher),
        cmocka_unit_test(iterations),
        cmocka_unit_test(gcm_parameters),
        cmocka_unit_test(agreement_schemes),
        cmocka_unit_test(no_oracle),
        cmocka_unit_test(wrong_inside),
        cmocka_unit_test(no_envelope),
        cmocka_unit_test(signatures),
        cmocka_unit_test(one_asymmetric_key),
        cmocka_unit_test(pkcs8),
        cmocka_unit_test(halves),
        cmocka_unit_test(huge_key),
        cmocka_unit_test(setters),
        cmocka_unit_test(key_usage),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
