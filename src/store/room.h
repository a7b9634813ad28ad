/* store, inside only: what a store is made of. */
#ifndef EST_STORE_ROOM_H
#define EST_STORE_ROOM_H

#include "store/store.h"

#include <estuary/secret.h>
#include <openssl/evp.h>

struct estuary_store {
    int parent; /* the folder that holds DIR; everything is done relative to it */
    int lock;
    char *folder; /* its path */
    char *name;   /* "DIR" */
    char *lock_name;
    char *pending;         /* "DIR.pending" */
    EVP_PKEY *written_key; /* whose PEM is key_pem: a request's key is written twice; NULL: none yet */
    estuary_secret *key_pem;
    bool key_is_pending; /* key_pem stands in the pending request's folder, written and synced by us */
    char *key_uri;       /* with a newline; NULL: the key goes into the folder */
    /* empty folders beside those two, to be filled next; "" when there is none */
    char fresh[EST_STORE_NAME_SIZE];
    char fresh_pending[EST_STORE_NAME_SIZE];
};

/*
 * A commit killed between the exchange and the end leaves the new files and the pending request: the
 * request notes before the exchange which certificate is about to answer it, and is removed here when that
 * is the one in place.
 */
estuary_status est_pending_finish(estuary_store *store, estuary_error *err);
/* The pending request's folder when it holds this key, on disk already; else -1. close() it. */
int est_pending_with_key(const estuary_store *store, const EVP_PKEY *key);
/* The key as PEM, made once for each key; estuary_secret_free(*out) */
estuary_status est_store_key_pem(estuary_store *store, const EVP_PKEY *key, estuary_secret **out,
                                 estuary_error *err);
/* Notes that the certificate file with this SHA-256 answers the pending request, if there is one. */
estuary_status est_pending_mark(estuary_store *store, const void *cert_pem, size_t len, estuary_error *err);

#endif
