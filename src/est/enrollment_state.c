/* An enrolment across a restart (E7): everything but the key, as JSON. */
#include "est/fullcmc.h"
#include "est/serverkeygen.h"

#include <jansson.h>
#include <openssl/err.h>
#include <string.h>

#define STATE_VERSION 1
#define STATE_MAX     (256 * 1024)
#define DER_MAX       (64 * 1024)

static const struct {
    estuary_state state;
    const char *name;
} states[] = {{ESTUARY_STATE_READY, "ready"}, {ESTUARY_STATE_PENDING, "pending"}};

static const char *state_name(estuary_state state)
{
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (states[i].state == state)
            return states[i].name;
    }
    return NULL;
}

static estuary_status put_der(json_t *object, const char *name, unsigned char *der, int len,
                              estuary_error *err)
{
    char *text = NULL;
    if (len <= 0)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    estuary_status status = est_base64_encode(der, (size_t)len, &text, err);
    if (status == ESTUARY_OK && json_object_set_new(object, name, json_string(text)) != 0)
        status = est_fail_memory(err);
    est_free(text);
    OPENSSL_free(der);
    return status;
}

static estuary_status put_certs(json_t *object, const estuary_enrollment *enrollment, estuary_error *err)
{
    unsigned char *der = NULL;
    int len = est_request_encode(enrollment->request, &der);
    estuary_status status = put_der(object, "request", der, len, err);
    if (status != ESTUARY_OK || enrollment->old == NULL)
        return status;
    der = NULL;
    len = i2d_X509(enrollment->old, &der);
    return put_der(object, "old_certificate", der, len, err);
}

/* The caller's memory comes from OpenSSL's allocator, jansson's does not. */
static estuary_status dump(const json_t *object, uint8_t **out, size_t *len, estuary_error *err)
{
    char *text = json_dumps(object, JSON_INDENT(2));
    char *copy = est_strdup(text);
    free(text);
    if (copy == NULL)
        return est_fail_memory(err);
    *len = strlen(copy);
    *out = (uint8_t *)copy;
    return ESTUARY_OK;
}

estuary_status estuary_enrollment_save(const estuary_enrollment *enrollment, uint8_t **out, size_t *len,
                                       estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    json_t *object = NULL;
    *out = NULL;
    *len = 0;
    const char *state = state_name(enrollment->state);
    if (state == NULL)
        EST_FAIL(EST_USAGE, "only an enrolment that is on its way can be saved");
    object =
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:b}", "version", STATE_VERSION, "operation",
                  estuary_operation_name(enrollment->operation), "server",
                  estuary_server_url(enrollment->server), "label", estuary_server_label(enrollment->server),
                  "state", state, "retry_at", (json_int_t)enrollment->retry_at, "polls",
                  (json_int_t)enrollment->polls, "bound", enrollment->bound ? 1 : 0);
    if (object == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    if (enrollment->maybe_sent && json_object_set_new(object, "sent", json_true()) != 0) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    EST_TRY(put_certs(object, enrollment, err));
    EST_TRY(est_cmc_save(enrollment->cmc, object, err));
    EST_TRY(est_keygen_save(enrollment, object, err));
    EST_TRY(dump(object, out, len, err));

cleanup:
    json_decref(object);
    return status;
}

static estuary_status broken(estuary_error *err, const char *what)
{
    return est_fail(err, EST_CONFIG_PENDING_STATE, "the pending request on disk cannot be read: %s", what);
}

static estuary_status get_der(const json_t *object, const char *name, uint8_t **der, size_t *len,
                              estuary_error *err)
{
    const char *text = json_string_value(json_object_get(object, name));
    *der = NULL;
    if (text == NULL)
        return broken(err, "a structure is missing");
    estuary_status status = est_base64_decode((const uint8_t *)text, strlen(text), DER_MAX, der, len, err);
    return status == ESTUARY_E_MEMORY || status == ESTUARY_OK ? status : broken(err, "its base64 is broken");
}

static estuary_status load_request(const json_t *object, estuary_enrollment *enrollment, estuary_error *err)
{
    uint8_t *der = NULL;
    size_t len = 0;
    estuary_status status = get_der(object, "request", &der, &len, err);
    if (status != ESTUARY_OK)
        return status;
    const unsigned char *p = der;
    enrollment->request = d2i_X509_REQ(NULL, &p, (long)len);
    if (enrollment->request == NULL || p != der + len)
        status = broken(err, "its PKCS#10 request is broken");
    ERR_clear_error();
    est_free(der);
    if (status == ESTUARY_OK)
        status = est_csr_refuse_broken(enrollment->request, NULL, err);
    return status == ESTUARY_E_CERTIFICATE ? broken(err, "its PKCS#10 request is damaged or weak") : status;
}

