/* Where a password comes from. A literal one is refused and never repeated. */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SECRET 1024

void secret_free(char *secret)
{
    if (secret != NULL)
        OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}

static char *read_descriptor(int fd)
{
    char buffer[MAX_SECRET + 1];
    size_t len = 0;
    char *secret = NULL;
    while (len < sizeof buffer) {
        ssize_t n = read(fd, buffer + len, sizeof buffer - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            goto cleanup;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    if (len > MAX_SECRET || memchr(buffer, '\0', len) != NULL)
        goto cleanup;
    while (len > 0 && (buffer[len - 1] == '\n' || buffer[len - 1] == '\r'))
        len--;
    secret = strndup(buffer, len);
cleanup:
    OPENSSL_cleanse(buffer, sizeof buffer);
    return secret;
}

static char *read_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *secret = read_descriptor(fd);
    (void)close(fd);
    return secret;
}

static char *read_number(const char *text)
{
    char *end = NULL;
    errno = 0;
    long fd = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || fd < 0 || fd > 1 << 20)
        return NULL;
    return read_descriptor((int)fd);
}

char *source_read(const char *source)
{
    char *secret = NULL;
    if (strncmp(source, "env:", 4) == 0) {
        const char *value = getenv(source + 4);
        secret = value == NULL ? NULL : strdup(value);
    } else if (strncmp(source, "file:", 5) == 0) {
        secret = read_path(source + 5);
    } else if (strncmp(source, "fd:", 3) == 0) {
        secret = read_number(source + 3);
    } else {
        (void)fputs("estuary-lab: a password is given as env:VAR, file:PATH or fd:N, never literally\n",
                    stderr);
        return NULL;
    }
    if (secret == NULL)
        (void)fprintf(stderr, "estuary-lab: no password could be read from %s\n", source);
    return secret;
}
