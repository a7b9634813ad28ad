#include "key/tpm2.h"

#include <openssl/err.h>
#include <openssl/provider.h>
#include <pthread.h>

static OSSL_LIB_CTX *context;
static pthread_mutex_t conversation = PTHREAD_MUTEX_INITIALIZER;

/* For the life of the process: keys of it may live as long. */
static void load(void)
{
    OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();
    if (made == NULL)
        return;
    OSSL_PROVIDER *encodings = OSSL_PROVIDER_load(made, "default");
    if (encodings != NULL && OSSL_PROVIDER_load(made, "tpm2") != NULL) {
        context = made;
    } else {
        if (encodings != NULL)
            (void)OSSL_PROVIDER_unload(encodings);
        OSSL_LIB_CTX_free(made);
    }
    ERR_clear_error();
}

OSSL_LIB_CTX *est_tpm2_context(void)
{
    return est_process_once(EST_ONCE_TPM2, load) ? context : NULL;
}

void est_tpm2_lock(void)
{
    (void)pthread_mutex_lock(&conversation);
}

void est_tpm2_unlock(void)
{
    (void)pthread_mutex_unlock(&conversation);
}
