/* TPM 2.0 keys (K5) in a software TPM: made, loaded, used; and software keys beside them. */
#include "small_ca.h"
#include "swtpm.h"

#include "key/key.h"
#include "key/tpm2_auth.h"

#include <estuary/process.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

typedef struct state {
    estuary_error *err;
    estuary_secret *pin, *wrong;
    bool there;
} state;

#define REQUIRED(s)                                                                                          \
    if (!(s)->there) {                                                                                       \
        print_message("skipped: swtpm or tpm2-openssl is not installed\n");                                  \
        skip();                                                                                              \
    }

static int set_up(void **s)
{
    state *st = est_alloc(sizeof(*st));
    st->err = estuary_error_new();
    st->there = swtpm_start();
    assert_int_equal(estuary_secret_new("a pin", 5, &st->pin, NULL), ESTUARY_OK);
    assert_int_equal(estuary_secret_new("another", 7, &st->wrong, NULL), ESTUARY_OK);
    *s = st;
    return 0;
}

static int tear_down(void **s)
{
    state *st = *s;
    estuary_secret_free(st->pin);
    estuary_secret_free(st->wrong);
    estuary_error_free(st->err);
    est_free(st);
    swtpm_stop();
    return 0;
}

static void test_made_and_loaded(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const char *const names[] = {"ec:P-256", "ec:P-384", "rsa:2048"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char uri[128], name[48];
        struct stat info;
        EVP_PKEY *key = NULL, *again = NULL;
        snprintf(uri, sizeof(uri), "tpm2:%s/key-%zu.pem", swtpm_folder, i);
        assert_ok(estuary_key_create(names[i], uri, i == 0 ? NULL : st->pin, &key, st->err), st->err);
        assert_ok(estuary_key_algorithm(key, name, sizeof(name), st->err), st->err);
        assert_string_equal(name, names[i]);
        assert_ok(small_sign_with(key, st->err), st->err);
        assert_int_equal(stat(uri + 5, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
        assert_failed(estuary_key_create(names[i], uri, NULL, &again, st->err), st->err, "key.exists");
        assert_ok(estuary_key_open(uri, i == 0 ? NULL : st->pin, 0, &again, st->err), st->err);
        assert_true(est_key_equal(key, again));
        assert_ok(small_sign_with(again, st->err), st->err);
        EVP_PKEY_free(again);
        EVP_PKEY_free(key);
    }
}

/* RSA-PSS, decryption and ECDH: what TLS 1.3 and serverkeygen need. */
static void test_all_uses(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const char text[] = "a server-generated key";
    static const char *const names[] = {"ec:P-256", "rsa:2048"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char uri[128], *opened = NULL;
        EVP_PKEY *key = NULL, *ca = EVP_EC_gen("P-256");
        snprintf(uri, sizeof(uri), "tpm2:%s/use-%zu.pem", swtpm_folder, i);
        assert_ok(estuary_key_create(names[i], uri, st->pin, &key, st->err), st->err);
        X509 *root = small_root(ca, "Root");
        X509_NAME *name = small_name("device");
        X509 *made = small_issue(root, ca, &(small_cert){.subject = name, .key = key});
        X509 *cert = X509_dup(made); /* read back, as from a file: with a public key of its own */
        STACK_OF(X509) *to = sk_X509_new_null();
        assert_true(sk_X509_push(to, cert) > 0);
        BIO *in = BIO_new_mem_buf(text, -1), *out = BIO_new(BIO_s_mem());
        CMS_ContentInfo *cms = CMS_encrypt(to, in, EVP_aes_256_cbc(), CMS_BINARY);
        assert_non_null(cms);
        assert_int_equal(CMS_decrypt(cms, key, cert, NULL, out, CMS_BINARY), 1);
        assert_int_equal(BIO_get_mem_data(out, &opened), sizeof(text) - 1);
        assert_memory_equal(opened, text, sizeof(text) - 1);
        if (i == 1) {
            uint8_t digest[32] = {1}, signature[256];
            size_t len = sizeof(signature);
            EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
            assert_int_equal(EVP_PKEY_sign_init(context), 1);
            assert_int_equal(EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()), 1);
            assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING), 1);
            assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST), 1);
            assert_int_equal(EVP_PKEY_sign(context, signature, &len, digest, sizeof(digest)), 1);
            assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, 20), 1);
            assert_int_not_equal(EVP_PKEY_sign(context, signature, &len, digest, sizeof(digest)), 1);
            assert_failed(est_fail_openssl(st->err, EST_CRYPTO, NULL), st->err, "key.operation");
            EVP_PKEY_CTX_free(context);
        }
        CMS_ContentInfo_free(cms);
        BIO_free(in);
        BIO_free(out);
        sk_X509_free(to);
        X509_free(made);
        X509_free(cert);
        X509_free(root);
        X509_NAME_free(name);
        EVP_PKEY_free(ca);
        EVP_PKEY_free(key);
    }
}

