/* How a server-generated key shall travel, as the request's attributes ask for it. RFC 7030 4.4.1 */
#ifndef ESTUARY_LAB_KEY_REQUEST_H
#define ESTUARY_LAB_KEY_REQUEST_H

#include "lab.h"

enum key_protection {
    KEY_PLAIN,     /* no additional encryption */
    KEY_KEK,       /* kekri: AES key wrap with a shared key */
    KEY_PASSWORD,  /* pwri: derived from a shared password */
    KEY_RECIPIENT, /* ktri or kari: the request's public key */
};

struct key_request {
    enum key_protection protection;
    struct bytes id;     /* DecryptKeyIdentifier or AsymmetricDecryptKeyIdentifier */
    struct bytes secret; /* the KEK's octets or the password */
    const EVP_CIPHER *cipher;
    const EVP_CIPHER *wrap; /* kari: key wrap; NULL: that of the cipher's strength */
    const EVP_MD *kdf;      /* kari */
    const EVP_MD *oaep;     /* ktri; NULL: PKCS#1 v1.5 */
};

/* NULL, or why the request is refused. */
const char *key_request_read(const struct lab *lab, X509_REQ *csr, struct key_request *r);
void key_request_clear(struct key_request *r);
/* The octets a --kek secret stands for: 32, 48 or 64 hexadecimal digits, or base64 of 16, 24 or 32 octets. */
bool kek_octets(const char *secret, struct bytes *out);

#endif
