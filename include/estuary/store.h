/*
 * store.h: key, certificate and chain on disk: together or not at all.
 *
 * A store is one output folder DIR with cert.pem, chain.pem, fullchain.pem and key.pem (0600), and beside
 * it DIR.pending/ (0700) while a request is on its way. DIR is replaced as a whole: the new folder is
 * written beside it, fsynced, and swapped with renameat2(RENAME_EXCHANGE). A process killed at any time
 * leaves the old files, the new ones, or a pending request, never a mix.
 *
 * A store belongs to one thread; DIR.lock keeps other processes out while it is open.
 */
#ifndef ESTUARY_STORE_H
#define ESTUARY_STORE_H

#include <estuary/error.h>
#include <estuary/exchange.h>
#include <openssl/evp.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct estuary_store estuary_store;

/*
 * Opens DIR for writing, which may be absent (its parent must exist). Refused, before anything is
 * dialed: a DIR with foreign files, with wrong owner or writable by group or others, a file system that
 * cannot exchange folders, a DIR another process is using. Leftovers of a killed run are cleaned up.
 * The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_store_open(const char *dir, estuary_store **out, estuary_error *err);
ESTUARY_EXPORT void estuary_store_free(estuary_store *store); /* unlocks; NULL is fine */

/*
 * The key lives elsewhere: the next commit writes its URI ("file:/etc/keys/a.pem") to key.uri and no
 * key.pem, and so does a pending request that is saved without its key. NULL takes it back.
 */
ESTUARY_EXPORT estuary_status estuary_store_set_key_uri(estuary_store *store, const char *uri,
                                                        estuary_error *err);

/*
 * Puts the certificate of an ISSUED enrolment in place with its chain and key, and removes the pending
 * request. key may be NULL when the request was signed elsewhere: then there is no key.pem. The key must
 * be the certificate's.
 */
ESTUARY_EXPORT estuary_status estuary_store_commit(estuary_store *store, const estuary_enrollment *enrollment,
                                                   const EVP_PKEY *key, estuary_error *err);

/*
 * Writes (or replaces) DIR.pending/: state, request and key, all or nothing. key is NULL when the request was
 * signed elsewhere, or when the key needs no copy there because its owner has it, or it lives elsewhere.
 */
ESTUARY_EXPORT estuary_status estuary_store_save_pending(estuary_store *store,
                                                         const estuary_enrollment *enrollment,
                                                         const EVP_PKEY *key, estuary_error *err);

/*
 * Reads DIR.pending/. ESTUARY_OK with *out NULL when there is none. *key is NULL when it was saved without
 * one. The caller frees both.
 */
ESTUARY_EXPORT estuary_status estuary_store_load_pending(estuary_store *store, estuary_enrollment **out,
                                                         EVP_PKEY **key, estuary_error *err);
/*
 * The same for a request whose key was not saved with it: `own` (may be NULL) is used then, and *key is a
 * reference to it. ESTUARY_E_KEY when it is not the request's.
 */
ESTUARY_EXPORT estuary_status estuary_store_load_pending_with_key(estuary_store *store, EVP_PKEY *own,
                                                                  estuary_enrollment **out, EVP_PKEY **key,
                                                                  estuary_error *err);
/*
 * Where the key of the pending request lives, as it was saved: open it, and hand it to the function above.
 * *uri is NULL when the request was saved with its key, or there is none; freed with OPENSSL_free().
 */
ESTUARY_EXPORT estuary_status estuary_store_pending_key_uri(estuary_store *store, char **uri,
                                                            estuary_error *err);
/*
 * Writes down a key in hardware that is about to be made for the request, or destroyed because that was
 * refused: in DIR.pending/, in the place of a pending request; it is what estuary_store_set_key_uri() sets,
 * too. Once the key is made estuary_store_save_pending() replaces it, once it is destroyed
 * estuary_store_remove_pending() ends it. So a process killed in between leaves nothing that nobody knows.
 */
ESTUARY_EXPORT estuary_status estuary_store_save_key_intent(estuary_store *store, const char *uri,
                                                            estuary_error *err);
/*
 * The key that a killed process wrote down so, which may be there or not: destroy it (estuary_key_destroy()),
 * and remove the pending request. *uri is NULL when there is none; freed with OPENSSL_free().
 */
ESTUARY_EXPORT estuary_status estuary_store_key_intent(estuary_store *store, char **uri, estuary_error *err);

ESTUARY_EXPORT estuary_status estuary_store_remove_pending(estuary_store *store, estuary_error *err);

/*
 * Writes one public file (a CA bundle, a CSR) as a whole: beside it, fsync, rename. Mode 0644. An existing
 * regular file is replaced; anything else at that place is refused.
 */
ESTUARY_EXPORT estuary_status estuary_store_write_file(const char *path, const void *bytes, size_t len,
                                                       estuary_error *err);

#ifdef __cplusplus
}
#endif
#endif
