/* A verified CRL out of a file, through the streaming reader; in pieces when somebody's loop waits (R4). */
#include "revocation/checker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536

struct est_crl_reading {
    int fd;
    const est_question *question;
    est_crl_reader *reader;
    off_t at;
};

estuary_status est_crl_reading_new(int fd, const est_question *question, int64_t max_bytes,
                                   est_crl_reading **out, estuary_error *err)
{
    *out = NULL;
    est_crl_reading *reading = est_alloc(sizeof(*reading));
    if (reading == NULL)
        return est_fail_memory(err);
    reading->fd = fd;
    reading->question = question;
    estuary_status status =
        est_crl_reader_new(question->certificate, (uint64_t)max_bytes, &reading->reader, err);
    if (status == ESTUARY_OK)
        *out = reading;
    else
        est_free(reading);
    return status;
}

void est_crl_reading_free(est_crl_reading *reading)
{
    if (reading == NULL)
        return;
    est_crl_reader_free(reading->reader);
    est_free(reading);
}

/* *left is what may still be read in this turn. */
static estuary_status feed(est_crl_reading *reading, uint64_t *left, bool *end, estuary_error *err)
{
    uint8_t chunk[CHUNK];
    while (*left > 0) {
        ssize_t n =
            pread(reading->fd, chunk, *left < sizeof(chunk) ? (size_t)*left : sizeof(chunk), reading->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return est_fail_errno(err, EST_IO, "the CRL cannot be read");
        *end = n == 0;
        if (*end)
            return ESTUARY_OK;
        estuary_status status = est_crl_reader_feed(reading->reader, chunk, (size_t)n, err);
        if (status != ESTUARY_OK)
            return status;
        reading->at += n;
        *left -= (uint64_t)n;
    }
    return ESTUARY_OK;
}

estuary_status est_crl_reading_step(est_crl_reading *reading, uint64_t *left, est_crl **out,
                                    estuary_error *err)
{
    STACK_OF(X509) *signers = NULL;
    bool end = false;
    *out = NULL;
    estuary_status status = feed(reading, left, &end, err);
    if (status != ESTUARY_OK || !end)
        return status;
    status = est_crl_signers(reading->question, &signers, err);
    if (status == ESTUARY_OK)
        status = est_crl_reader_final(reading->reader, signers, out, err);
    sk_X509_pop_free(signers, X509_free);
    return status;
}

estuary_status est_crl_read_fd(int fd, const est_question *question, int64_t max_bytes, est_crl **out,
                               estuary_error *err)
{
    est_crl_reading *reading = NULL;
    uint64_t left = UINT64_MAX;
    *out = NULL;
    estuary_status status = est_crl_reading_new(fd, question, max_bytes, &reading, err);
    if (status == ESTUARY_OK && reading != NULL)
        status = est_crl_reading_step(reading, &left, out, err);
    est_crl_reading_free(reading);
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
