/*
 * The server-generated private key (RFC 7030 4.4.2). The first byte says what the rest is: 8 a PKCS#8
 * structure; k, p, e the encrypted message for a key-encryption key, a password, an EC key; s the content,
 * which is encrypted here: behind the encryption no fuzzer gets by itself.
 */
#include "fuzz.h"
#include "wire/wire.h"

#include <openssl/bio.h>

#define KEK      "0123456789abcdef"
#define PASSWORD "test"
#define ID       "id"

static est_decrypt recipient(char kind)
{
    static EVP_PKEY *key;
    est_decrypt how = {0};
    estuary_secret *secret = NULL;
    const char *text = kind == 'p' ? PASSWORD : KEK;
    if (key == NULL)
        key = EVP_EC_gen("P-256");
    REQUIRE(key != NULL && estuary_secret_new(text, strlen(text), &secret, NULL) == ESTUARY_OK);
    if (kind == 'e')
        REQUIRE(est_decrypt_set_key(&how, key, NULL, NULL) == ESTUARY_OK);
    else
        REQUIRE(est_decrypt_set_secret(&how, kind == 'p' ? EST_DECRYPT_PASSWORD : EST_DECRYPT_KEK,
                                       (const uint8_t *)ID, strlen(ID), secret, NULL) == ESTUARY_OK);
    estuary_secret_free(secret);
    return how;
}

static int encrypt(const uint8_t *data, size_t size, unsigned char **der)
{
    BIO *in = BIO_new_mem_buf(data, (int)size);
    CMS_ContentInfo *cms = CMS_encrypt(NULL, in, EVP_aes_128_cbc(), CMS_BINARY | CMS_PARTIAL);
    REQUIRE(cms != NULL);
    REQUIRE(CMS_add0_recipient_key(cms, NID_undef, OPENSSL_memdup(KEK, strlen(KEK)), strlen(KEK),
                                   OPENSSL_memdup(ID, strlen(ID)), strlen(ID), NULL, NULL, NULL) != NULL);
    REQUIRE(CMS_final(cms, in, NULL, CMS_BINARY) == 1);
    int len = i2d_CMS_ContentInfo(cms, der);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    return len;
}

static void open_package(char kind, const uint8_t *der, size_t size, estuary_error *err)
{
    est_decrypt how = recipient(kind);
    EVP_PKEY *key = NULL;
    CMS_ContentInfo *cms = NULL;
    X509 *signer = NULL;
    estuary_status status = est_key_package_open(der, size, &how, &key, &cms, err);
    fuzz_check_result(status, key, err);
    fuzz_check_result(status, cms, err);
    if (status == ESTUARY_OK) {
        status = est_key_package_verify(cms, NULL, &signer, err);
        fuzz_check_result(status, signer, err);
    }
    X509_free(signer);
    EVP_PKEY_free(key);
    est_key_package_free(cms);
    est_decrypt_clear(&how);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *der = NULL;
    EVP_PKEY *key = NULL;
    if (size < 2 || size > 65536)
        return 0;
    estuary_error *err = fuzz_error();
    if (data[0] == '8') {
        estuary_status status = est_pkcs8_parse(data + 1, size - 1, &key, err);
        fuzz_check_result(status, key, err);
    } else if (data[0] == 's') {
        int len = encrypt(data + 1, size - 1, &der);
        REQUIRE(len > 0);
        open_package('k', der, (size_t)len, err);
    } else {
        open_package((char)data[0], data + 1, size - 1, err);
    }
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    estuary_error_free(err);
    return 0;
}
