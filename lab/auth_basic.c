/* RFC 7617 */
#include "lab.h"

#include <openssl/crypto.h>
#include <string.h>

/* Digests have one length, so the comparison tells nothing about the secret's. */
static bool same_text(const char *a, const char *b)
{
    unsigned char x[32];
    unsigned char y[32];
    if (EVP_Digest(a, strlen(a), x, NULL, EVP_sha256(), NULL) != 1 ||
        EVP_Digest(b, strlen(b), y, NULL, EVP_sha256(), NULL) != 1)
        return false;
    return CRYPTO_memcmp(x, y, sizeof x) == 0;
}

const struct user *auth_basic(const struct lab *lab, const char *credentials)
{
    const struct user *found = NULL;
    struct bytes text = {0};
    char *password = NULL;
    if (!base64_decode(credentials, strlen(credentials), &text) || !bytes_append(&text, "", 1))
        goto cleanup;
    password = memchr(text.data, ':', text.len - 1);
    if (password == NULL || strlen((char *)text.data) != text.len - 1)
        goto cleanup;
    *password++ = '\0';
    for (size_t i = 0; i < lab->options.user_count; i++) {
        const struct user *user = &lab->options.users[i];
        const bool name_fits = same_text(user->name, (char *)text.data);
        const bool password_fits = same_text(user->password, password);
        if (name_fits && password_fits)
            found = user;
    }
cleanup:
    if (text.len > 0)
        OPENSSL_cleanse(text.data, text.len);
    bytes_clear(&text);
    return found;
}
