#include "est/est.h"
#include "key/key.h"
#include "store/pem.h"
#include "store/room.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STATE_MAX (512 * 1024)
#define KEY_MAX   (64 * 1024)
#define URI_MAX   (16 * 1024)
#define CERT_MAX  (512 * 1024)
#define MARK      "committed.sha256"
#define MARK_SIZE 65

static int open_pending(const estuary_store *store)
{
    return openat(store->parent, store->pending, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int est_pending_with_key(const estuary_store *store, const EVP_PKEY *key)
{
    return store->key_is_pending && store->written_key == key ? open_pending(store) : -1;
}

estuary_status est_store_save_pending_plain(estuary_store *store, const uint8_t *state, size_t len,
                                            const EVP_PKEY *key, bool sent, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_secret *key_pem = NULL;
    int before = key == NULL ? -1 : est_pending_with_key(store, key);
    est_store_file files[3] = {{"state.json", state, len, 0600, NULL}};
    const est_generation pending = {store->parent,           store->pending, store->fresh_pending,
                                    est_store_pending_names, 0700,           .outlasts_power = sent};
    if (key != NULL) {
        EST_TRY(est_store_key_pem(store, key, &key_pem, err));
        files[1] = (est_store_file){"key.pem", NULL, 0, 0600, before < 0 ? NULL : &before};
        files[1].bytes = estuary_secret_get0(key_pem, &files[1].len);
    } else if (store->key_uri != NULL) {
        files[1] = (est_store_file){"key.uri", store->key_uri, strlen(store->key_uri), 0600, NULL};
    }
    store->key_is_pending = false;
    EST_TRY(est_generation_replace(&pending, files, err));
    store->key_is_pending = key != NULL;
cleanup:
    if (before >= 0)
        close(before);
    estuary_secret_free(key_pem);
    return status;
}

estuary_status estuary_store_save_pending(estuary_store *store, const estuary_enrollment *enrollment,
                                          const EVP_PKEY *key, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    uint8_t *state = NULL;
    size_t len = 0;
    if (store == NULL || enrollment == NULL || enrollment->request == NULL)
        EST_FAIL(EST_USAGE, "only a signed request can be pending");
    EST_TRY(estuary_enrollment_save(enrollment, &state, &len, err));
    /* not sent yet: a power cut may lose it whole, and nobody misses it */
    bool sent = estuary_enrollment_state(enrollment) != ESTUARY_STATE_READY ||
                estuary_enrollment_maybe_sent(enrollment);
    EST_TRY(est_store_save_pending_plain(store, state, len, key, sent, err));
cleanup:
    est_free(state);
    return status;
}

static estuary_status read_key(int dir, EVP_PKEY **key, estuary_error *err)
{
    uint8_t *pem = NULL;
    size_t len = 0;
    est_file_result result = est_store_read(dir, "key.pem", KEY_MAX, &pem, &len);
    if (result == EST_FILE_MISSING)
        return ESTUARY_OK; /* signed elsewhere */
    if (result != EST_FILE_OK)
        return est_file_fail(err, result, EST_CONFIG_PENDING_STATE, "the pending request's key", "key.pem");
    *key = est_store_key_from_pem(pem, len);
    est_free_secret(pem, len + 1);
    if (*key == NULL)
        return est_fail_openssl(err, EST_CONFIG_PENDING_STATE, "the pending request's key cannot be read");
    return ESTUARY_OK;
}

estuary_status est_store_load_pending_plain(estuary_store *store, uint8_t **state, size_t *len,
                                            EVP_PKEY **key, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *state = NULL;
    *len = 0;
    *key = NULL;
    int dir = open_pending(store);
    if (dir < 0 && errno == ENOENT)
        return ESTUARY_OK;
    if (dir < 0)
        return est_fail_errno(err, EST_CONFIG_PENDING_STATE, "the folder %s cannot be opened",
                              store->pending);
    est_file_result result = est_store_read(dir, "state.json", STATE_MAX, state, len);
    if (result != EST_FILE_OK) {
        status =
            est_file_fail(err, result, EST_CONFIG_PENDING_STATE, "the pending request's state", "state.json");
        goto cleanup;
    }
    EST_TRY(read_key(dir, key, err));
cleanup:
    close(dir);
    if (status != ESTUARY_OK) {
        est_free_secret(*state, *len);
        *state = NULL;
        *len = 0;
    }
    return status;
}

estuary_status estuary_store_load_pending_with_key(estuary_store *store, EVP_PKEY *own,
                                                   estuary_enrollment **out, EVP_PKEY **key,
                                                   estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    uint8_t *state = NULL;
    size_t len = 0;
    *out = NULL;
    *key = NULL;
    if (store == NULL)
        EST_FAIL(EST_USAGE, "there is no store");
    EST_TRY(est_store_load_pending_plain(store, &state, &len, key, err));
    if (state != NULL && *key == NULL && own != NULL) {
        if (EVP_PKEY_up_ref(own) != 1)
            EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
        *key = own;
    }
    if (state != NULL)
        EST_TRY(estuary_enrollment_load(state, len, *key, out, err));
cleanup:
    est_free_secret(state, len);
    if (status != ESTUARY_OK) {
        EVP_PKEY_free(*key);
        *key = NULL;
    }
    return status;
}

estuary_status estuary_store_load_pending(estuary_store *store, estuary_enrollment **out, EVP_PKEY **key,
                                          estuary_error *err)
{
    return estuary_store_load_pending_with_key(store, NULL, out, key, err);
}

/* One line, as estuary_store_set_key_uri() took it. */
static char *line_of(const uint8_t *text, size_t len)
{
    if (len < 2 || text[len - 1] != '\n' || memchr(text, '\n', len - 1) != NULL ||
        memchr(text, '\0', len) != NULL)
        return NULL;
    return est_strndup((const char *)text, len - 1);
}

estuary_status estuary_store_pending_key_uri(estuary_store *store, char **uri, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    uint8_t *text = NULL;
    size_t len = 0;
    *uri = NULL;
    if (store == NULL)
        return est_fail(err, EST_USAGE, "there is no store");
    int dir = open_pending(store);
    if (dir < 0 && errno == ENOENT)
        return ESTUARY_OK;
    if (dir < 0)
        return est_fail_errno(err, EST_CONFIG_PENDING_STATE, "the folder %s cannot be opened",
                              store->pending);
    est_file_result result = est_store_read(dir, "key.uri", URI_MAX, &text, &len);
    if (result != EST_FILE_OK && result != EST_FILE_MISSING)
        status =
            est_file_fail(err, result, EST_CONFIG_PENDING_STATE, "the pending request's key URI", "key.uri");
    else if (result == EST_FILE_OK && (*uri = line_of(text, len)) == NULL)
        status =
            est_fail(err, EST_CONFIG_PENDING_STATE, "the pending request's key URI is not one line of text");
    est_free_secret(text, len);
    close(dir);
    return status;
}

/* First out of the way in one step, then file by file. */
estuary_status estuary_store_remove_pending(estuary_store *store, estuary_error *err)
{
    char aside[EST_STORE_NAME_SIZE];
    if (store == NULL)
        return est_fail(err, EST_USAGE, "there is no store");
    store->key_is_pending = false;
    if (!est_store_random_name(store->pending, aside))
        return est_fail_errno(err, EST_IO, "the pending request cannot be moved away");
    if (est_store_rename(store->parent, store->pending, aside, RENAME_NOREPLACE) == 0) {
        /* no fsync: a request that a power cut brings back is resumed, or known by its mark as answered */
        (void)est_store_remove_folder(store->parent, aside, est_store_pending_names);
        return ESTUARY_OK;
    }
    return errno == ENOENT ? ESTUARY_OK
                           : est_fail_errno(err, EST_IO, "the pending request cannot be removed");
}

static bool digest_text(const void *bytes, size_t len, char text[MARK_SIZE])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    size_t size = 0;
    if (EVP_Q_digest(NULL, "SHA256", NULL, bytes, len, digest, &size) != 1 || size != 32)
        return false;
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return true;
}

estuary_status est_pending_mark(estuary_store *store, const void *cert_pem, size_t len, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char text[MARK_SIZE];
    int dir = open_pending(store);
    if (dir < 0 && errno == ENOENT)
        return ESTUARY_OK;
    if (dir < 0)
        EST_FAIL_ERRNO(EST_IO, "the folder %s cannot be opened", store->pending);
    if (!digest_text(cert_pem, len, text))
        EST_FAIL_OPENSSL(EST_CRYPTO, "SHA-256 failed");
    if (est_store_unlinkat(dir, MARK, 0) != 0 && errno != ENOENT)
        EST_FAIL_ERRNO(EST_IO, "an old mark of the pending request cannot be removed");
    est_store_file file = {MARK, text, MARK_SIZE - 1, 0600, NULL};
    /* no fsync: the one of the generation follows, and a mark lost to a power cut only costs a request */
    if (!est_store_write_unsynced(dir, &file))
        EST_FAIL_ERRNO(EST_IO, "the pending request cannot be marked");
cleanup:
    if (dir >= 0)
        close(dir);
    return status;
}

/* The SHA-256 of the certificate in place; false when there is none. */
static bool current_digest(const estuary_store *store, char text[MARK_SIZE])
{
    uint8_t *cert = NULL;
    size_t len = 0;
    bool done = false;
    int dir = openat(store->parent, store->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir >= 0 && est_store_read(dir, "cert.pem", CERT_MAX, &cert, &len) == EST_FILE_OK)
        done = digest_text(cert, len, text);
    est_free_secret(cert, len);
    if (dir >= 0)
        close(dir);
    return done;
}

estuary_status est_pending_finish(estuary_store *store, estuary_error *err)
{
    uint8_t *mark = NULL;
    size_t len = 0;
    char current[MARK_SIZE];
    int dir = open_pending(store);
    if (dir < 0)
        return ESTUARY_OK; /* none; anything else was found by the check of the folder */
    est_file_result result = est_store_read(dir, MARK, MARK_SIZE, &mark, &len);
    bool answered = result == EST_FILE_OK && len == MARK_SIZE - 1 && current_digest(store, current) &&
                    memcmp(mark, current, len) == 0;
    est_free_secret(mark, len);
    close(dir);
    return answered ? estuary_store_remove_pending(store, err) : ESTUARY_OK;
}
