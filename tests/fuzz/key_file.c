/*
 * A private key file (K1). The passphrase is given for RFC 1421 encryption only: PKCS#8 names its own
 * number of iterations, and trying billions of them would find nothing.
 */
#include "fuzz.h"
#include "key/key.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has(const uint8_t *data, size_t size, const char *text)
{
    return memmem(data, size, text, strlen(text)) != NULL;
}

static void open_key(const char *path, const estuary_secret *passphrase)
{
    estuary_error *err = fuzz_error();
    EVP_PKEY *key = NULL;
    char algorithm[64];
    estuary_status status = estuary_key_open(path, passphrase, 0, &key, err);
    fuzz_check_result(status, key, err);
    if (status == ESTUARY_OK)
        (void)estuary_key_algorithm(key, algorithm, sizeof(algorithm), err);
    EVP_PKEY_free(key);
    estuary_error_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_secret *passphrase = NULL;
    char path[64];
    int fd = memfd_create("key", MFD_CLOEXEC);
    REQUIRE(fd >= 0 && fchmod(fd, 0600) == 0);
    REQUIRE(write(fd, data, size) == (ssize_t)size);
    REQUIRE(estuary_secret_new("test", 4, &passphrase, NULL) == ESTUARY_OK);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    open_key(path, has(data, size, "Proc-Type") && !has(data, size, "ENCRYPTED PRIVATE") ? passphrase : NULL);
    estuary_secret_free(passphrase);
    close(fd);
    return 0;
}
