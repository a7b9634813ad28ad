#include "key/key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* PBKDF2 with HMAC-SHA-256: about 0.1 s each time the key is opened */
#define ITERATIONS 200000
#define SALT_BYTES 16

static estuary_status put_encrypted(BIO *bio, PKCS8_PRIV_KEY_INFO *info, const estuary_secret *passphrase,
                                    estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    X509_SIG *encrypted = NULL;
    uint8_t salt[SALT_BYTES];
    size_t size = 0;
    int len = 0;
    const char *text = estuary_secret_get0(passphrase, &size);
    if (size == 0 || !est_size_to_int(size, &len))
        EST_FAIL(EST_USAGE, "an empty passphrase protects nothing");
    if (RAND_bytes(salt, SALT_BYTES) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO_RANDOM, NULL);
    encrypted = PKCS8_encrypt(-1, EVP_aes_256_cbc(), text, len, salt, SALT_BYTES, ITERATIONS, info);
    if (encrypted == NULL || PEM_write_bio_PKCS8(bio, encrypted) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO, "the key could not be encrypted");
cleanup:
    X509_SIG_free(encrypted);
    return status;
}

estuary_status estuary_key_to_pem(const EVP_PKEY *key, const estuary_secret *passphrase, estuary_secret **out,
                                  estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    PKCS8_PRIV_KEY_INFO *info = NULL;
    char *text = NULL;
    size_t len = 0;
    *out = NULL;
    BIO *bio = BIO_new(BIO_s_mem()); /* its buffer is wiped when freed */
    if (bio == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    if (key == NULL || (info = EVP_PKEY2PKCS8(key)) == NULL) {
        ERR_clear_error(); /* OpenSSL 3.0 calls a missing private half a shortage of memory */
        EST_FAIL(EST_KEY, "the key has no private half that can be written to a file");
    }
    if (passphrase != NULL)
        EST_TRY(put_encrypted(bio, info, passphrase, err));
    else if (PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, info) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    if (!est_int_to_size(BIO_get_mem_data(bio, &text), &len) || len == 0)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    EST_TRY(estuary_secret_new(text, len, out, err));
cleanup:
    PKCS8_PRIV_KEY_INFO_free(info);
    BIO_free(bio);
    return status;
}

/* Where the new file goes: an open folder and two names in it. */
typedef struct place {
    int folder;
    char *folder_path;
    const char *name; /* points into the caller's path */
    char temporary[48];
} place;

static estuary_status place_open(const char *path, place *at, estuary_error *err)
{
    uint8_t random[8];
    const char *slash = strrchr(path, '/');
    at->name = slash == NULL ? path : slash + 1;
    if (*at->name == '\0' || strcmp(at->name, ".") == 0 || strcmp(at->name, "..") == 0)
        return est_fail(err, EST_USAGE, "the path of the new key names no file");
    if (slash == NULL)
        at->folder_path = est_strdup(".");
    else
        at->folder_path = slash == path ? est_strdup("/") : est_strndup(path, (size_t)(slash - path));
    if (at->folder_path == NULL)
        return est_fail_memory(err);
    if (RAND_bytes(random, sizeof(random)) != 1)
        return est_fail_openssl(err, EST_CRYPTO_RANDOM, NULL);
    snprintf(at->temporary, sizeof(at->temporary), ".estuary-key-%02x%02x%02x%02x%02x%02x%02x%02x", random[0],
             random[1], random[2], random[3], random[4], random[5], random[6], random[7]);
    at->folder = open(at->folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at->folder < 0)
        return est_fail_errno(err, EST_IO, "the folder of the new key cannot be opened");
    return ESTUARY_OK;
}

static void place_close(place *at)
{
    if (at->folder >= 0)
        close(at->folder);
    est_free(at->folder_path);
}

static estuary_status exists(estuary_error *err)
{
    return est_fail(err, EST_KEY_EXISTS, NULL);
}

static estuary_status write_temporary(const place *at, const estuary_secret *pem, estuary_error *err)
{
    size_t len = 0;
    const char *text = estuary_secret_get0(pem, &len);
    int fd = openat(at->folder, at->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                    S_IRUSR | S_IWUSR);
    if (fd < 0)
        return est_fail_errno(err, EST_IO, "the new key cannot be written");
    bool done = fchmod(fd, S_IRUSR | S_IWUSR) == 0 && est_fd_write_all(fd, text, len) && fsync(fd) == 0;
    int saved = errno;
    if (close(fd) != 0 && done) {
        saved = errno;
        done = false;
    }
    errno = saved;
    return done ? ESTUARY_OK : est_fail_errno(err, EST_IO, "the new key cannot be written");
}

/* Gives the temporary file its name; a file that is there is never replaced. */
static estuary_status put_in_place(const place *at, estuary_error *err)
{
    if (renameat2(at->folder, at->temporary, at->folder, at->name, RENAME_NOREPLACE) == 0)
        return ESTUARY_OK;
    if (errno == EEXIST)
        return exists(err);
    if (errno != EINVAL && errno != ENOSYS)
        return est_fail_errno(err, EST_IO, "the new key cannot be put in its place");
    /* a file system without RENAME_NOREPLACE: a hard link never replaces either */
    if (linkat(at->folder, at->temporary, at->folder, at->name, 0) != 0)
        return errno == EEXIST ? exists(err)
                               : est_fail_errno(err, EST_IO, "the new key cannot be put in its place");
    (void)unlinkat(at->folder, at->temporary, 0);
    return ESTUARY_OK;
}

static estuary_status write_file(const place *at, const estuary_secret *pem, estuary_error *err)
{
    struct stat info;
    if (fstatat(at->folder, at->name, &info, AT_SYMLINK_NOFOLLOW) == 0)
        return exists(err);
    estuary_status status = write_temporary(at, pem, err);
    if (status == ESTUARY_OK)
        status = put_in_place(at, err);
    if (status != ESTUARY_OK) {
        (void)unlinkat(at->folder, at->temporary, 0);
        return status;
    }
    if (fsync(at->folder) == 0)
        return ESTUARY_OK;
    status = est_fail_errno(err, EST_IO, "the new key is not safe on disk");
    (void)unlinkat(at->folder, at->name, 0);
    return status;
}

estuary_status est_key_write_pem(const char *path, const estuary_secret *pem, estuary_error *err)
{
    place at = {.folder = -1};
    estuary_status status = place_open(path, &at, err);
    if (status == ESTUARY_OK)
        status = write_file(&at, pem, err);
    place_close(&at);
    return status;
}

estuary_status estuary_key_write(const EVP_PKEY *key, const char *path, const estuary_secret *passphrase,
                                 estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_secret *pem = NULL;
    char *local = NULL;
    EST_TRY(est_key_uri_path(path, &local, err));
    EST_TRY(estuary_key_to_pem(key, passphrase, &pem, err));
    EST_TRY(est_key_write_pem(local, pem, err));
cleanup:
    estuary_secret_free(pem);
    est_free(local);
    return status;
}
