/* Key files (K1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "key/key.h"

#include <openssl/encoder.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct fixture {
    char folder[64];
    char path[96];
    EVP_PKEY *key;
    estuary_secret *right, *wrong;
    estuary_error *err;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    snprintf(f.folder, sizeof(f.folder), "/tmp/estuary-key-XXXXXX");
    if (mkdtemp(f.folder) == NULL)
        return -1;
    snprintf(f.path, sizeof(f.path), "%s/key.pem", f.folder);
    f.err = estuary_error_new();
    *state = &f;
    return !(estuary_key_generate("ec:P-256", &f.key, NULL) == ESTUARY_OK &&
             estuary_secret_new("right", 5, &f.right, NULL) == ESTUARY_OK &&
             estuary_secret_new("wrong", 5, &f.wrong, NULL) == ESTUARY_OK);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    unlink(f->path);
    rmdir(f->folder);
    EVP_PKEY_free(f->key);
    estuary_secret_free(f->right);
    estuary_secret_free(f->wrong);
    estuary_error_free(f->err);
    return 0;
}

static void put(const fixture *f, const void *bytes, size_t len)
{
    FILE *file = fopen(f->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(f->path, 0600), 0);
}

static void put_encoded(const fixture *f, const char *format, const char *structure, const char *before)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    OSSL_ENCODER_CTX *context =
        OSSL_ENCODER_CTX_new_for_pkey(f->key, EVP_PKEY_KEYPAIR, format, structure, NULL);
    assert_int_equal(OSSL_ENCODER_to_data(context, &bytes, &len), 1);
    OSSL_ENCODER_CTX_free(context);
    char all[8192];
    size_t head = strlen(before);
    assert_true(head + len < sizeof(all));
    memcpy(all, before, head);
    memcpy(all + head, bytes, len);
    put(f, all, head + len);
    OPENSSL_free(bytes);
}

static void put_traditional(const fixture *f, const char *cipher)
{
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, f->key, EVP_get_cipherbyname(cipher),
                                                          (const unsigned char *)"right", 5, NULL, NULL),
                     1);
    long len = BIO_get_mem_data(bio, &text);
    put(f, text, (size_t)len);
    BIO_free(bio);
}

static void opens(const fixture *f, const char *uri, const estuary_secret *passphrase)
{
    EVP_PKEY *key = NULL;
    if (estuary_key_open(uri, passphrase, 0, &key, f->err) != ESTUARY_OK)
        fail_msg("%s: %s", estuary_error_message(f->err), estuary_error_detail(f->err));
    assert_true(est_key_equal(key, f->key));
    EVP_PKEY_free(key);
}

static void refuses(const fixture *f, const char *uri, const estuary_secret *passphrase, const char *code)
{
    EVP_PKEY *key = NULL;
    estuary_error_clear(f->err);
    assert_int_not_equal(estuary_key_open(uri, passphrase, 0, &key, f->err), ESTUARY_OK);
    assert_null(key);
    assert_string_equal(estuary_error_code(f->err), code);
}

#define EC_PARAMETERS "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
#define CERTIFICATE   "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"

static void test_forms(void **state)
{
    const fixture *f = *state;
    static const struct {
        const char *format, *structure, *before;
    } rows[] = {
        {"PEM", "PrivateKeyInfo", ""},
        {"PEM", "type-specific", ""},
        {"PEM", "type-specific", EC_PARAMETERS},
        {"PEM", "PrivateKeyInfo", "Bag attributes\n" CERTIFICATE CERTIFICATE},
        {"DER", "PrivateKeyInfo", ""},
        {"DER", "type-specific", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put_encoded(f, rows[i].format, rows[i].structure, rows[i].before);
        opens(f, f->path, NULL);
        opens(f, f->path, f->wrong); /* a passphrase too much does no harm */
    }
}

static void test_uris(void **state)
{
    const fixture *f = *state;
    char uri[256];
    put_encoded(f, "PEM", "PrivateKeyInfo", "");
    snprintf(uri, sizeof(uri), "file:%s", f->path);
    opens(f, uri, NULL);
    snprintf(uri, sizeof(uri), "FILE://%s", f->path);
    opens(f, uri, NULL);
    snprintf(uri, sizeof(uri), "file://localhost%s/k%%65y%%2epem", f->folder);
    opens(f, uri, NULL);
    refuses(f, "file://elsewhere/key.pem", NULL, "usage.argument");
    refuses(f, "file:", NULL, "usage.argument");
    refuses(f, "file:/a%00b", NULL, "usage.argument");
    refuses(f, "file:/a%zz", NULL, "usage.argument");
    refuses(f, "file:/a%4", NULL, "usage.argument");
    refuses(f, "", NULL, "usage.argument");
    refuses(f, NULL, NULL, "usage.argument");
    refuses(f, "pkcs11:token=a;pin-value=1", NULL, "usage.pin-literal");
    refuses(f, "PKCS11:token=a;token=b", NULL, "usage.pkcs11-uri");
    refuses(f, "/nonexistent/key.pem", NULL, "key.file");
    refuses(f, f->folder, NULL, "key.file");
    EVP_PKEY *key = NULL;
    assert_int_equal(estuary_key_open(f->path, NULL, 0x80, &key, NULL), ESTUARY_E_USAGE);
}

