/*
 * crl_index build FOLDER SERIALS COUNT: an index of FOLDER/list.crl (of crl_make, SERIALS sorted or not);
 * prints ms and KiB of growth. crl_index find FOLDER SERIALS COUNT: opens it and looks up other.pem, as a new
 * process would; prints those ms, then µs each of looking up many serials for the first time, the same ones
 * again (half of them listed), and one that is not listed, over and over.
 */
#include "crl_bench.h"
#include "revocation/revocation.h"

#include <fcntl.h>
#include <unistd.h>

#define NAME   "list.crl.index"
#define MEMORY ((uint64_t)16 * 1024 * 1024) /* the default of ESTUARY_REVOCATION_INDEX_BYTES */
#define CHUNK  (64 * 1024)
#define LOOKUP 20000
#define ONE    200000

static char path[4096];

static const char *in_folder(const char *folder, const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static est_crl *read_list(int file, X509 *ca)
{
    static uint8_t chunk[CHUNK];
    est_crl_reader *reader = NULL;
    est_crl *crl = NULL;
    STACK_OF(X509) *signers = sk_X509_new_null();
    off_t at = 0;
    ssize_t len;
    bench_must(sk_X509_push(signers, ca) == 1 &&
                   est_crl_reader_new(NULL, UINT64_MAX, &reader, NULL) == ESTUARY_OK,
               "starting");
    for (; (len = pread(file, chunk, sizeof(chunk), at)) > 0; at += len)
        bench_must(est_crl_reader_feed(reader, chunk, (size_t)len, NULL) == ESTUARY_OK, "reading");
    bench_must(est_crl_reader_final(reader, signers, &crl, NULL) == ESTUARY_OK, "verifying");
    est_crl_reader_free(reader);
    sk_X509_free(signers);
    return crl;
}

static void build(const char *name, int file, int folder)
{
    X509 *ca = bench_load(in_folder(name, "ca.pem"));
    est_crl *crl = read_list(file, ca);
    long before = bench_kib("VmRSS:");
    double begin = bench_ms();
    bench_must(est_crl_index_build(file, crl, folder, NAME, MEMORY, NULL) == ESTUARY_OK, "building");
    printf("%.3f %ld\n", bench_ms() - begin, bench_kib("VmHWM:") - before);
    est_crl_free(crl);
    X509_free(ca);
}

/* Every second one is listed: crl_make's serials are those below COUNT. */
static double look_up_many(est_crl_index *index, X509 *cert, int sorted, uint64_t count)
{
    est_crl found;
    double begin = bench_ms();
    for (uint64_t i = 0; i < LOOKUP; i++) {
        uint8_t serial[BENCH_SERIAL];
        int is_listed = i % 2 == 0;
        bench_serial(is_listed ? bench_mix(i) % count : count + 10 + i, sorted, serial);
        bench_must(ASN1_STRING_set(X509_get_serialNumber(cert), serial, BENCH_SERIAL) == 1, "a serial");
        bench_must(est_crl_index_find(index, cert, &found, NULL) == ESTUARY_OK && found.found == is_listed,
                   "finding");
    }
    return (bench_ms() - begin) * 1000 / LOOKUP;
}

static double look_up_one(est_crl_index *index, X509 *cert)
{
    est_crl found;
    double begin = bench_ms();
    for (int i = 0; i < ONE; i++)
        bench_must(est_crl_index_find(index, cert, &found, NULL) == ESTUARY_OK && !found.found, "finding");
    return (bench_ms() - begin) * 1000 / ONE;
}

static void find(const char *name, int sorted, uint64_t count, int file, int folder)
{
    X509 *cert = bench_load(in_folder(name, "other.pem")), *other = X509_dup(cert);
    est_crl_index *index = NULL;
    est_crl found;
    double begin = bench_ms();
    bench_must(est_crl_index_open(file, folder, NAME, MEMORY, &index, NULL) == ESTUARY_OK &&
                   est_crl_index_find(index, cert, &found, NULL) == ESTUARY_OK && !found.found,
               "opening");
    double cold = bench_ms() - begin;
    double first = look_up_many(index, other, sorted, count),
           again = look_up_many(index, other, sorted, count);
    printf("%.3f %.3f %.3f %.3f\n", cold, first, again, look_up_one(index, cert));
    est_crl_index_free(index);
    X509_free(cert);
    X509_free(other);
}

int main(int argc, char **argv)
{
    bench_must(argc == 5, "usage");
    int sorted = strcmp(argv[3], "sorted") == 0;
    int folder = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int file = open(in_folder(argv[2], "list.crl"), O_RDONLY | O_CLOEXEC);
    bench_must(folder >= 0 && file >= 0, argv[2]);
    if (strcmp(argv[1], "build") == 0)
        build(argv[2], file, folder);
    else
        find(argv[2], sorted, strtoull(argv[4], NULL, 10), file, folder);
    close(file);
    close(folder);
    return 0;
}
