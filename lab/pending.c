/* A request that waits is known by its public key: a channel-bound CSR changes between the attempts.
 * RFC 7030 4.2.3. The counts live in --dir, so a lab started again continues. */
#include "lab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *pending_path(const struct lab *lab, EVP_PKEY *key)
{
    char name[80];
    char hex[65];
    char *path = NULL;
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    char *dir = path_join(lab->ca.dir, "pending");
    if (len > 0 && dir != NULL && dir_create(dir) && sha256_hex(der, (size_t)len, hex)) {
        (void)snprintf(name, sizeof name, "pending/%s", hex);
        path = path_join(lab->ca.dir, name);
    }
    OPENSSL_free(der);
    free(dir);
    return path;
}

long pending_asked(const struct lab *lab, EVP_PKEY *key)
{
    struct bytes text = {0};
    long asked = 0;
    char *path = pending_path(lab, key);
    if (path != NULL && file_read(path, 32, &text) && bytes_append(&text, "", 1))
        asked = strtol((const char *)text.data, NULL, 10);
    bytes_clear(&text);
    free(path);
    return asked < 0 ? 0 : asked;
}

bool pending_remember(const struct lab *lab, EVP_PKEY *key, long asked)
{
    char text[32];
    char *path = pending_path(lab, key);
    (void)snprintf(text, sizeof text, "%ld\n", asked);
    bool ok = path != NULL && file_write(path, text, strlen(text));
    free(path);
    return ok;
}

bool pending_forget(const struct lab *lab, EVP_PKEY *key)
{
    char *path = pending_path(lab, key);
    bool ok = path != NULL && (unlink(path) == 0 || errno == ENOENT);
    free(path);
    return ok;
}
