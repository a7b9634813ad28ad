/* A wrapped key into one of the TPM's few slots, or a persistent one by its handle. */
#include "key/tpm2.h"

#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <string.h>

typedef struct question {
    const estuary_secret *pin; /* NULL: none was given */
    bool asked;
} question;

/* What a decoder or store asks for. */
static int give_pin(char *out, size_t size, size_t *len, const OSSL_PARAM params[], void *arg)
{
    (void)params;
    question *q = arg;
    size_t pin_len = 0;
    const char *pin = estuary_secret_get0(q->pin, &pin_len);
    q->asked = true;
    if (q->pin == NULL || pin_len > size)
        return 0;
    memcpy(out, pin, pin_len);
    *len = pin_len;
    return 1;
}

static int give_pin_pem(char *out, int size, int writing, void *arg)
{
    size_t room = 0, len = 0;
    (void)writing;
    int taken = -1;
    if (!est_int_to_size(size, &room) || give_pin(out, room, &len, NULL, arg) != 1 ||
        !est_size_to_int(len, &taken))
        return -1;
    return taken;
}

static estuary_status fail_loading(const question *q, estuary_error *err)
{
    if (q->asked && q->pin == NULL)
        return est_fail_openssl(err, EST_KEY_PIN_NEEDED, "the key wants its PIN");
    /* the key's own authorisation is used later: this is the parent's, or the hierarchy's */
    return est_tpm2_fail_at_parent(err, "loading the key");
}

static estuary_status load_bytes(const est_tpm2_source *source, EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const unsigned char *p = source->bytes;
    size_t len = source->len;
    question q = {.pin = source->pin};
    OSSL_DECODER_CTX *decoder = OSSL_DECODER_CTX_new_for_pkey(out, "PEM", NULL, NULL, EVP_PKEY_KEYPAIR,
                                                              est_tpm2_context(), EST_TPM2_QUERY);
    if (decoder == NULL || OSSL_DECODER_CTX_set_passphrase_cb(decoder, give_pin, &q) != 1 ||
        OSSL_DECODER_from_data(decoder, &p, &len) != 1)
        status = fail_loading(&q, err);
    OSSL_DECODER_CTX_free(decoder);
    return status;
}

static estuary_status take_from_store(OSSL_STORE_CTX *store, EVP_PKEY **out, estuary_error *err)
{
    while (*out == NULL && OSSL_STORE_eof(store) == 0) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (info == NULL)
            break;
        if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
            *out = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
    }
    if (*out == NULL)
        return est_fail_openssl(err, EST_KEY_NOT_FOUND,
                                "the TPM has no key at this handle, or its PIN is wrong");
    ERR_clear_error();
    return ESTUARY_OK;
}

static estuary_status load_handle(const est_tpm2_source *source, EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    OSSL_STORE_CTX *store = NULL;
    question q = {.pin = source->pin};
    char *full = est_printf("%s%s", source->handle, source->pin == NULL ? "" : "?pass");
    UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(give_pin_pem, 0);
    if (full == NULL || ui == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    store = OSSL_STORE_open_ex(full, est_tpm2_context(), EST_TPM2_QUERY, ui, &q, NULL, NULL, NULL);
    if (store == NULL)
        status = est_tpm2_fail(err, "opening the handle");
    else
        status = take_from_store(store, out, err);

cleanup:
    (void)OSSL_STORE_close(store);
    UI_destroy_method(ui);
    est_free(full);
    return status;
}

estuary_status est_tpm2_load(const est_tpm2_source *source, EVP_PKEY **out, estuary_error *err)
{
    *out = NULL;
    return source->handle != NULL ? load_handle(source, out, err) : load_bytes(source, out, err);
}

void est_tpm2_source_clear(est_tpm2_source *source)
{
    est_free(source->uri);
    est_free(source->handle);
    est_free_secret(source->bytes, source->len);
    estuary_secret_free(source->pin);
    memset(source, 0, sizeof(*source));
}
