#include "key/key.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <string.h>

#define MAX_BYTES  65536
#define MAX_BLOCKS 64

/* One PEM block, or a whole DER file. */
typedef struct block {
    char *name;   /* "EC PRIVATE KEY"; NULL for DER */
    char *header; /* RFC 1421 headers of traditional encryption */
    uint8_t *data;
    long len;
} block;

static void block_clear(block *b)
{
    OPENSSL_free(b->name);
    OPENSSL_free(b->header);
    OPENSSL_clear_free(b->data, b->len > 0 ? (size_t)b->len : 0);
    memset(b, 0, sizeof(*b));
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Unencrypted PKCS#8 or traditional DER, to its last byte. */
static estuary_status decode_plain(const uint8_t *der, long len, EVP_PKEY **out, estuary_error *err)
{
    const uint8_t *at = der;
    EVP_PKEY *key = d2i_AutoPrivateKey_ex(NULL, &at, len, NULL, NULL);
    if (key != NULL && at == der + len) {
        *out = key;
        return ESTUARY_OK;
    }
    EVP_PKEY_free(key);
    return est_fail_openssl(err, EST_KEY_FORMAT, NULL);
}

/* OpenSSL has a bound of its own on what scrypt may take. */
static est_code why_closed(void)
{
    unsigned long first = est_openssl_first_error();
    bool memory = ERR_GET_LIB(first) == ERR_LIB_EVP && ERR_GET_REASON(first) == EVP_R_MEMORY_LIMIT_EXCEEDED;
    return memory ? EST_KEY_TOO_EXPENSIVE : EST_KEY_PASSPHRASE;
}

/* RFC 5958 3: EncryptedPrivateKeyInfo */
static estuary_status decode_encrypted(const X509_SIG *encrypted, const estuary_secret *passphrase,
                                       EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    PKCS8_PRIV_KEY_INFO *info = NULL;
    size_t size = 0;
    int len = 0;
    const char *text = estuary_secret_get0(passphrase, &size);
    if (passphrase == NULL)
        EST_FAIL(EST_KEY_PASSPHRASE_NEEDED, NULL);
    EST_TRY(est_key_check_encryption(encrypted, err));
    if (!est_size_to_int(size, &len) || (info = PKCS8_decrypt(encrypted, text, len)) == NULL)
        EST_FAIL_OPENSSL(why_closed(), NULL);
    *out = EVP_PKCS82PKEY_ex(info, NULL, NULL);
    if (*out == NULL)
        EST_FAIL_OPENSSL(EST_KEY_FORMAT, NULL);
cleanup:
    PKCS8_PRIV_KEY_INFO_free(info); /* OpenSSL wipes the key inside */
    return status;
}

/* NULL when the DER is not an EncryptedPrivateKeyInfo to its last byte. */
static X509_SIG *read_encrypted(const block *b)
{
    const uint8_t *at = b->data;
    X509_SIG *encrypted = d2i_X509_SIG(NULL, &at, b->len);
    if (encrypted != NULL && at == b->data + b->len)
        return encrypted;
    X509_SIG_free(encrypted);
    ERR_clear_error();
    return NULL;
}

/* Never asks anybody: the passphrase is there or the key stays closed. */
static int give_passphrase(char *buffer, int size, int writing, void *user)
{
    size_t len = 0;
    int result = 0;
    (void)writing;
    const char *text = estuary_secret_get0(user, &len);
    if (user == NULL || !est_size_to_int(len, &result) || result > size)
        return -1;
    memcpy(buffer, text, len);
    return result;
}

/* RFC 1421 headers, as OpenSSL's traditional format has them */
static estuary_status decode_traditional(block *b, const estuary_secret *passphrase, EVP_PKEY **out,
                                         estuary_error *err)
{
    EVP_CIPHER_INFO cipher;
    if (PEM_get_EVP_CIPHER_INFO(b->header, &cipher) != 1)
        return est_key_no_cipher(err);
    if (cipher.cipher == NULL)
        return decode_plain(b->data, b->len, out, err);
    if (passphrase == NULL)
        return est_fail(err, EST_KEY_PASSPHRASE_NEEDED, NULL);
    if (!est_cipher_is_fetchable(EVP_CIPHER_get0_name(cipher.cipher)))
        return est_key_no_cipher(err);
    long len = b->len;
    if (PEM_do_header(&cipher, b->data, &len, give_passphrase, (void *)passphrase) != 1)
        return est_fail_openssl(err, EST_KEY_PASSPHRASE, NULL);
    /* one wrong passphrase in 256 leaves good padding and rubbish before it */
    if (decode_plain(b->data, len, out, err) != ESTUARY_OK)
        return est_fail_openssl(err, EST_KEY_PASSPHRASE, NULL);
    return ESTUARY_OK;
}

static estuary_status decode(block *b, const estuary_secret *passphrase, EVP_PKEY **out, estuary_error *err)
{
    bool pem = b->name != NULL;
    if (pem && strcmp(b->name, "OPENSSH PRIVATE KEY") == 0)
        return est_fail(err, EST_KEY_FORMAT,
                        "the file holds a key in OpenSSH's own format, which is not read");
    if (pem && strcmp(b->name, "TSS2 PRIVATE KEY") == 0)
        return est_fail(err, EST_KEY_FORMAT, "the file holds a TPM key: name it tpm2:PATH");
    if (pem && b->header != NULL && *b->header != '\0')
        return decode_traditional(b, passphrase, out, err);
    X509_SIG *encrypted = read_encrypted(b);
    if (encrypted == NULL)
        return decode_plain(b->data, b->len, out, err);
    estuary_status status = decode_encrypted(encrypted, passphrase, out, err);
    X509_SIG_free(encrypted);
    return status;
}

/* The one private key among certificates and EC parameters. */
static estuary_status find_block(BIO *bio, block *found, estuary_error *err)
{
    for (int i = 0; i < MAX_BLOCKS; i++) {
        block next = {0};
        if (PEM_read_bio(bio, &next.name, &next.header, &next.data, &next.len) != 1)
            break;
        if (!ends_with(next.name, "PRIVATE KEY")) {
            block_clear(&next);
            continue;
        }
        if (found->name != NULL) {
            block_clear(&next);
            return est_fail(err, EST_KEY_FORMAT, "the file holds more than one private key");
        }
        *found = next;
    }
    if (found->name == NULL)
        return est_fail_openssl(err, EST_KEY_FORMAT, NULL);
    ERR_clear_error(); /* the end of the file, as PEM_read_bio says it */
    return ESTUARY_OK;
}

static estuary_status take_block(const uint8_t *bytes, size_t len, block *found, estuary_error *err)
{
    int size = 0;
    if (len == 0 || !est_size_to_int(len, &size))
        return est_fail(err, EST_KEY_FORMAT, NULL);
    if (bytes[0] == (V_ASN1_CONSTRUCTED | V_ASN1_SEQUENCE)) {
        found->data = OPENSSL_memdup(bytes, len);
        found->len = size;
        return found->data == NULL ? est_fail_memory(err) : ESTUARY_OK;
    }
    BIO *bio = BIO_new_mem_buf(bytes, size);
    if (bio == NULL)
        return est_fail_openssl(err, EST_MEMORY, NULL);
    estuary_status status = find_block(bio, found, err);
    BIO_free(bio);
    return status;
}

static estuary_status read_file(const char *path, unsigned flags, uint8_t **bytes, size_t *len,
                                estuary_error *err)
{
    est_file_flags checks =
        (flags & ESTUARY_KEY_INSECURE_PERMISSIONS) != 0 ? EST_FILE_PUBLIC : EST_FILE_PRIVATE;
    est_file_result result = est_file_read(path, MAX_BYTES, checks, bytes, len);
    if (result == EST_FILE_OK)
        return ESTUARY_OK;
    est_code code = result == EST_FILE_UNSAFE ? EST_KEY_PERMISSIONS : EST_KEY_FILE;
    return est_file_fail(err, result, code, "the key file", path);
}

static estuary_status open_file(const char *uri, const estuary_secret *passphrase, unsigned flags,
                                EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char *path = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    block found = {0};
    EST_TRY(est_key_uri_path(uri, &path, err));
    EST_TRY(read_file(path, flags, &bytes, &len, err));
    EST_TRY(take_block(bytes, len, &found, err));
    EST_TRY(decode(&found, passphrase, out, err));
cleanup:
    block_clear(&found);
    est_free_secret(bytes, len);
    est_free(path);
    return status;
}

estuary_status estuary_key_open(const char *uri, const estuary_secret *passphrase, unsigned flags,
                                EVP_PKEY **out, estuary_error *err)
{
    *out = NULL;
    if ((flags & ~(ESTUARY_KEY_INSECURE_PERMISSIONS | ESTUARY_KEY_INSECURE_UNVERIFIED)) != 0)
        return est_fail(err, EST_USAGE, "unknown flags for opening a key");
#ifdef ESTUARY_PKCS11
    if (est_key_uri_is_pkcs11(uri))
        return est_p11_key_open(uri, passphrase, flags, out, err);
#endif
    estuary_status status = est_key_uri_is_tpm2(uri) ? est_tpm2_open(uri, passphrase, flags, out, err)
                                                     : open_file(uri, passphrase, flags, out, err);
    return est_key_audit(EST_KEY_OP_OPEN, uri, NULL, status, err);
}
