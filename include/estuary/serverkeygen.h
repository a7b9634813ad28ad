/*
 * serverkeygen.h: a private key made by the server (RFC 7030 4.4).
 *
 * The request is an estuary_request and the matter itself an estuary_enrollment, as for simpleenroll: it can
 * be PENDING, saved, loaded and resumed, and its certificate is checked the same way, against the key that
 * came with it. The server takes the kind of the key from the request, whose own key counts for nothing else:
 * one made for the occasion will do, or the key that decrypts.
 *
 * Without encryption of its own the private key is protected by the TLS session alone (RFC 7030 4.4.1
 * strongly recommends more). Where encryption was asked for, a key in the clear, or one encrypted to any
 * other recipient, key or method, is ESTUARY_E_PROTOCOL. An encrypted key must be signed (RFC 7030 4.4.2): by
 * the issuing CA, or by one with the extended key usage id-kp-cmcCA or id-kp-cmcRA, or by the EST server
 * (serverAuth and its host name); the signer must chain to the anchors.
 */
#ifndef ESTUARY_SERVERKEYGEN_H
#define ESTUARY_SERVERKEYGEN_H

#include <estuary/error.h>
#include <estuary/secret.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct estuary_request;
struct estuary_enrollment;

/*
 * One of these three: the private key shall come encrypted. The last call counts; references are taken.
 *
 * An RSA or EC key that decrypts; certificate (may be NULL) is its own. A server that knows the key from the
 * request alone wants the request signed by it.
 */
ESTUARY_EXPORT estuary_status estuary_request_set_decrypt_key(struct estuary_request *request, EVP_PKEY *key,
                                                              X509 *certificate, estuary_error *err);
/* A key-encryption key of 16, 24 or 32 bytes for AES key wrap, and the identifier the server knows it by. */
ESTUARY_EXPORT estuary_status estuary_request_set_decrypt_kek(struct estuary_request *request,
                                                              const uint8_t *id, size_t id_len,
                                                              const estuary_secret *kek, estuary_error *err);
/* A password, and the identifier the server knows it by. */
ESTUARY_EXPORT estuary_status estuary_request_set_decrypt_password(struct estuary_request *request,
                                                                   const uint8_t *id, size_t id_len,
                                                                   const estuary_secret *password,
                                                                   estuary_error *err);

/*
 * Gives a loaded enrolment the key or secret back, from a request with the same method and identifier
 * (ESTUARY_E_KEY for another): a saved state holds only those two.
 */
ESTUARY_EXPORT estuary_status estuary_enrollment_set_decryption(struct estuary_enrollment *enrollment,
                                                                const struct estuary_request *request,
                                                                estuary_error *err);

/* "rsa", "ec", "kek" or "password": what encrypts the private key; "tls": nothing else; "": other operations.
 */
ESTUARY_EXPORT const char *estuary_enrollment_key_protection(const struct estuary_enrollment *enrollment);

/* Lent. The private key that the server made, once the enrolment is ISSUED; NULL before. */
ESTUARY_EXPORT EVP_PKEY *estuary_enrollment_get0_generated_key(const struct estuary_enrollment *enrollment);

#ifdef __cplusplus
}
#endif
#endif
