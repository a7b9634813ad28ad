#include "wire/csr_parts.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#define MAX_FLAWS 8
#define MAX_LINES 256

typedef struct lines {
    char **text;
    size_t count;
} lines;

struct estuary_csr_report {
    char *subject;
    est_key_info key;
    char signature[EST_OID_MAX_TEXT];
    bool has_challenge;
    lines sans;
    lines extensions;
    struct {
        estuary_csr_flaw flaw;
        char sentence[192];
    } flaws[MAX_FLAWS];
    size_t flaw_count;
};

/* Nobody is asked for a passphrase: requests are not encrypted. */
static int no_passphrase(char *buffer, int size, int writing, void *user)
{
    (void)buffer, (void)size, (void)writing, (void)user;
    return -1;
}

static X509_REQ *read_pem(const uint8_t *bytes, int len)
{
    BIO *bio = BIO_new_mem_buf(bytes, len);
    X509_REQ *request = bio == NULL ? NULL : PEM_read_bio_X509_REQ(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    return request;
}

static X509_REQ *read_der(const uint8_t *bytes, int len)
{
    const uint8_t *at = bytes;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, len);
    if (request == NULL || at == bytes + len)
        return request;
    X509_REQ_free(request);
    return NULL;
}

estuary_status estuary_csr_parse(const uint8_t *bytes, size_t len, X509_REQ **out, estuary_error *err)
{
    int size = 0;
    *out = NULL;
    if (bytes == NULL || len == 0)
        return est_fail(err, EST_CSR_MALFORMED, "the request is empty");
    if (len > EST_CSR_MAX_BYTES || !est_size_to_int(len, &size))
        return est_fail(err, EST_CSR_MALFORMED, "the request is longer than %d bytes", EST_CSR_MAX_BYTES);
    *out = bytes[0] == (V_ASN1_CONSTRUCTED | V_ASN1_SEQUENCE) ? read_der(bytes, size) : read_pem(bytes, size);
    return *out == NULL ? est_fail_openssl(err, EST_CSR_MALFORMED, NULL) : ESTUARY_OK;
}

static void lines_free(lines *list)
{
    for (size_t i = 0; i < list->count; i++)
        est_free(list->text[i]);
    est_free(list->text);
}

void estuary_csr_report_free(estuary_csr_report *report)
{
    if (report == NULL)
        return;
    OPENSSL_free(report->subject);
    lines_free(&report->sans);
    lines_free(&report->extensions);
    est_free(report);
}

/* Takes line over; false when memory is short. What is past MAX_LINES is left out. */
static bool lines_add(lines *list, char *line)
{
    if (line != NULL && list->text == NULL)
        list->text = est_alloc(MAX_LINES * sizeof(*list->text));
    if (line == NULL || list->text == NULL || list->count == MAX_LINES) {
        est_free(line);
        return line != NULL && list->text != NULL;
    }
    list->text[list->count++] = line;
    return true;
}

EST_PRINTF(3) static void add_flaw(estuary_csr_report *report, estuary_csr_flaw flaw, const char *fmt, ...)
{
    if (report->flaw_count == MAX_FLAWS)
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(report->flaws[report->flaw_count].sentence, sizeof(report->flaws[0].sentence), fmt, args);
    va_end(args);
    report->flaws[report->flaw_count++].flaw = flaw;
}

/* RFC 4055 3.1: the digest stands in the parameters, SHA-1 when it does not. */
static int pss_digest(const X509_ALGOR *algorithm)
{
    int type = V_ASN1_UNDEF, nid = NID_undef;
    const void *value = NULL;
    X509_ALGOR_get0(NULL, &type, &value, algorithm);
    if (type != V_ASN1_SEQUENCE)
        return NID_undef;
    RSA_PSS_PARAMS *params = ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS));
    if (params != NULL)
        nid = params->hashAlgorithm == NULL ? NID_sha1 : OBJ_obj2nid(params->hashAlgorithm->algorithm);
    RSA_PSS_PARAMS_free(params);
    return nid;
}

