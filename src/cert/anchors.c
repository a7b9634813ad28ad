#include "cert/cert.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <string.h>

#define MAX_FILE_BYTES ((size_t)1 << 20)
#define MAX_CERTS      512
#define NAME_SIZE      256

struct estuary_anchors {
    atomic_int references;
    bool is_explicit;
    X509_STORE *store; /* made once, then only read; OpenSSL locks inside */
    STACK_OF(X509) *roots;
    STACK_OF(X509) *helpers;
};

/* RFC 5280 6.1.4 (k): without basicConstraints a certificate is no CA; 1 is OpenSSL's word for "has it". */
enum { IS_CA = 1, IS_V1_SELF_SIGNED = 3 };

bool est_certificate_is_ca(const X509 *certificate)
{
    ERR_set_mark();
    bool is_ca = X509_check_ca((X509 *)certificate) == IS_CA;
    ERR_pop_to_mark();
    return is_ca;
}

/* A version 1 root cannot say that it is a CA; being configured as an anchor says it (RFC 5280 6.1.1 d). */
bool est_certificate_is_root(const X509 *certificate)
{
    X509 *lent = (X509 *)certificate; /* OpenSSL caches in it, behind a lock */
    ERR_set_mark();
    int ca = X509_check_ca(lent);
    bool is_root = (ca == IS_CA || ca == IS_V1_SELF_SIGNED) && X509_self_signed(lent, 1) == 1;
    ERR_pop_to_mark();
    return is_root;
}

estuary_anchors *est_anchors_new(bool is_explicit)
{
    estuary_anchors *anchors = est_alloc(sizeof(*anchors));
    if (anchors == NULL)
        return NULL;
    atomic_init(&anchors->references, 1);
    anchors->is_explicit = is_explicit;
    anchors->store = X509_STORE_new();
    anchors->roots = sk_X509_new_null();
    anchors->helpers = sk_X509_new_null();
    if (anchors->store != NULL && anchors->roots != NULL && anchors->helpers != NULL)
        return anchors;
    estuary_anchors_free(anchors);
    return NULL;
}

