#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

struct estuary_secret {
    atomic_int references;
    size_t len;
    char bytes[]; /* len bytes and a NUL */
};

estuary_status estuary_secret_new(const void *bytes, size_t len, estuary_secret **out, estuary_error *err)
{
    *out = NULL;
    if (len > ESTUARY_SECRET_MAX)
        return est_fail(err, EST_CONFIG_SECRET_FILE, "the secret is longer than %d bytes",
                        ESTUARY_SECRET_MAX);
    estuary_secret *secret = est_alloc(sizeof(*secret) + len + 1);
    if (secret == NULL)
        return est_fail_memory(err);
    atomic_init(&secret->references, 1);
    secret->len = len;
    if (len > 0)
        memcpy(secret->bytes, bytes, len);
    *out = secret;
    return ESTUARY_OK;
}

estuary_secret *estuary_secret_up_ref(estuary_secret *secret)
{
    if (secret != NULL)
        atomic_fetch_add(&secret->references, 1);
    return secret;
}

void estuary_secret_free(estuary_secret *secret)
{
    if (secret != NULL && atomic_fetch_sub(&secret->references, 1) == 1)
        OPENSSL_clear_free(secret, sizeof(*secret) + secret->len + 1);
}

const char *estuary_secret_get0(const estuary_secret *secret, size_t *size)
{
    if (size != NULL)
        *size = secret == NULL ? 0 : secret->len;
    return secret == NULL ? "" : secret->bytes;
}

bool estuary_secret_equal(const estuary_secret *a, const estuary_secret *b)
{
    return a != NULL && b != NULL && a->len == b->len && CRYPTO_memcmp(a->bytes, b->bytes, a->len) == 0;
}

static size_t first_line(const char *bytes, size_t len)
{
    size_t end = 0;
    while (end < len && bytes[end] != '\n' && bytes[end] != '\r')
        end++;
    return end;
}

static estuary_status from_environment(const char *variable, estuary_secret **out, estuary_error *err)
{
    const char *value = getenv(variable);
    if (value == NULL)
        return est_fail(err, EST_CONFIG_SECRET_MISSING, "the environment variable %s is not set", variable);
    return estuary_secret_new(value, strlen(value), out, err);
}

static estuary_status from_file(const char *path, est_file_flags flags, estuary_secret **out,
                                estuary_error *err)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    est_file_result result = est_file_read(path, ESTUARY_SECRET_MAX, flags, &bytes, &len);
    if (result == EST_FILE_UNSAFE)
        return est_fail(err, EST_CONFIG_SECRET_PERMISSIONS,
                        "the secret file %s must belong to us and be closed to group and others", path);
    if (result != EST_FILE_OK)
        return est_file_fail(err, result, EST_CONFIG_SECRET_FILE, "the secret file", path);
    estuary_status status = estuary_secret_new(bytes, first_line((char *)bytes, len), out, err);
    est_free_secret(bytes, len);
    return status;
}

static estuary_status from_descriptor(const char *number, estuary_secret **out, estuary_error *err)
{
    char *end = NULL;
    errno = 0;
    long fd = strtol(number, &end, 10);
    if (*number < '0' || *number > '9' || *end != '\0' || errno != 0 || fd > INT_MAX)
        return est_fail(err, EST_USAGE_SECRET_LITERAL, "fd: wants the number of an open descriptor");
    char line[ESTUARY_SECRET_MAX + 1];
    size_t len = 0;
    ssize_t got = 0;
    /* byte by byte: what follows the line belongs to somebody else */
    while (len < sizeof(line)) {
        got = read((int)fd, line + len, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != 1 || line[len] == '\n')
            break;
        len++;
    }
    estuary_status status = ESTUARY_OK;
    if (got < 0)
        status =
            est_fail_errno(err, EST_CONFIG_SECRET_MISSING, "cannot read the secret from descriptor %ld", fd);
    else
        status = estuary_secret_new(line, first_line(line, len), out, err);
    OPENSSL_cleanse(line, sizeof(line));
    return status;
}

static estuary_status from_credential(const char *name, estuary_secret **out, estuary_error *err)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (folder == NULL)
        return est_fail(err, EST_CONFIG_SECRET_MISSING,
                        "no systemd credentials here: CREDENTIALS_DIRECTORY is not set");
    if (*name == '\0' || strchr(name, '/') != NULL || name[0] == '.')
        return est_fail(err, EST_USAGE_SECRET_LITERAL, "credential: wants the name of a systemd credential");
    char *path = est_printf("%s/%s", folder, name);
    if (path == NULL)
        return est_fail_memory(err);
    estuary_status status = from_file(path, EST_FILE_CREDENTIAL, out, err);
    est_free(path);
    return status;
}

static ssize_t ask(int terminal, const char *what, char *line, size_t size)
{
    struct termios old, silent;
    if (tcgetattr(terminal, &old) != 0)
        return -1;
    silent = old;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(terminal, TCSAFLUSH, &silent) != 0)
        return -1;
    ssize_t got = -1;
    if (dprintf(terminal, "%s: ", what == NULL ? "Password" : what) >= 0)
        got = read(terminal, line, size);
    (void)!write(terminal, "\n", 1);
    return tcsetattr(terminal, TCSAFLUSH, &old) == 0 ? got : -1;
}

static estuary_status from_prompt(const char *what, estuary_secret **out, estuary_error *err)
{
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0)
        return est_fail(err, EST_CONFIG_SECRET_MISSING, "there is no terminal to ask for the secret on");
    char line[ESTUARY_SECRET_MAX + 1];
    ssize_t got = ask(terminal, what, line, sizeof(line));
    estuary_status status = ESTUARY_OK;
    if (got < 0)
        status =
            est_fail(err, EST_CONFIG_SECRET_MISSING, "the secret could not be asked for on the terminal");
    else
        status = estuary_secret_new(line, first_line(line, (size_t)got), out, err);
    OPENSSL_cleanse(line, sizeof(line));
    close(terminal);
    return status;
}

estuary_status estuary_secret_read(const char *source, const char *what, estuary_secret **out,
                                   estuary_error *err)
{
    *out = NULL;
    if (source == NULL)
        return est_fail(err, EST_USAGE_SECRET_LITERAL, NULL);
    if (strncmp(source, "env:", 4) == 0)
        return from_environment(source + 4, out, err);
    if (strncmp(source, "file:", 5) == 0)
        return from_file(source + 5, EST_FILE_PRIVATE, out, err);
    if (strncmp(source, "fd:", 3) == 0)
        return from_descriptor(source + 3, out, err);
    if (strncmp(source, "credential:", 11) == 0)
        return from_credential(source + 11, out, err);
    if (strcmp(source, "prompt") == 0)
        return from_prompt(what, out, err);
    return est_fail(err, EST_USAGE_SECRET_LITERAL, NULL);
}
