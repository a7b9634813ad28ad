/* A new key of the TPM beside the file of an old one, and under the same parent. */
#include "key/next.h"
#include "key/tpm2.h"

#include <errno.h>
#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX  65536
#define PEM_LABEL "TSS2 PRIVATE KEY"

/* The length of the path up to the extension of its last part. */
static size_t stem_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(name, '.');
    return dot == NULL || dot == name ? strlen(path) : (size_t)(dot - path);
}

/* "/keys/device-2.pem" of "/keys/device.pem". */
static estuary_status choose(const char *old, char **out, estuary_error *err)
{
    unsigned number = 1;
    size_t stem = stem_length(old), folder = 0;
    const char *slash = strrchr(old, '/');
    if (slash != NULL)
        folder = (size_t)(slash - old) + 1;
    size_t base = folder + est_key_numbered((const uint8_t *)old + folder, stem - folder, &number);
    int shown = 0;
    if (!est_size_to_int(base, &shown))
        return est_fail(err, EST_USAGE, "the path of the TPM key is too long");
    for (unsigned tries = 0; tries < EST_KEY_NEXT_TRIES; tries++) {
        char *path = est_printf("%.*s-%u%s", shown, old, ++number, old + stem);
        if (path == NULL)
            return est_fail_memory(err);
        if (access(path, F_OK) != 0 && errno == ENOENT) {
            *out = path;
            return ESTUARY_OK;
        }
        est_free(path);
    }
    return est_fail(err, EST_KEY_EXISTS, NULL);
}

/*
 * TPMKey ::= SEQUENCE { type OID, emptyAuth [0] EXPLICIT BOOLEAN OPTIONAL, parent INTEGER, … }: the parent,
 * when it is a persistent one; 0 for all else.
 */
static uint32_t parent_of(const unsigned char *der, long len)
{
    uint64_t value = 0;
    long content = 0;
    int tag = 0, class = 0;
    const unsigned char *p = der, *end = der + len, *start = NULL;
    if ((ASN1_get_object(&p, &content, &tag, &class, len) & 0x80) != 0 || tag != V_ASN1_SEQUENCE)
        return 0;
    do {
        start = p;
        if (p >= end || (ASN1_get_object(&p, &content, &tag, &class, end - p) & 0x80) != 0 ||
            content > end - p)
            return 0;
        p += content;
    } while (class != V_ASN1_UNIVERSAL || tag != V_ASN1_INTEGER);
    ASN1_INTEGER *number = d2i_ASN1_INTEGER(NULL, &start, end - start);
    bool read = number != NULL && ASN1_INTEGER_get_uint64(&value, number) == 1;
    ASN1_INTEGER_free(number);
    return read && value >> 24 == 0x81 ? (uint32_t)value : 0;
}

bool est_tpm2_is_key_file(const char *path)
{
    uint8_t *text = NULL;
    size_t len = 0;
    bool is = est_file_read(path, FILE_MAX, EST_FILE_PUBLIC, &text, &len) == EST_FILE_OK &&
              strstr((const char *)text, "-----BEGIN " PEM_LABEL "-----") != NULL;
    est_free_secret(text, len);
    return is;
}

static uint32_t read_parent(const char *path)
{
    uint32_t parent = 0;
    uint8_t *text = NULL;
    unsigned char *der = NULL;
    char *name = NULL, *header = NULL;
    size_t len = 0;
    long der_len = 0;
    int size = 0;
    BIO *in = NULL;
    if (est_file_read(path, FILE_MAX, EST_FILE_PUBLIC, &text, &len) == EST_FILE_OK &&
        est_size_to_int(len, &size))
        in = BIO_new_mem_buf(text, size);
    if (in != NULL && PEM_read_bio(in, &name, &header, &der, &der_len) == 1 && strcmp(name, PEM_LABEL) == 0)
        parent = parent_of(der, der_len);
    ERR_clear_error();
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, der_len > 0 ? (size_t)der_len : 0);
    BIO_free(in);
    est_free_secret(text, len);
    return parent;
}

estuary_status est_tpm2_plan_next(const char *old, char **uri, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char *path = NULL, *fresh = NULL;
    EST_TRY(est_tpm2_uri_path(old, &path, err));
    EST_TRY(choose(path, &fresh, err));
    uint32_t parent = read_parent(path);
    *uri = parent == 0 ? est_printf("tpm2:%s", fresh) : est_printf("tpm2:%s?parent=0x%08x", fresh, parent);
    if (*uri == NULL)
        status = est_fail_memory(err);

cleanup:
    est_free(path);
    est_free(fresh);
    return status;
}

estuary_status est_tpm2_next(const char *algorithm, const char *old, const estuary_secret *pin, char **uri,
                             EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char *full = NULL;
    EST_TRY(est_tpm2_plan_next(old, &full, err));
    *uri = est_strndup(full, strcspn(full, "?"));
    if (*uri == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    EST_TRY(estuary_key_create(algorithm, full, pin, out, err));

cleanup:
    est_free(full);
    if (status != ESTUARY_OK) {
        est_free(*uri);
        *uri = NULL;
    }
    return status;
}
