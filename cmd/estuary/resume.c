#include "command.h"

#include <openssl/crypto.h>
#include <openssl/x509v3.h>
#include <string.h>

static bool same_server(const estuary_server *a, const estuary_server *b)
{
    return a != NULL && b != NULL && strcmp(estuary_server_url(a), estuary_server_url(b)) == 0 &&
           strcmp(estuary_server_label(a), estuary_server_label(b)) == 0;
}

static bool same_request(const X509_REQ *a, const X509_REQ *b)
{
    unsigned char *der_a = NULL, *der_b = NULL;
    int len_a = i2d_X509_REQ(a, &der_a), len_b = i2d_X509_REQ(b, &der_b);
    bool same = len_a > 0 && len_a == len_b && memcmp(der_a, der_b, (size_t)len_a) == 0;
    OPENSSL_free(der_a);
    OPENSSL_free(der_b);
    return same;
}

/* The DER of subjectAltName; 0 bytes when there is none. */
static ASN1_OCTET_STRING *san_of(const X509_REQ *request)
{
    ASN1_OCTET_STRING *san = NULL;
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions((X509_REQ *)request);
    int at = X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, -1);
    if (at >= 0)
        san = ASN1_OCTET_STRING_dup(X509_EXTENSION_get_data(X509v3_get_ext(extensions, at)));
    else
        san = ASN1_OCTET_STRING_new();
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return san;
}

static bool same_names(const X509_REQ *a, const X509_REQ *b)
{
    ASN1_OCTET_STRING *san_a = san_of(a), *san_b = san_of(b);
    bool same = san_a != NULL && san_b != NULL && ASN1_OCTET_STRING_cmp(san_a, san_b) == 0 &&
                X509_NAME_cmp(X509_REQ_get_subject_name(a), X509_REQ_get_subject_name(b)) == 0;
    ASN1_OCTET_STRING_free(san_a);
    ASN1_OCTET_STRING_free(san_b);
    return same;
}

static bool same_text(const ASN1_STRING *a, const ASN1_STRING *b)
{
    unsigned char *text_a = NULL, *text_b = NULL;
    int len_a = ASN1_STRING_to_UTF8(&text_a, a), len_b = ASN1_STRING_to_UTF8(&text_b, b);
    bool same = len_a >= 0 && len_a == len_b &&
                (len_a == 0 || OPENSSL_strncasecmp((char *)text_a, (char *)text_b, (size_t)len_a) == 0);
    OPENSSL_free(text_a);
    OPENSSL_free(text_b);
    return same;
}

static bool has_entry(const X509_NAME *name, const X509_NAME_ENTRY *wanted)
{
    int at = -1;
    while ((at = X509_NAME_get_index_by_OBJ(name, X509_NAME_ENTRY_get_object(wanted), at)) >= 0)
        if (same_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)),
                      X509_NAME_ENTRY_get_data(wanted)))
            return true;
    return false;
}

static bool has_san(const GENERAL_NAMES *names, const GENERAL_NAME *wanted)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (GENERAL_NAME_cmp((GENERAL_NAME *)name, (GENERAL_NAME *)wanted) == 0)
            return true;
        if (name->type == GEN_DNS && wanted->type == GEN_DNS && same_text(name->d.dNSName, wanted->d.dNSName))
            return true;
    }
    return false;
}

static GENERAL_NAMES *names_of(const X509_REQ *request)
{
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions((X509_REQ *)request);
    GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return names;
}

/* With --csrattrs the server adds names of its own to the caller's, so the pending ones may be more. */
static bool has_names(const X509_REQ *request, const X509_REQ *wanted)
{
    const X509_NAME *subject = X509_REQ_get_subject_name(wanted);
    GENERAL_NAMES *names = names_of(request), *wanted_names = names_of(wanted);
    bool all = true;
    for (int i = 0; all && i < X509_NAME_entry_count(subject); i++)
        all = has_entry(X509_REQ_get_subject_name(request), X509_NAME_get_entry(subject, i));
    for (int i = 0; all && i < sk_GENERAL_NAME_num(wanted_names); i++)
        all = has_san(names, sk_GENERAL_NAME_value(wanted_names, i));
    GENERAL_NAMES_free(names);
    GENERAL_NAMES_free(wanted_names);
    return all;
}

static bool same_key(context *ctx, const enroll_job *job, const X509_REQ *pending,
                     const EVP_PKEY *pending_key)
{
    char algorithm[64] = "";
    if (!job->make_key)
        return job->key != NULL && EVP_PKEY_eq(job->key, X509_REQ_get0_pubkey((X509_REQ *)pending)) == 1;
    if (pending_key == NULL)
        return false;
    if (!job->algorithm_given)
        return true; /* whatever was chosen when the request was made */
    return estuary_key_algorithm(pending_key, algorithm, sizeof(algorithm), ctx->err) == ESTUARY_OK &&
           OPENSSL_strcasecmp(algorithm, job->algorithm) == 0;
}

/* The names of the request that these options would make, against the pending one. */
static int compare_names(context *ctx, const enroll_job *job, const X509_REQ *pending, EVP_PKEY *key,
                         bool *same)
{
    X509_REQ *wanted = NULL;
    int result = check(ctx, estuary_csr_sign(job->csr, key, &wanted, ctx->err));
    if (result == EXIT_DONE)
        *same = option_given(ctx, OPT_CSRATTRS) ? has_names(pending, wanted) : same_names(wanted, pending);
    X509_REQ_free(wanted);
    return result;
}

/* The same server, label, operation, key and names: anything else is another request (E7). */
static int matches(context *ctx, const enroll_job *job, const estuary_enrollment *pending, EVP_PKEY *key,
                   bool *same)
{
    const X509_REQ *request = estuary_enrollment_get0_request(pending);
    *same = false;
    if (request == NULL || estuary_enrollment_operation(pending) != job->operation ||
        !same_server(estuary_enrollment_get0_server(pending), job->server))
        return EXIT_DONE;
    if (job->request != NULL) {
        *same = key == NULL && same_request(job->request, request);
        return EXIT_DONE;
    }
    if (key == NULL || !same_key(ctx, job, request, key))
        return EXIT_DONE;
    return compare_names(ctx, job, request, key, same);
}

static int refuse_other(context *ctx)
{
    return fail(ctx, "config.pending-other",
                "finish it with its own command, or remove the .pending folder to give it up",
                "%s.pending holds a request for another server, label, operation, key or subject",
                option_text(ctx, OPT_OUT));
}

int job_load_pending(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    estuary_enrollment *pending = NULL;
    EVP_PKEY *key = NULL;
    EVP_PKEY *made = NULL;
    bool same = false, other = false;
    TRY(job_pending_key(ctx, job, &made, &other));
    estuary_status status = estuary_store_load_pending_with_key(job->store, job->make_key ? made : job->key,
                                                                &pending, &key, ctx->err);
    if (status == ESTUARY_E_KEY)
        TRY(refuse_other(ctx));
    TRY(check(ctx, status));
    if (pending == NULL)
        goto cleanup;
    if (!other)
        TRY(matches(ctx, job, pending, key, &same));
    if (!same)
        TRY(refuse_other(ctx));
    job->enrollment = pending;
    EVP_PKEY_free(job->key);
    job->key = key;
    job->resumed = true;
    pending = NULL;
    key = NULL;
cleanup:
    estuary_enrollment_free(pending);
    EVP_PKEY_free(key);
    EVP_PKEY_free(made);
    return result;
}
