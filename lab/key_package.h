/* The description of a private key on its way to the client, for the misbehaviours to bend. RFC 7030 4.4.2 */
#ifndef ESTUARY_LAB_KEY_PACKAGE_H
#define ESTUARY_LAB_KEY_PACKAGE_H

#include "key_request.h"

enum key_inside {
    INSIDE_SIGNED,       /* SignedData with an AsymmetricKeyPackage: RFC 7030 4.4.2 */
    INSIDE_CONTENT_INFO, /* the same with the ContentInfo around it */
    INSIDE_UNSIGNED,     /* the AsymmetricKeyPackage itself */
    INSIDE_PKCS8,        /* the PrivateKeyInfo as plain data */
};

struct key_package {
    struct key_request how;
    EVP_PKEY *key;       /* owned */
    struct bytes raw;    /* in place of the PrivateKeyInfos, if not empty */
    int copies;          /* of the key in the package */
    EVP_PKEY *recipient; /* owned */
    EVP_PKEY *second;    /* owned; one recipient more */
    enum key_inside inside;
    X509 *signer; /* owned */
    EVP_PKEY *signer_key;
    const EVP_MD *digest;
    int content_type; /* of the SignedData's content */
    bool no_certificates;
    bool no_signer; /* with INSIDE_SIGNED */
    bool spoil_signature;
    bool spoil_end;  /* the last octet: of the ciphertext or of the GCM tag */
    bool indefinite; /* BER */
    size_t cut;      /* octets taken off the end */
};

bool key_package_describe(struct exchange *ex, struct key_request *how, EVP_PKEY *key, struct key_package *p);
/* PrivateKeyInfo or CMS, by p->how.protection. */
bool key_package_encode(const struct key_package *p, struct bytes *der);
/* NID of id-ct-KP-aKeyPackage. RFC 5958 3 */
int key_package_type(void);
bool key_package_take_signer(struct key_package *p, X509 *signer, EVP_PKEY *key); /* takes both */
void key_package_clear(struct key_package *p);

#endif
