/* A verified CRL out of a file, through the streaming reader. */
#include "revocation/checker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536

static estuary_status feed_all(int fd, est_crl_reader *reader, estuary_error *err)
{
    uint8_t chunk[CHUNK];
    off_t at = 0;
    for (;;) {
        ssize_t n = pread(fd, chunk, sizeof(chunk), at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return est_fail_errno(err, EST_IO, "the CRL cannot be read");
        if (n == 0)
            return ESTUARY_OK;
        estuary_status status = est_crl_reader_feed(reader, chunk, (size_t)n, err);
        if (status != ESTUARY_OK)
            return status;
        at += n;
    }
}

estuary_status est_crl_read_fd(int fd, const est_question *question, int64_t max_bytes, est_crl **out,
                               estuary_error *err)
{
    est_crl_reader *reader = NULL;
    STACK_OF(X509) *signers = NULL;
    *out = NULL;
    estuary_status status = est_crl_reader_new(question->certificate, (uint64_t)max_bytes, &reader, err);
    if (status == ESTUARY_OK)
        status = feed_all(fd, reader, err);
    if (status == ESTUARY_OK)
        status = est_crl_signers(question, &signers, err);
    if (status == ESTUARY_OK)
        status = est_crl_reader_final(reader, signers, out, err);
    sk_X509_pop_free(signers, X509_free);
    est_crl_reader_free(reader);
    return status;
}

estuary_status est_crl_read_file(const char *path, const est_question *question, int64_t max_bytes,
                                 est_crl **out, estuary_error *err)
{
    struct stat info;
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return est_fail_errno(err, EST_IO, "the CRL file \"%s\" cannot be opened", path);
    estuary_status status = ESTUARY_OK;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        status = est_fail(err, EST_IO_NOT_REGULAR, "the CRL file \"%s\" is not a regular file", path);
    if (status == ESTUARY_OK)
        status = est_crl_read_fd(fd, question, max_bytes, out, err);
    (void)close(fd);
    return status;
}
