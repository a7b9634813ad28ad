/* Key files (K1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "key/key.h"

#include <openssl/encoder.h>
#include <openssl/pem.h>
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
    refuses(f, "pkcs11:token=a;object=b", NULL, "unsupported.key-uri");
    refuses(f, "PKCS11:token=a", NULL, "unsupported.key-uri");
    refuses(f, "tpm2:a", NULL, "unsupported.key-uri");
    refuses(f, "handle:0x81000000", NULL, "unsupported.key-uri");
    refuses(f, "/nonexistent/key.pem", NULL, "key.file");
    refuses(f, f->folder, NULL, "key.file");
    EVP_PKEY *key = NULL;
    assert_int_equal(estuary_key_open(f->path, NULL, 2, &key, NULL), ESTUARY_E_USAGE);
}

static void test_encrypted(void **state)
{
    const fixture *f = *state;
    estuary_secret *pem = NULL, *empty = NULL;
    size_t len = 0;
    assert_int_equal(estuary_key_to_pem(f->key, f->right, &pem, NULL), ESTUARY_OK);
    const char *text = estuary_secret_get0(pem, &len);
    assert_non_null(strstr(text, "-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    put(f, text, len);
    estuary_secret_free(pem);
    assert_int_equal(estuary_secret_new("", 0, &empty, NULL), ESTUARY_OK);
    opens(f, f->path, f->right);
    refuses(f, f->path, NULL, "key.passphrase-needed");
    refuses(f, f->path, f->wrong, "key.passphrase-wrong");
    refuses(f, f->path, empty, "key.passphrase-wrong");
    assert_int_equal(estuary_key_to_pem(f->key, empty, &pem, NULL), ESTUARY_E_USAGE);
    estuary_secret_free(empty);
    put_traditional(f, "AES-256-CBC");
    opens(f, f->path, f->right);
    refuses(f, f->path, NULL, "key.passphrase-needed");
    /* one wrong passphrase in 256 leaves good padding: each must be told apart */
    for (int i = 0; i < 600; i++) {
        char guess[32];
        estuary_secret *secret = NULL;
        snprintf(guess, sizeof(guess), "guess %d", i);
        assert_int_equal(estuary_secret_new(guess, strlen(guess), &secret, NULL), ESTUARY_OK);
        refuses(f, f->path, secret, "key.passphrase-wrong");
        estuary_secret_free(secret);
    }
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
    refuses(f, f->path, NULL, "unsupported.key-uri");
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
    unlink(f->path);
    mode_t old = umask(0);
    assert_int_equal(estuary_key_write(f->key, f->path, f->right, f->err), ESTUARY_OK);
    umask(old);
    assert_int_equal(lstat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(info.st_nlink, 1);
    opens(f, f->path, f->right);
    assert_int_equal(estuary_key_write(f->key, f->path, NULL, f->err), ESTUARY_E_KEY);
    assert_string_equal(estuary_error_code(f->err), "key.exists");
    opens(f, f->path, f->right);
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
        cmocka_unit_test(test_public_only),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