/* PKCS#8 with PBKDF2 of that many rounds. */
static void put_encrypted(const fixture *f, int rounds)
{
    BIO *bio = BIO_new(BIO_s_mem());
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(f->key);
    size_t len = 0;
    char *text = NULL;
    const char *passphrase = estuary_secret_get0(f->right, &len);
    X509_SIG *encrypted = PKCS8_encrypt(-1, EVP_aes_256_cbc(), passphrase, (int)len, NULL, 0, rounds, info);
    assert_non_null(encrypted);
    assert_int_equal(PEM_write_bio_PKCS8(bio, encrypted), 1);
    len = (size_t)BIO_get_mem_data(bio, &text);
    put(f, text, len);
    X509_SIG_free(encrypted);
    PKCS8_PRIV_KEY_INFO_free(info);
    BIO_free(bio);
}

static void test_encrypted(void **state)
{
    const fixture *f = *state;
    estuary_secret *pem = NULL, *empty = NULL;
    size_t len = 0;
    if (getenv("ESTUARY_VALGRIND") == NULL) { /* where ours takes seconds each time */
        assert_int_equal(estuary_key_to_pem(f->key, f->right, &pem, NULL), ESTUARY_OK);
        const char *text = estuary_secret_get0(pem, &len);
        assert_non_null(strstr(text, "-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        put(f, text, len);
        estuary_secret_free(pem);
        opens(f, f->path, f->right);
        refuses(f, f->path, NULL, "key.passphrase-needed");
    }
    assert_int_equal(estuary_secret_new("", 0, &empty, NULL), ESTUARY_OK);
    put_encrypted(f, 1000);
    opens(f, f->path, f->right);
    refuses(f, f->path, f->wrong, "key.passphrase-wrong");
    refuses(f, f->path, empty, "key.passphrase-wrong");
    assert_int_equal(estuary_key_to_pem(f->key, empty, &pem, NULL), ESTUARY_E_USAGE);
    estuary_secret_free(empty);
    put_traditional(f, "AES-256-CBC");
    opens(f, f->path, f->right);
    refuses(f, f->path, NULL, "key.passphrase-needed");
    /* one wrong passphrase in 256 leaves good padding: each must be told apart */
    const int guesses = getenv("ESTUARY_VALGRIND") != NULL ? 3 : 400;
    for (int i = 0; i < guesses; i++) {
        char guess[32];
        estuary_secret *secret = NULL;
        snprintf(guess, sizeof(guess), "guess %d", i);
        assert_int_equal(estuary_secret_new(guess, strlen(guess), &secret, NULL), ESTUARY_OK);
        refuses(f, f->path, secret, "key.passphrase-wrong");
        estuary_secret_free(secret);
    }
}

/* The parameters of one encrypted key, as ASN.1 has them, changed in place. */
static void repack(X509_ALGOR *algorithm, const ASN1_ITEM *item, void *params)
{
    assert_non_null(ASN1_TYPE_pack_sequence(item, params, &algorithm->parameter));
    ASN1_item_free(params, item);
}

static void *unpack(const X509_ALGOR *algorithm, const ASN1_ITEM *item)
{
    void *params = ASN1_item_unpack(algorithm->parameter->value.sequence, item);
    assert_non_null(params);
    return params;
}

static void put_sig(const fixture *f, const X509_SIG *encrypted)
{
    uint8_t *der = NULL;
    int len = i2d_X509_SIG(encrypted, &der);
    assert_true(len > 0);
    put(f, der, (size_t)len);
    OPENSSL_free(der);
}

/* Encrypted for "right" with little work, then the file asks for `iterations` (0: none) or for N, r and p. */
static void put_cost(const fixture *f, int kind, const int64_t cost[3])
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(f->key);
    X509_ALGOR *outer = NULL;
    uint8_t salt[8] = "saltsalt";
    outer = kind == NID_id_scrypt ? PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt, 8, NULL, 1024, 8, 1)
            : kind == NID_id_pbkdf2
                ? PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), 1000, salt, 8, NULL, NID_hmacWithSHA256)
                : PKCS5_pbe_set(kind, 1000, salt, 8);
    X509_SIG *encrypted = PKCS8_set0_pbe("right", 5, info, outer);
    assert_non_null(encrypted);
    X509_ALGOR *algorithm = NULL;
    X509_SIG_getm(encrypted, &algorithm, NULL);
    PBE2PARAM *both =
        kind == NID_id_scrypt || kind == NID_id_pbkdf2 ? unpack(algorithm, ASN1_ITEM_rptr(PBE2PARAM)) : NULL;
    if (kind == NID_id_scrypt) {
        SCRYPT_PARAMS *params = unpack(both->keyfunc, ASN1_ITEM_rptr(SCRYPT_PARAMS));
        assert_int_equal(ASN1_INTEGER_set_int64(params->costParameter, cost[0]), 1);
        assert_int_equal(ASN1_INTEGER_set_int64(params->blockSize, cost[1]), 1);
        assert_int_equal(ASN1_INTEGER_set_int64(params->parallelizationParameter, cost[2]), 1);
        repack(both->keyfunc, ASN1_ITEM_rptr(SCRYPT_PARAMS), params);
    } else if (kind == NID_id_pbkdf2) {
        PBKDF2PARAM *params = unpack(both->keyfunc, ASN1_ITEM_rptr(PBKDF2PARAM));
        assert_int_equal(ASN1_INTEGER_set_int64(params->iter, cost[0]), 1);
        repack(both->keyfunc, ASN1_ITEM_rptr(PBKDF2PARAM), params);
    } else {
        PBEPARAM *params = unpack(algorithm, ASN1_ITEM_rptr(PBEPARAM));
        assert_int_equal(ASN1_INTEGER_set_int64(params->iter, cost[0]), 1);
        repack(algorithm, ASN1_ITEM_rptr(PBEPARAM), params);
    }
    if (both != NULL)
        repack(algorithm, ASN1_ITEM_rptr(PBE2PARAM), both);
    put_sig(f, encrypted);
    X509_SIG_free(encrypted);
    PKCS8_PRIV_KEY_INFO_free(info);
}