static estuary_status load_old(const json_t *object, estuary_enrollment *enrollment, estuary_error *err)
{
    uint8_t *der = NULL;
    size_t len = 0;
    if (json_object_get(object, "old_certificate") == NULL)
        return enrollment->operation == ESTUARY_OP_SIMPLEREENROLL
                   ? broken(err, "the certificate to renew is missing")
                   : ESTUARY_OK;
    estuary_status status = get_der(object, "old_certificate", &der, &len, err);
    if (status != ESTUARY_OK)
        return status;
    const unsigned char *p = der;
    enrollment->old = d2i_X509(NULL, &p, (long)len);
    if (enrollment->old == NULL || p != der + len)
        status = broken(err, "the certificate to renew is broken");
    ERR_clear_error();
    est_free(der);
    return status;
}

static estuary_status load_values(json_t *object, estuary_enrollment *enrollment, estuary_error *err)
{
    int version = 0, bound = 0;
    const char *operation = NULL, *server = NULL, *label = NULL, *state = NULL;
    json_int_t retry_at = 0, polls = 0;
    if (json_unpack(object, "{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:b}", "version", &version, "operation",
                    &operation, "server", &server, "label", &label, "state", &state, "retry_at", &retry_at,
                    "polls", &polls, "bound", &bound) != 0)
        return broken(err, "a value is missing or of the wrong type");
    if (version != STATE_VERSION)
        return broken(err, "it was written by another version");
    const est_operation *row = NULL;
    if (!est_operation_from_name(operation, &enrollment->operation) ||
        (row = est_operation_get(enrollment->operation)) == NULL || !row->enrolls)
        return broken(err, "its operation is unknown");
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(states[i].name, state) == 0)
            enrollment->state = states[i].state;
    }
    if (enrollment->state == ESTUARY_STATE_FAILED || polls < 0 || retry_at < 0)
        return broken(err, "its state makes no sense");
    enrollment->retry_at = (time_t)retry_at;
    enrollment->polls = polls;
    enrollment->bound = bound != 0;
    enrollment->maybe_sent = json_is_true(json_object_get(object, "sent"));
    estuary_status status =
        estuary_server_parse(server, label[0] == '\0' ? NULL : label, &enrollment->server, err);
    return status == ESTUARY_OK || status == ESTUARY_E_MEMORY ? status
                                                              : broken(err, "its server is not valid");
}

/* The key must be the request's own: "resumed only for the same key" (E7). */
static estuary_status attach_key(estuary_enrollment *enrollment, EVP_PKEY *key, estuary_error *err)
{
    if (key == NULL)
        return enrollment->bound ? est_fail(err, EST_KEY_NOT_REQUEST_KEY, NULL) : ESTUARY_OK;
    const EVP_PKEY *wanted = X509_REQ_get0_pubkey(enrollment->request);
    if (wanted == NULL || !est_key_equal(wanted, key))
        return est_fail(err, EST_KEY_MISMATCH, "the key is not the one of the pending request");
    estuary_status status = estuary_csr_new(&enrollment->csr, err);
    if (status == ESTUARY_OK)
        status = estuary_csr_copy_request(enrollment->csr, enrollment->request, err);
    if (status != ESTUARY_OK)
        return status;
    if (EVP_PKEY_up_ref(key) != 1)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    enrollment->key = key;
    return ESTUARY_OK;
}

estuary_status estuary_enrollment_load(const uint8_t *bytes, size_t len, EVP_PKEY *key,
                                       estuary_enrollment **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_enrollment *enrollment = NULL;
    json_t *object = NULL;
    *out = NULL;
    if (len > STATE_MAX)
        return broken(err, "it is too large");
    object = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        status = broken(err, "it is not a JSON object");
        goto cleanup;
    }
    enrollment = est_alloc(sizeof(*enrollment));
    if (enrollment == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    EST_TRY(load_values(object, enrollment, err));
    EST_TRY(load_request(object, enrollment, err));
    EST_TRY(load_old(object, enrollment, err));
    EST_TRY(est_keygen_load(object, enrollment, err));
    EST_TRY(est_cmc_load(object, enrollment->operation == ESTUARY_OP_FULLCMC, &enrollment->cmc, err));
    EST_TRY(attach_key(enrollment, key, err));
    *out = enrollment;
    enrollment = NULL;

cleanup:
    estuary_enrollment_free(enrollment);
    json_decref(object);
    return status;
}
