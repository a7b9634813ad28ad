/* /serverkeygen: a key made by the server (E9, RFC 7030 4.4). */
#include "est/serverkeygen.h"

#include <openssl/err.h>
#include <string.h>

#define PKCS8 "application/pkcs8"
#define PKCS7 "application/pkcs7-mime"

estuary_status estuary_request_set_decrypt_key(estuary_request *request, EVP_PKEY *key, X509 *certificate,
                                               estuary_error *err)
{
    if (key == NULL)
        return est_fail(err, EST_USAGE_DECRYPT, "no key to decrypt with was given");
    return est_decrypt_set_key(&request->decrypt, key, certificate, err);
}

estuary_status estuary_request_set_decrypt_kek(estuary_request *request, const uint8_t *id, size_t id_len,
                                               const estuary_secret *kek, estuary_error *err)
{
    return est_decrypt_set_secret(&request->decrypt, EST_DECRYPT_KEK, id, id_len, kek, err);
}

estuary_status estuary_request_set_decrypt_password(estuary_request *request, const uint8_t *id,
                                                    size_t id_len, const estuary_secret *password,
                                                    estuary_error *err)
{
    return est_decrypt_set_secret(&request->decrypt, EST_DECRYPT_PASSWORD, id, id_len, password, err);
}

estuary_status estuary_enrollment_set_decryption(estuary_enrollment *enrollment,
                                                 const estuary_request *request, estuary_error *err)
{
    est_decrypt copy;
    if (enrollment == NULL || request == NULL || enrollment->operation != ESTUARY_OP_SERVERKEYGEN)
        return est_fail(err, EST_USAGE_DECRYPT, NULL);
    if (!est_decrypt_same_recipient(&enrollment->decrypt, &request->decrypt))
        return est_fail(err, EST_KEY_MISMATCH,
                        "the key to decrypt with is not the one of the pending request");
    if (!est_decrypt_copy(&request->decrypt, &copy))
        return est_fail_memory(err);
    est_decrypt_clear(&enrollment->decrypt);
    enrollment->decrypt = copy;
    return ESTUARY_OK;
}

const char *estuary_enrollment_key_protection(const estuary_enrollment *enrollment)
{
    if (enrollment == NULL || enrollment->operation != ESTUARY_OP_SERVERKEYGEN)
        return "";
    return est_decrypt_method_name(enrollment->decrypt.method);
}

EVP_PKEY *estuary_enrollment_get0_generated_key(const estuary_enrollment *enrollment)
{
    if (enrollment == NULL || enrollment->state != ESTUARY_STATE_ISSUED)
        return NULL;
    return enrollment->generated;
}

estuary_status est_keygen_prepare(estuary_enrollment *enrollment, const estuary_request *request,
                                  estuary_error *err)
{
    if (request->decrypt.method == EST_DECRYPT_NONE)
        return ESTUARY_OK;
    if (enrollment->operation != ESTUARY_OP_SERVERKEYGEN)
        return est_fail(err, EST_USAGE_DECRYPT, "only serverkeygen has a private key to decrypt");
    if (request->csr == NULL)
        return est_fail(err, EST_USAGE_DECRYPT,
                        "a request signed elsewhere cannot be told how to encrypt the private key");
    return est_decrypt_copy(&request->decrypt, &enrollment->decrypt) ? ESTUARY_OK : est_fail_memory(err);
}

static void forget_key(estuary_enrollment *enrollment)
{
    EVP_PKEY_free(enrollment->generated);
    est_key_package_free(enrollment->key_package);
    enrollment->generated = NULL;
    enrollment->key_package = NULL;
}

void est_keygen_clear(estuary_enrollment *enrollment)
{
    forget_key(enrollment);
    est_decrypt_clear(&enrollment->decrypt);
}

estuary_status est_serverkeygen_build(estuary_exchange *exchange, estuary_error *err)
{
    const est_decrypt *how = &exchange->enrollment->decrypt;
    if (how->method != EST_DECRYPT_NONE && how->key == NULL && how->secret == NULL)
        return est_fail(err, EST_USAGE_DECRYPT,
                        "the enrolment needs the key or secret back that decrypts the private key");
    return est_simple_build(exchange, err);
}

