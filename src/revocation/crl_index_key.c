/*
 * The key that authenticates the indexes of a cache: 32 bytes in a file of its folder that only we can read.
 */
#include "revocation/crl_index.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEY_NAME "crl-index.key"

/* 0: there is none. -1: there is one that is not to be used. */
static int read_key(int folder, uint8_t out[INDEX_HASH])
{
    struct stat info;
    int result = -1;
    int fd = openat(folder, KEY_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid() &&
        (info.st_mode & (S_IRWXG | S_IRWXO)) == 0 && info.st_size == INDEX_HASH &&
        pread(fd, out, INDEX_HASH, 0) == INDEX_HASH)
        result = 1;
    (void)close(fd);
    return result;
}

/* Under another name first: nobody sees half a key, and whoever comes second takes the first one's. */
static bool make_key(int folder)
{
    uint8_t key[INDEX_HASH], random[8];
    char name[64];
    uint64_t number = 0;
    if (RAND_bytes(random, sizeof(random)) != 1 || RAND_priv_bytes(key, sizeof(key)) != 1)
        return false;
    memcpy(&number, random, sizeof(random));
    snprintf(name, sizeof(name), ".new-key-%016llx", (unsigned long long)number);
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return false;
    bool done = write(fd, key, sizeof(key)) == (ssize_t)sizeof(key) && fsync(fd) == 0;
    done = close(fd) == 0 && done;
    done = done && (linkat(folder, name, folder, KEY_NAME, 0) == 0 || errno == EEXIST);
    (void)unlinkat(folder, name, 0);
    OPENSSL_cleanse(key, sizeof(key));
    return done;
}

estuary_status est_index_mac_key(int folder, bool make, uint8_t out[INDEX_HASH], estuary_error *err)
{
    int found = read_key(folder, out);
    if (found == 0 && make && make_key(folder))
        found = read_key(folder, out);
    if (found < 0)
        return est_fail(err, EST_CRL_INDEX, "the key of the CRL indexes is not a file that only we can read");
    return found == 1 ? ESTUARY_OK : est_fail(err, EST_CRL_INDEX, "there is no key for CRL indexes");
}
