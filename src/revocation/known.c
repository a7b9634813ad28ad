/*
 * Certificates that were seen to be signed by their issuers (R0), so that asking about the same one again
 * costs no signature. Byte for byte: X509_cmp() compares what was signed, and a hash over all of it.
 */
#include "revocation/checker.h"

#include <pthread.h>

#define PAIRS 64

struct est_known {
    pthread_mutex_t lock;
    X509 *certificates[PAIRS], *issuers[PAIRS]; /* references */
    size_t next;
};

est_known *est_known_new(void)
{
    est_known *known = est_alloc(sizeof(*known));
    if (known == NULL || pthread_mutex_init(&known->lock, NULL) == 0)
        return known;
    est_free(known);
    return NULL;
}

void est_known_free(est_known *known)
{
    if (known == NULL)
        return;
    for (size_t i = 0; i < PAIRS; i++) {
        X509_free(known->certificates[i]);
        X509_free(known->issuers[i]);
    }
    (void)pthread_mutex_destroy(&known->lock);
    est_free(known);
}

bool est_known_has(est_known *known, const est_question *question)
{
    bool has = false;
    if (pthread_mutex_lock(&known->lock) != 0)
        return false;
    for (size_t i = 0; i < PAIRS && !has; i++)
        has = known->certificates[i] != NULL &&
              X509_cmp(known->certificates[i], question->certificate) == 0 &&
              X509_cmp(known->issuers[i], question->issuer) == 0;
    (void)pthread_mutex_unlock(&known->lock);
    return has;
}

void est_known_add(est_known *known, const est_question *question)
{
    if (pthread_mutex_lock(&known->lock) != 0)
        return;
    size_t at = known->next++ % PAIRS;
    X509_free(known->certificates[at]);
    X509_free(known->issuers[at]);
    known->certificates[at] = known->issuers[at] = NULL;
    if (X509_up_ref(question->issuer) == 1)
        known->issuers[at] = question->issuer;
    if (known->issuers[at] != NULL && X509_up_ref(question->certificate) == 1)
        known->certificates[at] = question->certificate;
    (void)pthread_mutex_unlock(&known->lock);
}