estuary_anchors *estuary_anchors_up_ref(const estuary_anchors *anchors)
{
    estuary_anchors *shared = (estuary_anchors *)anchors; /* only the count changes, and atomically */
    if (shared != NULL)
        atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

void estuary_anchors_free(estuary_anchors *anchors)
{
    if (anchors == NULL || atomic_fetch_sub_explicit(&anchors->references, 1, memory_order_acq_rel) != 1)
        return;
    X509_STORE_free(anchors->store);
    sk_X509_pop_free(anchors->roots, X509_free);
    sk_X509_pop_free(anchors->helpers, X509_free);
    est_free(anchors);
}

X509_STORE *est_anchors_get0_store(const estuary_anchors *anchors)
{
    return anchors->store;
}

bool estuary_anchors_is_explicit(const estuary_anchors *anchors)
{
    return anchors != NULL && anchors->is_explicit;
}

const STACK_OF(X509) *estuary_anchors_get0_roots(const estuary_anchors *anchors)
{
    return anchors->roots;
}

const STACK_OF(X509) *estuary_anchors_get0_helpers(const estuary_anchors *anchors)
{
    return anchors->helpers;
}

bool est_anchors_add_root(estuary_anchors *anchors, X509 *root)
{
    if (est_certs_contain(anchors->roots, root))
        return true;
    return X509_STORE_add_cert(anchors->store, root) == 1 && est_certs_push(anchors->roots, root);
}

bool est_anchors_add_helper(estuary_anchors *anchors, X509 *helper)
{
    return est_certs_contain(anchors->helpers, helper) || est_certs_push(anchors->helpers, helper);
}

static estuary_status classify(estuary_anchors *anchors, X509 *certificate, estuary_error *err)
{
    bool added = false;
    if (est_certificate_is_root(certificate)) {
        added = est_anchors_add_root(anchors, certificate);
    } else if (est_certificate_is_ca(certificate)) {
        added = est_anchors_add_helper(anchors, certificate);
    } else {
        char subject[NAME_SIZE];
        est_subject_text(certificate, subject, sizeof(subject));
        return est_fail(err, EST_CONFIG_ANCHORS_NOT_CA,
                        "\"%s\" among the trust anchors is not a CA certificate", subject);
    }
    return added ? ESTUARY_OK : est_fail_openssl(err, EST_MEMORY, NULL);
}

/* Dates are not looked at here: they are judged with every path, at that path's time. */
estuary_status estuary_anchors_from_certs(const STACK_OF(X509) *certs, estuary_anchors **out,
                                          estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_anchors *anchors = est_anchors_new(true);
    *out = NULL;
    if (anchors == NULL)
        EST_TRY(est_fail_memory(err));
    if (sk_X509_num(certs) > MAX_CERTS)
        EST_FAIL(EST_CONFIG_ANCHORS_FILE, "there are more than %d certificates", MAX_CERTS);
    for (int i = 0; i < sk_X509_num(certs); i++)
        EST_TRY(classify(anchors, sk_X509_value(certs, i), err));
    if (sk_X509_num(anchors->roots) == 0)
        EST_FAIL(EST_CONFIG_ANCHORS_EMPTY, NULL);
    *out = anchors;
    anchors = NULL;
cleanup:
    estuary_anchors_free(anchors);
    return status;
}

static bool is_blank(const uint8_t *bytes, size_t len)
{
    size_t i = 0;
    while (i < len && (bytes[i] == ' ' || bytes[i] == '\t' || bytes[i] == '\r' || bytes[i] == '\n'))
        i++;
    return i == len;
}

estuary_status estuary_anchors_from_bytes(const uint8_t *bytes, size_t len, estuary_anchors **out,
                                          estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    STACK_OF(X509) *certs = NULL;
    *out = NULL;
    if (is_blank(bytes, len))
        EST_FAIL(EST_CONFIG_ANCHORS_FILE_EMPTY, NULL);
    EST_TRY(est_certs_parse(bytes, len, MAX_CERTS, EST_CONFIG_ANCHORS_FILE, &certs, err));
    if (sk_X509_num(certs) == 0)
        EST_FAIL(EST_CONFIG_ANCHORS_FORMAT, NULL);
    EST_TRY(estuary_anchors_from_certs(certs, out, err));
cleanup:
    sk_X509_pop_free(certs, X509_free);
    return status;
}

estuary_status estuary_anchors_from_file(const char *path, estuary_anchors **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    uint8_t *bytes = NULL;
    size_t len = 0;
    *out = NULL;
    if (path == NULL)
        EST_FAIL(EST_USAGE, "there is no trust anchor file to read");
    est_file_result result = est_file_read(path, MAX_FILE_BYTES, EST_FILE_PUBLIC, &bytes, &len);
    if (result != EST_FILE_OK)
        EST_TRY(est_file_fail(err, result, EST_CONFIG_ANCHORS_FILE, "the trust anchor file", path));
    EST_TRY(estuary_anchors_from_bytes(bytes, len, out, err));
cleanup:
    est_free_secret(bytes, len); /* people put keys into such files, too */
    return status;
}

estuary_status estuary_anchors_system(estuary_anchors **out, estuary_error *err)
{
    estuary_anchors *anchors = est_anchors_new(false);
    *out = NULL;
    if (anchors == NULL)
        return est_fail_memory(err);
    if (X509_STORE_set_default_paths(anchors->store) != 1) {
        estuary_anchors_free(anchors);
        return est_fail_openssl(err, EST_CONFIG_ANCHORS_FILE, "the system's trust store cannot be opened");
    }
    *out = anchors;
    return ESTUARY_OK;
}

static bool add_all(estuary_anchors *to, const estuary_anchors *from)
{
    bool ok = true;
    for (int i = 0; ok && i < sk_X509_num(from->roots); i++)
        ok = est_anchors_add_root(to, sk_X509_value(from->roots, i));
    for (int i = 0; ok && i < sk_X509_num(from->helpers); i++)
        ok = est_anchors_add_helper(to, sk_X509_value(from->helpers, i));
    return ok;
}

estuary_status estuary_anchors_union(const estuary_anchors *a, const estuary_anchors *b,
                                     estuary_anchors **out, estuary_error *err)
{
    *out = NULL;
    if (a == NULL || b == NULL)
        return est_fail(err, EST_USAGE_NO_TRUST, NULL);
    /* T2; RFC 7030 3.6.1 and 3.6.2 ask for different things of a server */
    if (a->is_explicit != b->is_explicit)
        return est_fail(err, EST_USAGE_MIXED_TRUST, NULL);
    if (!a->is_explicit || a == b) {
        *out = estuary_anchors_up_ref(a);
        return ESTUARY_OK;
    }
    estuary_anchors *both = est_anchors_new(true);
    if (both == NULL || !add_all(both, a) || !add_all(both, b)) {
        estuary_anchors_free(both);
        return est_fail_openssl(err, EST_MEMORY, NULL);
    }
    *out = both;
    return ESTUARY_OK;
}

static bool write_all(BIO *bio, const STACK_OF(X509) *certs)
{
    for (int i = 0; i < sk_X509_num(certs); i++) {
        if (PEM_write_bio_X509(bio, sk_X509_value(certs, i)) != 1)
            return false;
    }
    return true;
}

estuary_status estuary_anchors_to_pem(const estuary_anchors *anchors, char **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char *text = NULL;
    size_t len = 0;
    BIO *bio = BIO_new(BIO_s_mem());
    *out = NULL;
    if (bio == NULL || !write_all(bio, anchors->roots) || !write_all(bio, anchors->helpers))
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    if (!est_int_to_size(BIO_get_mem_data(bio, &text), &len))
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    *out = est_strndup(len == 0 ? "" : text, len);
    if (*out == NULL)
        EST_TRY(est_fail_memory(err));
cleanup:
    BIO_free(bio);
    return status;
}
