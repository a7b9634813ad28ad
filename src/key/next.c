/* A renewal's new key: where the old one lives, under the old one's name with a number appended. */
#include "key/next.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define DIGITS_MAX 6

size_t est_key_numbered(const uint8_t *name, size_t len, unsigned *number)
{
    size_t digits = 0;
    unsigned value = 0, unit = 1;
    while (digits < len && digits <= DIGITS_MAX && name[len - 1 - digits] >= '0' &&
           name[len - 1 - digits] <= '9') {
        value += unit * (unsigned)(name[len - 1 - digits] - '0');
        unit *= 10;
        digits++;
    }
    *number = 1;
    /* only what this file could have appended: no "-07", and no label that is nothing but a number */
    if (digits == 0 || digits > DIGITS_MAX || digits + 1 >= len || name[len - 1 - digits] != '-' ||
        name[len - digits] == '0' || value < 2)
        return len;
    *number = value;
    return len - digits - 1;
}

#ifndef ESTUARY_PKCS11
static estuary_status next_in_token(const char *algorithm, const char *old, const estuary_secret *pin,
                                    char **uri, EVP_PKEY **out, estuary_error *err)
{
    (void)algorithm, (void)old, (void)pin, (void)uri, (void)out;
    return est_fail(err, EST_UNSUPPORTED_KEY_URI, "this build has no PKCS#11");
}

static estuary_status plan_in_token(const char *uri, const estuary_secret *pin, char **exact,
                                    estuary_error *err)
{
    (void)uri, (void)pin, (void)exact;
    return est_fail(err, EST_UNSUPPORTED_KEY_URI, "this build has no PKCS#11");
}
#define plan_next_in_token plan_in_token
#else
#define next_in_token      est_p11_next
#define plan_in_token      est_p11_plan
#define plan_next_in_token est_p11_plan_next
#endif

static estuary_status none_follows(const char *old, estuary_error *err)
{
    return est_fail(err, EST_USAGE,
                    old != NULL && strncasecmp(old, "handle:", 7) == 0
                        ? "a TPM makes no new key at a persistent handle, but in a file: tpm2:PATH"
                        : "only a key in a token or TPM is followed by one in the same place");
}

estuary_status estuary_key_create_next(const char *algorithm, const char *old, const estuary_secret *pin,
                                       char **uri, EVP_PKEY **out, estuary_error *err)
{
    *uri = NULL;
    *out = NULL;
    if (old != NULL && strncasecmp(old, "pkcs11:", 7) == 0)
        return next_in_token(algorithm, old, pin, uri, out, err);
    if (old != NULL && strncasecmp(old, "tpm2:", 5) == 0)
        return est_tpm2_next(algorithm, old, pin, uri, out, err);
    return none_follows(old, err);
}

estuary_status estuary_key_plan_next(const char *old, const estuary_secret *pin, char **uri,
                                     estuary_error *err)
{
    *uri = NULL;
    if (old != NULL && strncasecmp(old, "pkcs11:", 7) == 0)
        return plan_next_in_token(old, pin, uri, err);
    if (old != NULL && strncasecmp(old, "tpm2:", 5) == 0)
        return est_tpm2_plan_next(old, uri, err);
    return none_follows(old, err);
}

static estuary_status plan_tpm2(const char *uri, char **exact, estuary_error *err)
{
    char *path = NULL;
    estuary_status status = est_tpm2_uri_path(uri, &path, err);
    if (status == ESTUARY_OK && (access(path, F_OK) == 0 || errno != ENOENT))
        status = est_fail(err, EST_KEY_EXISTS, NULL);
    if (status == ESTUARY_OK && (*exact = est_strdup(uri)) == NULL)
        status = est_fail_memory(err);
    est_free(path);
    return status;
}

estuary_status estuary_key_plan(const char *uri, const estuary_secret *pin, char **exact, estuary_error *err)
{
    *exact = NULL;
    if (uri != NULL && strncasecmp(uri, "pkcs11:", 7) == 0)
        return plan_in_token(uri, pin, exact, err);
    if (uri != NULL && strncasecmp(uri, "tpm2:", 5) == 0)
        return plan_tpm2(uri, exact, err);
    return est_fail(err, EST_USAGE, "only a key in a token (pkcs11:) or of a TPM (tpm2:) is planned here");
}

/* The wrapped key is worth nothing without the file, and the TPM keeps no copy. */
static estuary_status destroy_tpm2(const char *uri, estuary_error *err)
{
    char *path = NULL;
    estuary_status status = est_tpm2_uri_path(uri, &path, err);
    if (status == ESTUARY_OK && !est_tpm2_is_key_file(path))
        status = est_fail(err, EST_KEY_FILE, "the file holds no key of a TPM, so it is left alone");
    if (status == ESTUARY_OK && unlink(path) != 0)
        status = est_fail_errno(err, EST_KEY_FILE, "the file of the TPM key cannot be removed");
    est_free(path);
    return est_key_audit(EST_KEY_OP_DELETE, uri, NULL, status, err);
}

estuary_status estuary_key_destroy(const char *uri, const estuary_secret *pin, estuary_error *err)
{
    if (uri != NULL && strncasecmp(uri, "pkcs11:", 7) == 0)
        return estuary_token_delete(uri, pin, err);
    if (uri != NULL && strncasecmp(uri, "tpm2:", 5) == 0)
        return destroy_tpm2(uri, err);
    return est_fail(err, EST_USAGE, "only a key in a token (pkcs11:) or of a TPM (tpm2:) is destroyed here");
}