static void look_at_signature(const X509_REQ *request, estuary_csr_report *report)
{
    const X509_ALGOR *algorithm = NULL;
    const ASN1_OBJECT *oid = NULL;
    X509_REQ_get0_signature(request, NULL, &algorithm);
    X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
    if (!est_oid_name(oid, report->signature, sizeof(report->signature)))
        snprintf(report->signature, sizeof(report->signature), "?");
    int nid = OBJ_obj2nid(oid);
    if (est_signature_is_weak(nid == NID_rsassaPss ? pss_digest(algorithm) : nid))
        add_flaw(report, ESTUARY_CSR_FLAW_WEAK_DIGEST,
                 "the request is signed with %s, which is weak or unknown", report->signature);
}

static void look_at_key(const X509_REQ *request, EVP_PKEY *signed_by, estuary_csr_report *report)
{
    EVP_PKEY *key = signed_by != NULL ? signed_by : X509_REQ_get0_pubkey((X509_REQ *)request);
    if (key == NULL || !est_key_info_get(key, &report->key)) {
        snprintf(report->key.name, sizeof(report->key.name), "unknown");
        add_flaw(report, ESTUARY_CSR_FLAW_SIGNATURE,
                 "the request's own signature cannot be checked: its key is broken or of an unknown kind");
        add_flaw(report, ESTUARY_CSR_FLAW_WEAK_KEY, "the request's key is broken or of an unknown kind");
        return;
    }
    if (signed_by == NULL && X509_REQ_verify((X509_REQ *)request, key) != 1)
        add_flaw(report, ESTUARY_CSR_FLAW_SIGNATURE, "the request's own signature does not verify");
    if (report->key.weak)
        add_flaw(report, ESTUARY_CSR_FLAW_WEAK_KEY, "the request's key is weak: %s", report->key.why);
}

static bool stands_twice(const X509_EXTENSIONS *extensions, int index)
{
    const ASN1_OBJECT *oid = X509_EXTENSION_get_object(sk_X509_EXTENSION_value(extensions, index));
    return X509v3_get_ext_by_OBJ(extensions, oid, index) >= 0;
}

/* false when memory is short */
static bool list_san(const X509_EXTENSION *extension, estuary_csr_report *report)
{
    bool done = true;
    GENERAL_NAMES *names = X509V3_EXT_d2i((X509_EXTENSION *)extension);
    for (int i = 0; done && i < sk_GENERAL_NAME_num(names); i++)
        done = lines_add(&report->sans, est_general_name_text(sk_GENERAL_NAME_value(names, i)));
    GENERAL_NAMES_free(names);
    return done;
}

static bool look_at_extension(const X509_EXTENSIONS *extensions, int index, estuary_csr_report *report)
{
    X509_EXTENSION *extension = sk_X509_EXTENSION_value(extensions, index);
    char name[EST_OID_MAX_TEXT] = "?";
    (void)est_oid_name(X509_EXTENSION_get_object(extension), name, sizeof(name));
    if (stands_twice(extensions, index))
        add_flaw(report, ESTUARY_CSR_FLAW_BAD_EXTENSION, "the request's extension %s stands twice", name);
    if (!est_extension_is_sound(extension)) {
        add_flaw(report, ESTUARY_CSR_FLAW_BAD_EXTENSION, "the request's extension %s is broken", name);
        return true;
    }
    if (OBJ_obj2nid(X509_EXTENSION_get_object(extension)) == NID_subject_alt_name)
        return list_san(extension, report);
    return lines_add(&report->extensions, est_extension_text(extension));
}

static bool look_at_extensions(const X509_REQ *request, estuary_csr_report *report)
{
    X509_EXTENSIONS *extensions = NULL;
    bool done = true;
    if (!est_request_extensions(request, &extensions)) {
        add_flaw(report, ESTUARY_CSR_FLAW_BAD_EXTENSION,
                 "the request's extensions are broken or stand twice");
        return true;
    }
    int count = sk_X509_EXTENSION_num(extensions);
    if (count > EST_CSR_MAX_EXTENSIONS) {
        add_flaw(report, ESTUARY_CSR_FLAW_BAD_EXTENSION, "the request has more than %d extensions",
                 EST_CSR_MAX_EXTENSIONS);
        count = EST_CSR_MAX_EXTENSIONS;
    }
    for (int i = 0; done && i < count; i++)
        done = look_at_extension(extensions, i, report);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return done;
}

