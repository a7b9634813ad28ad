/* A build without PKCS#11: the functions of token.h are there and say so. */
#include "key/key.h"

#include <estuary/token.h>

static estuary_status absent(estuary_error *err)
{
    return est_fail(err, EST_UNSUPPORTED_KEY_URI, "this build has no PKCS#11");
}

estuary_status estuary_token_generate(const char *algorithm, const char *uri, const estuary_secret *pin,
                                      EVP_PKEY **out, estuary_error *err)
{
    (void)algorithm, (void)uri, (void)pin;
    *out = NULL;
    return absent(err);
}

estuary_status estuary_token_delete(const char *uri, const estuary_secret *pin, estuary_error *err)
{
    (void)uri, (void)pin;
    return absent(err);
}

estuary_status estuary_token_open(const char *uri, const estuary_secret *pin, estuary_token **out,
                                  estuary_error *err)
{
    (void)uri, (void)pin;
    *out = NULL;
    return absent(err);
}

estuary_status estuary_token_key_name(const char *uri, const estuary_secret *pin, char **out,
                                      estuary_error *err)
{
    (void)uri, (void)pin;
    *out = NULL;
    return absent(err);
}

estuary_status estuary_token_generate_secret(const char *algorithm, const char *uri,
                                             const estuary_secret *pin, estuary_error *err)
{
    (void)algorithm, (void)uri, (void)pin;
    return absent(err);
}

estuary_status estuary_token_wrap(const char *wrapping_key, estuary_wrapping how, const char *key,
                                  const estuary_secret *pin, uint8_t **out, size_t *len, estuary_error *err)
{
    (void)wrapping_key, (void)how, (void)key, (void)pin;
    *out = NULL;
    *len = 0;
    return absent(err);
}

estuary_status estuary_token_unwrap(const char *unwrapping_key, estuary_wrapping how, const uint8_t *wrapped,
                                    size_t len, const char *uri, const EVP_PKEY *public_key,
                                    const estuary_secret *pin, estuary_error *err)
{
    (void)unwrapping_key, (void)how, (void)wrapped, (void)len, (void)uri, (void)public_key, (void)pin;
    return absent(err);
}

#define CIPHER(name)                                                                                         \
    estuary_status name(const char *key, estuary_token_cipher how, const estuary_secret *pin,                \
                        const uint8_t *in, size_t in_len, uint8_t **out, size_t *len, estuary_error *err)    \
    {                                                                                                        \
        (void)key, (void)how, (void)pin, (void)in, (void)in_len;                                             \
        *out = NULL;                                                                                         \
        *len = 0;                                                                                            \
        return absent(err);                                                                                  \
    }
CIPHER(estuary_token_encrypt)
CIPHER(estuary_token_decrypt)

void estuary_token_free(estuary_token *token)
{
    (void)token;
}

#define TEXT(name)                                                                                           \
    const char *name(const estuary_token *token)                                                             \
    {                                                                                                        \
        (void)token;                                                                                         \
        return "";                                                                                           \
    }
#define KEY_TEXT(name)                                                                                       \
    const char *name(const estuary_token *token, size_t index)                                               \
    {                                                                                                        \
        (void)token, (void)index;                                                                            \
        return "";                                                                                           \
    }
TEXT(estuary_token_label)
TEXT(estuary_token_serial)
TEXT(estuary_token_manufacturer)
TEXT(estuary_token_model)
TEXT(estuary_token_firmware)
TEXT(estuary_token_pin_state)
KEY_TEXT(estuary_token_key_uri)
KEY_TEXT(estuary_token_key_label)
KEY_TEXT(estuary_token_key_algorithm)
KEY_TEXT(estuary_token_key_id)

size_t estuary_token_key_count(const estuary_token *token)
{
    (void)token;
    return 0;
}

bool estuary_token_key_has(const estuary_token *token, size_t index, estuary_key_attribute attribute)
{
    (void)token, (void)index, (void)attribute;
    return false;
}
