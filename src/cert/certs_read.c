#include "cert/cert.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#define MAX_FILE_BYTES ((size_t)1 << 20)

bool est_certs_push(STACK_OF(X509) *certs, X509 *certificate)
{
    if (X509_up_ref(certificate) != 1)
        return false;
    if (sk_X509_push(certs, certificate) > 0)
        return true;
    X509_free(certificate);
    return false;
}

bool est_certs_contain(const STACK_OF(X509) *certs, const X509 *certificate)
{
    for (int i = 0; i < sk_X509_num(certs); i++) {
        if (X509_cmp(sk_X509_value(certs, i), certificate) == 0)
            return true;
    }
    return false;
}

static estuary_status add_der(const uint8_t *der, size_t len, est_code code, STACK_OF(X509) *certs,
                              estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    long der_len = 0;
    const uint8_t *end = der;
    X509 *certificate = NULL;
    if (est_size_to_long(len, &der_len))
        certificate = d2i_X509(NULL, &end, der_len);
    if (certificate == NULL || end != der + len)
        EST_FAIL_OPENSSL(code, "certificate number %d cannot be parsed", sk_X509_num(certs) + 1);
    if (!est_certs_push(certs, certificate))
        EST_TRY(est_fail_memory(err));
cleanup:
    X509_free(certificate);
    return status;
}

/* Auxiliary trust settings after the certificate are OpenSSL's own and mean nothing to us. */
static bool is_certificate(const char *name)
{
    return strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0;
}

/* Counting first tells "no more blocks" from "a damaged block" without asking OpenSSL's error queue. */
static size_t count_blocks(const uint8_t *bytes, size_t len)
{
    static const char begin[] = "-----BEGIN ";
    const size_t begin_len = sizeof(begin) - 1;
    size_t count = 0;
    for (size_t i = 0; i + begin_len <= len; i++) {
        if ((i == 0 || bytes[i - 1] == '\n') && memcmp(bytes + i, begin, begin_len) == 0)
            count++;
    }
    return count;
}

static estuary_status read_block(BIO *bio, size_t max_count, est_code code, STACK_OF(X509) *certs,
                                 estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long data_len = 0;
    size_t len = 0, count = 0;
    if (PEM_read_bio(bio, &name, &header, &data, &data_len) != 1 || !est_int_to_size(data_len, &len))
        EST_FAIL_OPENSSL(code, "the PEM block after certificate number %d is damaged", sk_X509_num(certs));
    if (!is_certificate(name))
        goto cleanup;
    if (!est_int_to_size(sk_X509_num(certs), &count) || count >= max_count)
        EST_FAIL(code, "there are more than %zu certificates", max_count);
    EST_TRY(add_der(data, len, code, certs, err));
cleanup:
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, len); /* it may be a private key that stands in the same file */
    return status;
}

static estuary_status read_pem(const uint8_t *bytes, size_t len, size_t max_count, est_code code,
                               STACK_OF(X509) *certs, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    int bio_len = 0;
    BIO *bio = NULL;
    if (est_size_to_int(len, &bio_len))
        bio = BIO_new_mem_buf(bytes, bio_len);
    if (bio == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    for (size_t left = count_blocks(bytes, len); left > 0; left--)
        EST_TRY(read_block(bio, max_count, code, certs, err));
cleanup:
    BIO_free(bio);
    return status;
}

estuary_status est_certs_parse(const uint8_t *bytes, size_t len, size_t max_count, est_code code,
                               STACK_OF(X509) **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    STACK_OF(X509) *certs = sk_X509_new_null();
    *out = NULL;
    if (certs == NULL)
        EST_TRY(est_fail_memory(err));
    if (len > MAX_FILE_BYTES)
        EST_FAIL(code, "that is more than 1 MiB");
    /* text may begin with "0" as well, but then no byte above 127 follows */
    if (len > 1 && bytes[0] == 0x30 && bytes[1] >= 0x80)
        EST_TRY(add_der(bytes, len, code, certs, err));
    else
        EST_TRY(read_pem(bytes, len, max_count, code, certs, err));
    *out = certs;
    certs = NULL;
cleanup:
    sk_X509_pop_free(certs, X509_free);
    return status;
}

estuary_status estuary_certs_from_file(const char *path, const estuary_limits *limits, STACK_OF(X509) **out,
                                       estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    uint8_t *bytes = NULL;
    size_t len = 0, max_count = 0;
    *out = NULL;
    if (path == NULL ||
        !est_int_to_size((long)estuary_limits_get(limits, ESTUARY_LIMIT_CERTIFICATES), &max_count))
        EST_FAIL(EST_USAGE, "there is no certificate file to read");
    est_file_result result = est_file_read(path, MAX_FILE_BYTES, EST_FILE_PUBLIC, &bytes, &len);
    if (result != EST_FILE_OK)
        EST_TRY(est_file_fail(err, result, EST_CONFIG_CERT_FILE, "the certificate file", path));
    EST_TRY(est_certs_parse(bytes, len, max_count, EST_CONFIG_CERT_FILE, out, err));
    if (sk_X509_num(*out) == 0) {
        sk_X509_free(*out);
        *out = NULL;
        EST_FAIL(EST_CONFIG_CERT_FILE, "the certificate file holds no certificate");
    }
cleanup:
    est_free_secret(bytes, len);
    return status;
}