/* RFC 7030 4.4.2: two parts, told by their types; RFC 8951 3.2: certs-only need not be said */
static bool sort_parts(const est_multipart *all, const est_part **key, const est_part **certs)
{
    *key = *certs = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const est_part *part = &all->parts[i];
        bool pkcs7 = strcmp(part->type.type, PKCS7) == 0;
        bool is_key = strcmp(part->type.type, PKCS8) == 0 ||
                      (pkcs7 && strcmp(part->type.smime_type, "server-generated-key") == 0);
        bool is_certs =
            pkcs7 && !is_key &&
            (part->type.smime_type[0] == '\0' || strcmp(part->type.smime_type, "certs-only") == 0);
        if ((!is_key && !is_certs) || (is_key ? *key : *certs) != NULL)
            return false;
        *(is_key ? key : certs) = part;
    }
    return true;
}

static estuary_status decode(const estuary_exchange *exchange, const est_part *part, uint8_t **der,
                             size_t *len, estuary_error *err)
{
    estuary_status status = est_base64_decode(
        part->body, part->len, (size_t)estuary_limits_get(exchange->limits, ESTUARY_LIMIT_RESPONSE_BYTES),
        der, len, err);
    if (status == ESTUARY_OK && *len == 0) {
        est_free(*der);
        *der = NULL;
        status = est_fail(err, EST_PROTOCOL_EMPTY, "a part of the server's answer is empty");
    }
    return status;
}

/* E9: only what was asked for; anything else is not even looked at. */
static estuary_status read_key(const estuary_exchange *exchange, const est_part *part, estuary_error *err)
{
    estuary_enrollment *e = exchange->enrollment;
    uint8_t *der = NULL;
    size_t len = 0;
    bool encrypted = strcmp(part->type.type, PKCS7) == 0;
    if (!encrypted && e->decrypt.method != EST_DECRYPT_NONE)
        return est_fail(err, EST_PROTOCOL_KEY_NOT_ENCRYPTED, NULL);
    if (encrypted && e->decrypt.method == EST_DECRYPT_NONE)
        return est_fail(err, EST_PROTOCOL_KEY_ENCRYPTED, NULL);
    estuary_status status = decode(exchange, part, &der, &len, err);
    if (status == ESTUARY_OK && encrypted)
        status = est_key_package_open(der, len, &e->decrypt, &e->generated, &e->key_package, err);
    else if (status == ESTUARY_OK)
        status = est_pkcs8_parse(der, len, &e->generated, err);
    est_free_secret(der, len);
    return status;
}

static estuary_status read_certs(const estuary_exchange *exchange, const est_part *part, estuary_error *err)
{
    uint8_t *der = NULL;
    size_t len = 0;
    STACK_OF(X509) *certs = NULL;
    estuary_status status = decode(exchange, part, &der, &len, err);
    if (status == ESTUARY_OK)
        status = est_certs_only_parse(der, len, exchange->limits, &certs, err);
    if (status == ESTUARY_OK)
        status = est_enrollment_take_certs(exchange->enrollment, certs, err);
    sk_X509_pop_free(certs, X509_free);
    est_free(der);
    return status;
}

estuary_status est_serverkeygen_read(estuary_exchange *exchange, const estuary_http_response *response,
                                     estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_media_type media;
    est_multipart parts;
    const est_part *key = NULL, *certs = NULL;
    forget_key(exchange->enrollment);
    EST_TRY(est_answer_check_type(response, exchange->operation->answer_type, NULL, err));
    if (!est_media_type_parse(est_response_header(response, "Content-Type"), &media))
        EST_FAIL(EST_PROTOCOL_TYPE, NULL);
    EST_TRY(est_multipart_parse(response->body.data, response->body.len, media.boundary, &parts, err));
    if (!sort_parts(&parts, &key, &certs) || key == NULL || certs == NULL)
        EST_FAIL(EST_PROTOCOL_KEY_PARTS, NULL);
    EST_TRY(read_key(exchange, key, err));
    EST_TRY(read_certs(exchange, certs, err));

cleanup:
    if (status != ESTUARY_OK)
        forget_key(exchange->enrollment);
    return status;
}