#define PKCS12_3DES NID_pbe_WithSHA1And3_Key_TripleDES_CBC

/* What would be computed for minutes is refused at once, whatever the passphrase; what is costly is not. */
static void test_costs(void **state)
{
    const fixture *f = *state;
    static const struct {
        int kind;
        int64_t cost[3];
        const char *code; /* NULL: opens */
    } rows[] = {
        {NID_id_pbkdf2, {1000}, NULL},
        {NID_id_pbkdf2, {10000001}, "key.too-expensive"},
        {NID_id_pbkdf2, {2147483647}, "key.too-expensive"},
        {NID_id_pbkdf2, {INT64_MAX}, "key.too-expensive"},
        {NID_id_pbkdf2, {0}, "key.format"},
        {NID_id_pbkdf2, {-1}, "key.format"},
        {NID_id_scrypt, {1024, 8, 1}, NULL},
        {NID_id_scrypt, {2048, 8, 1}, "key.passphrase-wrong"}, /* computed, and another key */
        {NID_id_scrypt, {1 << 16, 8, 1}, "key.too-expensive"}, /* 64 MiB: OpenSSL's own bound */
        {NID_id_scrypt, {1 << 20, 8, 1}, "key.too-expensive"}, /* 1 GiB */
        {NID_id_scrypt, {1 << 21, 8, 1}, "key.too-expensive"},
        {NID_id_scrypt, {1 << 17, 1, 1 << 16}, "key.too-expensive"}, /* 16 MiB only, but for an hour */
        {NID_id_scrypt, {INT64_MAX, INT64_MAX, INT64_MAX}, "key.too-expensive"},
        {NID_id_scrypt, {1024, 0, 1}, "key.format"},
        {NID_id_scrypt, {1024, 8, -1}, "key.format"},
        {PKCS12_3DES, {1000}, NULL},
        {PKCS12_3DES, {10000001}, "key.too-expensive"},
        {PKCS12_3DES, {0}, "key.format"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put_cost(f, rows[i].kind, rows[i].cost);
        if (rows[i].code == NULL)
            opens(f, f->path, f->right);
        else
            refuses(f, f->path, f->right, rows[i].code);
    }
    put_cost(f, NID_id_pbkdf2, (const int64_t[3]){10000001});
    refuses(f, f->path, f->right, "key.too-expensive");
    assert_string_equal(
        estuary_error_message(f->err),
        "the key is encrypted with more than 10000000 iterations of PBKDF2, which is refused");
    put_cost(f, NID_id_scrypt, (const int64_t[]){1 << 17, 1, 1 << 16});
    refuses(f, f->path, f->right, "key.too-expensive");
    assert_string_equal(
        estuary_error_message(f->err),
        "the key is encrypted with scrypt at a cost (N=131072, r=1, p=65536) that is refused");
}

static void test_not_a_key(void **state)
{
    const fixture *f = *state;
    static const char *const rows[] = {
        "",
        "hello",
        CERTIFICATE,
        EC_PARAMETERS,
        "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nMAA=\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nMAA=\n-----END OPENSSH PRIVATE KEY-----\n",
        "0\x03\x02\x01\x05",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: NOSUCH,00\n\nMAA=\n-----END RSA "
        "PRIVATE "
        "KEY-----\n",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put(f, rows[i], strlen(rows[i]));
        refuses(f, f->path, f->right, "key.format");
    }
    static const char tss2[] = "-----BEGIN TSS2 PRIVATE KEY-----\nMAA=\n-----END TSS2 PRIVATE KEY-----\n";
    put(f, tss2, sizeof(tss2) - 1);
    refuses(f, f->path, NULL, "key.format");
    static char large[65537];
    put(f, large, sizeof(large));
    refuses(f, f->path, NULL, "key.file");
    /* two keys: which one? */
    estuary_secret *pem = NULL;
    char both[1024];
    assert_int_equal(estuary_key_to_pem(f->key, NULL, &pem, NULL), ESTUARY_OK);
    int len =
        snprintf(both, sizeof(both), "%s%s", estuary_secret_get0(pem, NULL), estuary_secret_get0(pem, NULL));
    put(f, both, (size_t)len);
    refuses(f, f->path, NULL, "key.format");
    estuary_secret_free(pem);
}

static void test_permissions(void **state)
{
    const fixture *f = *state;
    static const mode_t modes[] = {0640, 0604, 0620, 0601};
    put_encoded(f, "PEM", "PrivateKeyInfo", "");
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(chmod(f->path, modes[i]), 0);
        refuses(f, f->path, NULL, "key.permissions");
        EVP_PKEY *key = NULL;
        assert_int_equal(estuary_key_open(f->path, NULL, ESTUARY_KEY_INSECURE_PERMISSIONS, &key, NULL),
                         ESTUARY_OK);
        EVP_PKEY_free(key);
    }
    assert_int_equal(chmod(f->path, 0600), 0);
}

