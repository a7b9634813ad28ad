/* What wrapping and encrypting with a token's keys share. For this room only. */
#ifndef EST_PKCS11_USE_H
#define EST_PKCS11_USE_H

#include "key/pkcs11.h"

#include <estuary/token.h>

/* A mechanism and its parameters, which point into it: not to be copied. */
typedef struct est_p11_mechanism {
    CK_MECHANISM value;
    CK_RSA_PKCS_OAEP_PARAMS oaep;
    CK_GCM_PARAMS gcm;
} est_p11_mechanism;

/* pkcs11_secret.c */

void est_p11_oaep(est_p11_mechanism *m, CK_MECHANISM_TYPE hash, CK_RSA_PKCS_MGF_TYPE mgf);
/* Refuses a label or id that an object of this class has; makes an id when the URI has none. */
estuary_status est_p11_choose_name(const est_p11_session *session, CK_OBJECT_CLASS of, est_p11_name *name,
                                   estuary_error *err);

/* pkcs11_put.c: an object for the public half of a private key that came in from elsewhere */
estuary_status est_p11_put_public(const est_p11_session *session, const EVP_PKEY *key,
                                  const est_p11_name *name, CK_OBJECT_HANDLE *out, estuary_error *err);

#endif
