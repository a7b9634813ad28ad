#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

char *path_join(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = malloc(size);
    if (path != NULL)
        (void)snprintf(path, size, "%s/%s", dir, name);
    return path;
}

bool file_read(const char *path, size_t max, struct bytes *out)
{
    unsigned char chunk[4096];
    bool ok = false;
    FILE *f = fopen(path, "rbe");
    if (f == NULL)
        return false;
    for (;;) {
        size_t n = fread(chunk, 1, sizeof chunk, f);
        if (n == 0)
            break;
        if (out->len + n > max || !bytes_append(out, chunk, n))
            goto cleanup;
    }
    ok = ferror(f) == 0;
cleanup:
    OPENSSL_cleanse(chunk, sizeof chunk);
    (void)fclose(f);
    return ok;
}

static bool write_all(int fd, const void *data, size_t len)
{
    const unsigned char *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

/* Whole or not at all: a reader sees the old file or the new one. */
bool file_write(const char *path, const void *data, size_t len)
{
    bool ok = false;
    size_t size = strlen(path) + sizeof ".XXXXXX";
    char *tmp = malloc(size);
    if (tmp == NULL)
        return false;
    (void)snprintf(tmp, size, "%s.XXXXXX", path);
    int fd = mkostemp(tmp, O_CLOEXEC); /* creates it 0600 */
    if (fd < 0)
        goto cleanup;
    ok = write_all(fd, data, len) && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    ok = ok && rename(tmp, path) == 0;
    if (!ok)
        (void)unlink(tmp);
cleanup:
    free(tmp);
    return ok;
}

bool file_append_line(const char *path, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool ok = write_all(fd, data, len);
    return close(fd) == 0 && ok;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool dir_create(const char *path)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* Two labs on one directory would overwrite each other's state. The descriptor holds the lock; -1: taken. */
int dir_lock(const char *dir)
{
    char *path = path_join(dir, "lock");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

EVP_PKEY *file_read_key(const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return key;
}

X509 *file_read_certificate(const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    X509 *certificate = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return certificate;
}

static bool write_bio(const char *path, BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    return len > 0 && file_write(path, data, (size_t)len);
}

bool file_write_key(const char *path, EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    bool ok = bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 &&
              write_bio(path, bio);
    BIO_free(bio);
    return ok;
}

bool file_write_certificate(const char *path, X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio != NULL && PEM_write_bio_X509(bio, certificate) == 1 && write_bio(path, bio);
    BIO_free(bio);
    return ok;
}
