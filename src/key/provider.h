/*
 * The provider bridge, from within: an OpenSSL provider inside this library whose private keys are callbacks.
 * For this room only.
 */
#ifndef EST_PROVIDER_H
#define EST_PROVIDER_H

#include "key/key.h"

#include <estuary/signer.h>
#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/params.h>
#include <stdatomic.h>

#define EST_PROVIDER_NAME "estuary"
/* Everything we hand to OpenSSL goes to its own implementations, never back to ours. */
#define EST_PROVIDER_OTHERS "provider!=estuary"
/* The parameter that carries an est_bridge_key into keymgmt's import: an address of this process. */
#define EST_PROVIDER_PARAM_KEY "estuary-key"

/* Says whether the key behind it decrypts with RSAES-OAEP: 0 or 1. See src/wire/decrypt.c. */
#define EST_PROVIDER_PARAM_OAEP "estuary-oaep"

/* Where the private half is; shared by all EVP_PKEYs of one key. */
typedef struct est_bridge_signer {
    atomic_int references;
    estuary_signer calls;
    void *arg;
    char *name;   /* for records */
    char *serial; /* of the token; NULL: none */
    bool unverified;
    bool no_oaep;
} est_bridge_signer;

/* The provider's key: a public key of OpenSSL's own, and the signer (NULL: a public key only). */
typedef struct est_bridge_key {
    EVP_PKEY *public_key;
    bool parameters_only; /* public_key has none yet, just its group */
    est_bridge_signer *signer;
} est_bridge_key;

/* signer.c */
void est_bridge_signer_up_ref(est_bridge_signer *signer);
void est_bridge_signer_free(est_bridge_signer *signer);

/* provider.c */
bool est_provider_load(void); /* once in a process */

/* provider_keymgmt.c */
est_bridge_key *est_bridge_key_dup(const est_bridge_key *key); /* NULL when it is empty or memory is short */
void est_bridge_key_free(est_bridge_key *key);                 /* NULL is fine */
/* Puts a copy of `from` in place of *to. */
bool est_bridge_key_keep(est_bridge_key **to, const est_bridge_key *from);
extern const OSSL_DISPATCH est_keymgmt_ec[], est_keymgmt_rsa[], est_keymgmt_ed25519[], est_keymgmt_ed448[];
/* provider_signature.c */
extern const OSSL_DISPATCH est_signature[];
/* provider_cipher.c */
extern const OSSL_DISPATCH est_asym_cipher[];
/* provider_exchange.c */
extern const OSSL_DISPATCH est_keyexch[];

/* provider_params.c: OSSL_PARAM values that OpenSSL sends as numbers or as text */

/* false when it is there and not understood; *out stays when it is absent. */
bool est_param_padding(const OSSL_PARAM params[], const char *name, int *out);
bool est_param_digest(const OSSL_PARAM params[], const char *name, EVP_MD **out);

#endif