static void test_write(void **state)
{
    const fixture *f = *state;
    struct stat info;
    char other[128];
    /* valgrind would take seconds for each time */
    const estuary_secret *lock = getenv("ESTUARY_VALGRIND") == NULL ? f->right : NULL;
    unlink(f->path);
    mode_t old = umask(0);
    assert_int_equal(estuary_key_write(f->key, f->path, lock, f->err), ESTUARY_OK);
    umask(old);
    assert_int_equal(lstat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(info.st_nlink, 1);
    opens(f, f->path, lock);
    assert_int_equal(estuary_key_write(f->key, f->path, NULL, f->err), ESTUARY_E_KEY);
    assert_string_equal(estuary_error_code(f->err), "key.exists");
    opens(f, f->path, lock);
    /* a dangling symbolic link is in the way as well */
    unlink(f->path);
    assert_int_equal(symlink("nowhere", f->path), 0);
    assert_int_equal(estuary_key_write(f->key, f->path, NULL, f->err), ESTUARY_E_KEY);
    assert_string_equal(estuary_error_code(f->err), "key.exists");
    unlink(f->path);
    snprintf(other, sizeof(other), "%s/none/key.pem", f->folder);
    assert_int_equal(estuary_key_write(f->key, other, NULL, f->err), ESTUARY_E_IO);
    snprintf(other, sizeof(other), "%s/", f->folder);
    assert_int_equal(estuary_key_write(f->key, other, NULL, f->err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_key_write(NULL, f->path, NULL, f->err), ESTUARY_E_KEY);
    assert_int_equal(estuary_key_write(f->key, "pkcs11:a", NULL, f->err), ESTUARY_E_UNSUPPORTED);
    /* nothing is left behind: the folder is empty, so it goes */
    assert_int_equal(rmdir(f->folder), 0);
    assert_int_equal(mkdir(f->folder, 0700), 0);
}

/* Only the public half: there is nothing to write. */
static void test_public_only(void **state)
{
    const fixture *f = *state;
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(f->key, &der);
    const uint8_t *at = der;
    EVP_PKEY *public_key = d2i_PUBKEY(NULL, &at, len);
    estuary_secret *pem = NULL;
    assert_non_null(public_key);
    put(f, der, (size_t)len);
    refuses(f, f->path, NULL, "key.format");
    assert_int_equal(estuary_key_to_pem(public_key, NULL, &pem, f->err), ESTUARY_E_KEY);
    assert_null(pem);
    EVP_PKEY_free(public_key);
    OPENSSL_free(der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),       cmocka_unit_test(test_uris),
        cmocka_unit_test(test_encrypted),   cmocka_unit_test(test_not_a_key),
        cmocka_unit_test(test_permissions), cmocka_unit_test(test_write),
        cmocka_unit_test(test_public_only), cmocka_unit_test(test_costs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
