#include "key/provider.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <string.h>

static const struct {
    const char *name;
    int padding;
} paddings[] = {{OSSL_PKEY_RSA_PAD_MODE_PKCSV15, RSA_PKCS1_PADDING},
                {OSSL_PKEY_RSA_PAD_MODE_PSS, RSA_PKCS1_PSS_PADDING},
                {OSSL_PKEY_RSA_PAD_MODE_OAEP, RSA_PKCS1_OAEP_PADDING},
                {OSSL_PKEY_RSA_PAD_MODE_NONE, RSA_NO_PADDING}};

bool est_param_padding(const OSSL_PARAM params[], const char *name, int *out)
{
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, name);
    if (p == NULL)
        return true;
    if (p->data_type != OSSL_PARAM_UTF8_STRING)
        return OSSL_PARAM_get_int(p, out) == 1;
    for (size_t i = 0; i < sizeof(paddings) / sizeof(paddings[0]); i++) {
        if (p->data != NULL && strcmp(p->data, paddings[i].name) == 0) {
            *out = paddings[i].padding;
            return true;
        }
    }
    return false;
}

bool est_param_digest(const OSSL_PARAM params[], const char *name, EVP_MD **out)
{
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, name);
    const char *text = NULL;
    if (p == NULL)
        return true;
    if (OSSL_PARAM_get_utf8_string_ptr(p, &text) != 1 || text == NULL)
        return false;
    EVP_MD *md = EVP_MD_fetch(NULL, text, NULL);
    if (md == NULL)
        return false;
    EVP_MD_free(*out);
    *out = md;
    return true;
}
