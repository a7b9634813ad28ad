#include "key/key.h"
#include "store/pem.h"
#include "store/room.h"

#include <openssl/bio.h>
#include <string.h>
#include <unistd.h>

#define FILES 5

/* The texts of one generation; files point into them. */
struct texts {
    BIO *leaf;
    BIO *chain;
    BIO *full;
    estuary_secret *key;
    int pending; /* where the key may stand already */
    est_store_file files[FILES];
};

static void texts_free(struct texts *texts)
{
    BIO_free(texts->leaf);
    BIO_free(texts->chain);
    BIO_free(texts->full);
    estuary_secret_free(texts->key);
    if (texts->pending >= 0)
        close(texts->pending);
}

estuary_status est_store_key_pem(estuary_store *store, const EVP_PKEY *key, estuary_secret **out,
                                 estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    if (key == NULL || store->written_key != key) {
        store->key_is_pending = false; /* what stands there is another's */
        estuary_secret_free(store->key_pem);
        EVP_PKEY_free(store->written_key);
        store->key_pem = NULL;
        store->written_key = NULL;
        EST_TRY(estuary_key_to_pem(key, NULL, &store->key_pem, err));
        if (EVP_PKEY_up_ref((EVP_PKEY *)key) != 1)
            EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
        store->written_key = (EVP_PKEY *)key;
    }
    *out = estuary_secret_up_ref(store->key_pem);

cleanup:
    return status;
}

static estuary_status key_text(estuary_store *store, const EVP_PKEY *key, struct texts *texts,
                               estuary_error *err)
{
    est_store_file *file = &texts->files[3];
    if (store->key_uri != NULL) {
        *file = (est_store_file){"key.uri", store->key_uri, strlen(store->key_uri), 0644, NULL};
        return ESTUARY_OK;
    }
    if (key == NULL)
        return ESTUARY_OK;
    texts->pending = est_pending_with_key(store, key);
    estuary_status status = est_store_key_pem(store, key, &texts->key, err);
    if (status == ESTUARY_OK) {
        *file = (est_store_file){"key.pem", NULL, 0, 0600, texts->pending < 0 ? NULL : &texts->pending};
        file->bytes = estuary_secret_get0(texts->key, &file->len);
    }
    return status;
}

static estuary_status texts_make(estuary_store *store, X509 *leaf, const STACK_OF(X509) *chain,
                                 const EVP_PKEY *key, struct texts *texts, estuary_error *err)
{
    texts->leaf = est_store_certs_to_pem(leaf, NULL);
    texts->chain = est_store_certs_to_pem(NULL, chain);
    texts->full = est_store_certs_to_pem(leaf, chain);
    if (texts->leaf == NULL || texts->chain == NULL || texts->full == NULL)
        return est_fail_openssl(err, EST_CRYPTO, "the certificates cannot be written as PEM");
    texts->files[0] = est_store_file_of("cert.pem", texts->leaf, 0644);
    texts->files[1] = est_store_file_of("chain.pem", texts->chain, 0644);
    texts->files[2] = est_store_file_of("fullchain.pem", texts->full, 0644);
    /* only chain.pem may be empty: a leaf that a root issued has no intermediates */
    bool chain_lost = sk_X509_num(chain) > 0 && texts->files[1].len == 0;
    if (texts->files[0].len == 0 || texts->files[2].len == 0 || chain_lost)
        return est_fail_openssl(err, EST_CRYPTO, "the certificates cannot be written as PEM");
    return key_text(store, key, texts, err);
}

estuary_status est_store_commit_plain(estuary_store *store, X509 *leaf, const STACK_OF(X509) *chain,
                                      const EVP_PKEY *key, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    struct texts texts = {.pending = -1};
    const est_generation generation = {
        store->parent, store->name, store->fresh, est_store_generation_names, 0755, .outlasts_power = true};
    if (key != NULL && !est_key_equal(key, X509_get0_pubkey(leaf)))
        EST_FAIL(EST_KEY_MISMATCH, "the key does not belong to the certificate to be stored");
    EST_TRY(texts_make(store, leaf, chain, key, &texts, err));
    EST_TRY(est_pending_mark(store, texts.files[0].bytes, texts.files[0].len, err));
    EST_TRY(est_generation_replace(&generation, texts.files, err));
    EST_TRY(estuary_store_remove_pending(store, err));
cleanup:
    texts_free(&texts);
    return status;
}

estuary_status estuary_store_commit(estuary_store *store, const estuary_enrollment *enrollment,
                                    const EVP_PKEY *key, estuary_error *err)
{
    if (store == NULL || enrollment == NULL || estuary_enrollment_state(enrollment) != ESTUARY_STATE_ISSUED)
        return est_fail(err, EST_USAGE, "only an issued certificate that passed its checks is stored");
    return est_store_commit_plain(store, estuary_enrollment_get0_certificate(enrollment),
                                  estuary_enrollment_get0_chain(enrollment), key, err);
}
