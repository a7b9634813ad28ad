/* The part of a saved enrolment that only serverkeygen has: how the private key shall be encrypted. */
#include "est/serverkeygen.h"

#include <string.h>

estuary_status est_keygen_save(const estuary_enrollment *enrollment, json_t *state, estuary_error *err)
{
    const est_decrypt *how = &enrollment->decrypt;
    char *id = NULL;
    if (enrollment->operation != ESTUARY_OP_SERVERKEYGEN)
        return ESTUARY_OK;
    estuary_status status = est_base64_encode(how->id, how->id_len, &id, err);
    if (status == ESTUARY_OK &&
        (json_object_set_new(state, "key_protection", json_string(est_decrypt_method_name(how->method))) !=
             0 ||
         json_object_set_new(state, "decrypt_key_id", json_string(id)) != 0))
        status = est_fail_memory(err);
    est_free(id);
    return status;
}

static estuary_status broken(estuary_error *err)
{
    return est_fail(
        err, EST_CONFIG_PENDING_STATE,
        "the pending request on disk cannot be read: how its private key is encrypted is unclear");
}

estuary_status est_keygen_load(const json_t *state, estuary_enrollment *enrollment, estuary_error *err)
{
    const char *method = json_string_value(json_object_get(state, "key_protection"));
    const char *id = json_string_value(json_object_get(state, "decrypt_key_id"));
    est_decrypt *how = &enrollment->decrypt;
    if (enrollment->operation != ESTUARY_OP_SERVERKEYGEN)
        return ESTUARY_OK;
    if (method == NULL || id == NULL || !est_decrypt_method_from_name(method, &how->method))
        return broken(err);
    estuary_status status =
        est_base64_decode((const uint8_t *)id, strlen(id), EST_DECRYPT_ID_MAX, &how->id, &how->id_len, err);
    if (status != ESTUARY_OK)
        return status == ESTUARY_E_MEMORY ? status : broken(err);
    if ((how->id_len == 0) != (how->method == EST_DECRYPT_NONE))
        return broken(err);
    /* or the answer would be judged by another rule than the one the server was told */
    return est_decrypt_is_asked_for(how, enrollment->request) ? ESTUARY_OK : broken(err);
}