static estuary_status inspect(const X509_REQ *request, EVP_PKEY *signed_by, estuary_csr_report **out,
                              estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    estuary_csr_report *report = est_alloc(sizeof(*report));
    if (report == NULL)
        return est_fail_memory(err);
    const X509_NAME *subject = X509_REQ_get_subject_name(request);
    EST_TRY(estuary_name_format(subject, &report->subject, err));
    look_at_key(request, signed_by, report);
    look_at_signature(request, report);
    if (!look_at_extensions(request, report))
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    report->has_challenge = X509_REQ_get_attr_by_NID(request, NID_pkcs9_challengePassword, -1) >= 0;
    if (X509_NAME_entry_count(subject) == 0 && report->sans.count == 0)
        add_flaw(report, ESTUARY_CSR_FLAW_NO_NAME, "the request has neither a subject nor a subjectAltName");
    *out = report;
    report = NULL;
cleanup:
    estuary_csr_report_free(report);
    ERR_clear_error(); /* what was tried and found wanting is in the report */
    return status;
}

estuary_status estuary_csr_inspect(const X509_REQ *request, estuary_csr_report **out, estuary_error *err)
{
    return inspect(request, NULL, out, err);
}

const char *estuary_csr_report_subject(const estuary_csr_report *report)
{
    return report->subject;
}

const char *estuary_csr_report_key(const estuary_csr_report *report)
{
    return report->key.name;
}

int estuary_csr_report_key_bits(const estuary_csr_report *report)
{
    return report->key.bits;
}

const char *estuary_csr_report_signature(const estuary_csr_report *report)
{
    return report->signature;
}

bool estuary_csr_report_has_challenge(const estuary_csr_report *report)
{
    return report->has_challenge;
}

const char *estuary_csr_report_san(const estuary_csr_report *report, size_t index)
{
    return index < report->sans.count ? report->sans.text[index] : NULL;
}

const char *estuary_csr_report_extension(const estuary_csr_report *report, size_t index)
{
    return index < report->extensions.count ? report->extensions.text[index] : NULL;
}

estuary_csr_flaw estuary_csr_report_flaw(const estuary_csr_report *report, size_t index,
                                         const char **sentence)
{
    bool inside = index < report->flaw_count;
    if (sentence != NULL)
        *sentence = inside ? report->flaws[index].sentence : NULL;
    return inside ? report->flaws[index].flaw : ESTUARY_CSR_FLAW_NONE;
}

static est_code code_of(estuary_csr_flaw flaw)
{
    switch (flaw) {
    case ESTUARY_CSR_FLAW_SIGNATURE:
        return EST_CSR_SIGNATURE;
    case ESTUARY_CSR_FLAW_WEAK_KEY:
        return EST_CSR_WEAK_KEY;
    case ESTUARY_CSR_FLAW_WEAK_DIGEST:
        return EST_CSR_WEAK_DIGEST;
    case ESTUARY_CSR_FLAW_NO_NAME:
        return EST_CSR_NO_NAME;
    case ESTUARY_CSR_FLAW_BAD_EXTENSION:
        return EST_CSR_EXTENSION;
    case ESTUARY_CSR_FLAW_NONE:
        break;
    }
    return EST_CSR_MALFORMED;
}

estuary_status est_csr_refuse_broken(const X509_REQ *request, EVP_PKEY *signed_by, estuary_error *err)
{
    estuary_csr_report *report = NULL;
    estuary_status status = inspect(request, signed_by, &report, err);
    if (status != ESTUARY_OK)
        return status;
    if (report == NULL)
        return est_fail(err, EST_CSR_MALFORMED, NULL);
    const char *sentence = NULL;
    estuary_csr_flaw flaw = estuary_csr_report_flaw(report, 0, &sentence);
    if (flaw != ESTUARY_CSR_FLAW_NONE)
        status = est_fail(err, code_of(flaw), "%s", sentence);
    estuary_csr_report_free(report);
    return status;
}
