/* A CMC transaction across a restart (E7): an object of its own in the enrolment's state. No secret, no key.
 */
#include "est/fullcmc.h"

#include <openssl/crypto.h>
#include <string.h>

#define MESSAGE_MAX (128 * 1024)

static estuary_status broken(estuary_error *err)
{
    return est_fail(err, EST_CONFIG_PENDING_STATE,
                    "the pending request on disk cannot be read: its CMC transaction is broken");
}

/* Nothing is written for what is absent. */
static estuary_status put(json_t *object, const char *name, const uint8_t *bytes, size_t len,
                          estuary_error *err)
{
    char *text = NULL;
    if (len == 0)
        return ESTUARY_OK;
    estuary_status status = est_base64_encode(bytes, len, &text, err);
    if (status == ESTUARY_OK && json_object_set_new(object, name, json_string(text)) != 0)
        status = est_fail_memory(err);
    est_free(text);
    return status;
}

estuary_status est_cmc_save(const est_cmc *cmc, json_t *state, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    if (cmc == NULL)
        return ESTUARY_OK;
    json_t *object = json_pack("{s:s}", "body", cmc->crmf ? "crmf" : "pkcs10");
    if (object == NULL || json_object_set(state, "cmc", object) != 0)
        EST_TRY(est_fail_memory(err));
    if (cmc->identity != NULL && json_object_set_new(object, "identity", json_string(cmc->identity)) != 0)
        EST_TRY(est_fail_memory(err));
    if (cmc->proof && json_object_set_new(object, "proof", json_true()) != 0)
        EST_TRY(est_fail_memory(err));
    EST_TRY(put(object, "transaction", cmc->transaction, sizeof(cmc->transaction), err));
    EST_TRY(put(object, "nonce", cmc->nonce, cmc->nonce_len, err));
    EST_TRY(put(object, "pend_token", cmc->pend_token, cmc->pend_token_len, err));
    EST_TRY(put(object, "server_nonce", cmc->server_nonce, cmc->server_nonce_len, err));
    if (cmc->pend_token == NULL) /* else it is never sent again */
        EST_TRY(put(object, "message", cmc->message, cmc->message_len, err));
cleanup:
    json_decref(object);
    return status;
}

/* *out stays NULL for what is absent. */
static estuary_status get(const json_t *object, const char *name, size_t max, uint8_t **out, size_t *len,
                          estuary_error *err)
{
    const json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);
    *out = NULL;
    *len = 0;
    if (value == NULL)
        return ESTUARY_OK;
    if (text == NULL)
        return broken(err);
    estuary_status status = est_base64_decode((const uint8_t *)text, strlen(text), max, out, len, err);
    if (status == ESTUARY_OK && *len > 0)
        return status;
    est_free(*out);
    *out = NULL;
    return status == ESTUARY_E_MEMORY ? status : broken(err);
}

static estuary_status get_exactly(const json_t *object, const char *name, uint8_t *out, size_t size,
                                  estuary_error *err)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    estuary_status status = get(object, name, size, &bytes, &len, err);
    if (status == ESTUARY_OK && bytes != NULL && len == size)
        memcpy(out, bytes, size);
    else if (status == ESTUARY_OK)
        status = broken(err);
    est_free(bytes);
    return status;
}

static estuary_status get_words(const json_t *object, est_cmc *cmc, estuary_error *err)
{
    const char *body = json_string_value(json_object_get(object, "body"));
    const json_t *identity = json_object_get(object, "identity");
    const json_t *proof = json_object_get(object, "proof");
    if (proof != NULL && !json_is_true(proof))
        return broken(err);
    cmc->proof = proof != NULL;
    if (body == NULL || (strcmp(body, "crmf") != 0 && strcmp(body, "pkcs10") != 0))
        return broken(err);
    cmc->crmf = strcmp(body, "crmf") == 0;
    if (identity == NULL)
        return ESTUARY_OK;
    const char *text = json_string_value(identity);
    if (text == NULL || strlen(text) > EST_CMC_IDENTITY_MAX)
        return broken(err);
    cmc->identity = est_strdup(text);
    return cmc->identity == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

estuary_status est_cmc_load(const json_t *state, bool wanted, est_cmc **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_cmc *cmc = NULL;
    const json_t *object = json_object_get(state, "cmc");
    *out = NULL;
    if (!wanted && object == NULL)
        return ESTUARY_OK;
    if (!wanted || !json_is_object(object))
        return broken(err);
    cmc = est_alloc(sizeof(*cmc));
    if (cmc == NULL)
        return est_fail_memory(err);
    EST_TRY(get_words(object, cmc, err));
    EST_TRY(get_exactly(object, "transaction", cmc->transaction, sizeof(cmc->transaction), err));
    if (json_object_get(object, "nonce") != NULL)
        EST_TRY(get_exactly(object, "nonce", cmc->nonce, sizeof(cmc->nonce), err));
    cmc->nonce_len = json_object_get(object, "nonce") == NULL ? 0 : sizeof(cmc->nonce);
    EST_TRY(get(object, "message", MESSAGE_MAX, &cmc->message, &cmc->message_len, err));
    if (cmc->message != NULL && cmc->nonce_len == 0) /* RFC 5272 6.6: its answer could not be told */
        EST_TRY(broken(err));
    EST_TRY(get(object, "pend_token", EST_CMC_TOKEN_MAX, &cmc->pend_token, &cmc->pend_token_len, err));
    EST_TRY(get(object, "server_nonce", EST_CMC_TOKEN_MAX, &cmc->server_nonce, &cmc->server_nonce_len, err));
    *out = cmc;
    cmc = NULL;
cleanup:
    est_cmc_free(cmc);
    return status;
}
