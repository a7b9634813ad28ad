#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LARGEST (256 * 1024)

/* true with everything read; errno 0 when the file is not of the kind or size we take. */
static bool read_all(int fd, unsigned char **out, size_t *len)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return false;
    errno = 0;
    if (!S_ISREG(info.st_mode) || info.st_size > FILE_LARGEST)
        return false;
    unsigned char *bytes = calloc(1, FILE_LARGEST + 1);
    size_t used = 0;
    ssize_t got = bytes == NULL ? -1 : 1;
    while (got > 0 && used < FILE_LARGEST) {
        got = read(fd, bytes + used, FILE_LARGEST - used);
        used += got > 0 ? (size_t)got : 0;
    }
    if (got < 0) {
        free(bytes);
        return false;
    }
    *out = bytes;
    *len = used;
    return true;
}

int read_small_file(context *ctx, const char *path, const char *code, unsigned char **out, size_t *len)
{
    *out = NULL;
    *len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    bool done = fd >= 0 && read_all(fd, out, len);
    int saved = errno;
    if (fd >= 0)
        close(fd);
    if (done)
        return EXIT_DONE;
    if (saved == 0)
        return fail(ctx, code, NULL, "%s is not a regular file of at most %d KiB", path, FILE_LARGEST / 1024);
    return fail(ctx, code, NULL, "%s cannot be read: %s", path, strerror(saved));
}

int read_certificates(context *ctx, const char *path, STACK_OF(X509) **out)
{
    return check(ctx, estuary_certs_from_file(path, NULL, out, ctx->err));
}

int read_request(context *ctx, const char *path, X509_REQ **out)
{
    unsigned char *bytes = NULL;
    size_t len = 0;
    int result = read_small_file(ctx, path, "config.csr-file", &bytes, &len);
    if (result == EXIT_DONE)
        result = check(ctx, estuary_csr_parse(bytes, len, out, ctx->err));
    free(bytes);
    return result;
}

int write_output(context *ctx, const char *name, const char *text)
{
    const char *path = option_text(ctx, OPT_OUTPUT);
    put_text(ctx->result, "output", path == NULL ? "" : path);
    /* not put_text(): newlines are wanted here */
    put(ctx->result, name, json_string(text));
    if (path == NULL) {
        say_raw(ctx, text);
        return EXIT_DONE;
    }
    return check(ctx, estuary_store_write_file(path, text, strlen(text), ctx->err));
}