static void test_refusals(void **s)
{
    state *st = *s;
    REQUIRED(st);
    char uri[192], plain[128];
    EVP_PKEY *key = NULL, *software = NULL;
    snprintf(uri, sizeof(uri), "tpm2:%s/guarded.pem", swtpm_folder);
    snprintf(plain, sizeof(plain), "%s/software.pem", swtpm_folder);
    assert_ok(estuary_key_create("ec:P-256", uri, st->pin, &key, st->err), st->err);
    EVP_PKEY_free(key);
    assert_failed(estuary_key_open(uri, NULL, 0, &key, st->err), st->err, "key.pin-needed");
    assert_ok(estuary_key_open(uri, st->wrong, 0, &key, st->err), st->err); /* only its use tells */
    assert_failed(small_sign_with(key, st->err), st->err, "key.pin");
    EVP_PKEY_free(key);
    assert_ok(estuary_key_create("ec:P-256", plain, NULL, &software, st->err), st->err);
    EVP_PKEY_free(software);
    static const struct {
        const char *uri, *code;
    } rows[] = {{"handle:0x81ffffff", "key.not-found"}, {"handle:0x40000001", "usage.argument"},
                {"handle:0x8100", "usage.argument"},    {"handle:0x81000001?pass", "usage.argument"},
                {"tpm2:/nonexistent", "key.file"},      {"tpm2:", "key.file"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_failed(estuary_key_open(rows[i].uri, NULL, 0, &key, st->err), st->err, rows[i].code);
    snprintf(uri, sizeof(uri), "tpm2:%s", plain);
    assert_failed(estuary_key_open(uri, NULL, 0, &key, st->err), st->err, "key.format");
    snprintf(uri, sizeof(uri), "tpm2:%s/guarded.pem", swtpm_folder);
    assert_failed(estuary_key_open(uri + 5, st->pin, 0, &key, st->err), st->err, "key.format");
    assert_int_equal(chmod(uri + 5, 0644), 0);
    assert_failed(estuary_key_open(uri, st->pin, 0, &key, st->err), st->err, "key.permissions");
    assert_ok(estuary_key_open(uri, st->pin, ESTUARY_KEY_INSECURE_PERMISSIONS, &key, st->err), st->err);
    EVP_PKEY_free(key);
    assert_failed(estuary_key_create("ed25519", "tpm2:/tmp/never", NULL, &key, st->err), st->err,
                  "usage.key-algorithm");
    assert_failed(estuary_key_create("ec:P-256", "handle:0x81000001", NULL, &key, st->err), st->err,
                  "usage.argument");
}

/* A persistent handle, made with tpm2-tools. */
static void test_handle(void **s)
{
    state *st = *s;
    REQUIRED(st);
    char primary[96], public_part[96], private_part[96], loaded[96];
    snprintf(primary, sizeof(primary), "%s/primary", swtpm_folder);
    snprintf(public_part, sizeof(public_part), "%s/public", swtpm_folder);
    snprintf(private_part, sizeof(private_part), "%s/private", swtpm_folder);
    snprintf(loaded, sizeof(loaded), "%s/loaded", swtpm_folder);
    char *const steps[][16] = {
        {"tpm2_createprimary", "-Q", "-C", "o", "-c", primary, NULL},
        {"tpm2_flushcontext", "-t", NULL}, /* this TPM has three slots, and no resource manager before it */
        {"tpm2_create", "-Q", "-C", primary, "-G", "ecc256", "-u", public_part, "-r", private_part, "-p",
         "a pin", NULL},
        {"tpm2_flushcontext", "-t", NULL},
        {"tpm2_load", "-Q", "-C", primary, "-u", public_part, "-r", private_part, "-c", loaded, NULL},
        {"tpm2_flushcontext", "-t", NULL},
        {"tpm2_evictcontrol", "-Q", "-C", "o", "-c", loaded, "0x81000005", NULL},
        {"tpm2_flushcontext", "-t", NULL}};
    for (size_t i = 0; i < COUNT_OF(steps); i++)
        assert_int_equal(swtpm_run(steps[i]), 0);
    EVP_PKEY *key = NULL;
    assert_ok(estuary_key_open("handle:0x81000005", st->pin, 0, &key, st->err), st->err);
    for (int i = 0; i < 6; i++) /* more than there are slots */
        assert_ok(small_sign_with(key, st->err), st->err);
    EVP_PKEY_free(key);
    assert_ok(estuary_key_open("HANDLE:0x81000005", st->wrong, 0, &key, st->err), st->err);
    assert_failed(small_sign_with(key, st->err), st->err, "key.pin");
    EVP_PKEY_free(key);
}

static void test_software_keys_beside(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const char *const names[] = {"ec:P-256", "rsa:2048", "ed25519"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        EVP_PKEY *key = NULL;
        assert_ok(estuary_key_generate(names[i], &key, st->err), st->err);
        assert_string_equal(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(key)), "default");
        assert_ok(small_sign_with(key, st->err), st->err);
        EVP_PKEY_free(key);
    }
    assert_int_equal(OSSL_PROVIDER_available(NULL, "tpm2"), 0);
}

/* The provider is loaded, and asks the environment no more. */
static void test_authorisation_comes_first(void **s)
{
    state *st = *s;
    REQUIRED(st);
    char *module = est_printf("%s/libestuary-tcti.so", getenv("ESTUARY_BUILD"));
    const char *tcti = getenv("TPM2OPENSSL_TCTI");
    assert_non_null(module);
    char *before = est_strdup(tcti);
    est_tpm2_tcti_test_module = module;
    assert_failed(estuary_process_set_tpm_auth(st->pin, NULL, st->err), st->err, "usage.argument");
    assert_string_equal(getenv("TPM2OPENSSL_TCTI"), before);
    est_tpm2_tcti_test_module = NULL;
    est_free(before);
    est_free(module);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_and_loaded),
        cmocka_unit_test(test_all_uses),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_handle),
        cmocka_unit_test(test_software_keys_beside),
        cmocka_unit_test(test_authorisation_comes_first),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
