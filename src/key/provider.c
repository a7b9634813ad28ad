/* Our provider: which algorithms it has, and how it is loaded. */
#include "key/provider.h"

#include <openssl/provider.h>

#define PROPERTIES "provider=" EST_PROVIDER_NAME

static const OSSL_ALGORITHM keymgmt[] = {
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTIES, est_keymgmt_ec, "EC keys of a signer"},
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, est_keymgmt_rsa, "RSA keys of a signer"},
    {"ED25519:1.3.101.112", PROPERTIES, est_keymgmt_ed25519, "Ed25519 keys of a signer"},
    {"ED448:1.3.101.113", PROPERTIES, est_keymgmt_ed448, "Ed448 keys of a signer"},
    {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM signature[] = {
    {"ECDSA", PROPERTIES, est_signature, "ECDSA by a signer"},
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, est_signature, "RSA signatures by a signer"},
    {"ED25519:1.3.101.112", PROPERTIES, est_signature, "Ed25519 by a signer"},
    {"ED448:1.3.101.113", PROPERTIES, est_signature, "Ed448 by a signer"},
    {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM asym_cipher[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, est_asym_cipher, "RSA decryption by a signer"},
    {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM keyexch[] = {{"ECDH", PROPERTIES, est_keyexch, "ECDH by a signer"},
                                         {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *query_operation(void *provctx, int operation, int *no_cache)
{
    (void)provctx;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_KEYMGMT:
        return keymgmt;
    case OSSL_OP_SIGNATURE:
        return signature;
    case OSSL_OP_ASYM_CIPHER:
        return asym_cipher;
    case OSSL_OP_KEYEXCH:
        return keyexch;
    default:
        return NULL;
    }
}

static const OSSL_DISPATCH provider_functions[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query_operation}, {0, NULL}};

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                         void **provctx)
{
    (void)in;
    *out = provider_functions;
    *provctx = (void *)handle;
    return 1;
}

static OSSL_PROVIDER *loaded; /* for the life of the process */

static void load(void)
{
    /*
     * The default provider first: of two implementations without a preference OpenSSL takes the older one,
     * and software keys must stay with it. retain_fallbacks keeps it for those who never loaded it by name.
     */
    (void)OSSL_PROVIDER_available(NULL, "default");
    if (OSSL_PROVIDER_add_builtin(NULL, EST_PROVIDER_NAME, provider_init) == 1)
        loaded = OSSL_PROVIDER_try_load(NULL, EST_PROVIDER_NAME, 1);
}

bool est_provider_load(void)
{
    return est_process_once(EST_ONCE_KEY_PROVIDER, load) && loaded != NULL;
}
