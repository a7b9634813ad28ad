/*
 * crl_check FOLDER: estuary_revocation_check() with FOLDER/list.crl (of crl_make) in the cache's folder
 * FOLDER/cache. Prints ms of the first check (reads it and makes its index) and of the first one of another
 * checker, as after a start; then µs of each check by that checker, over and over, of other.pem and of
 * listed.pem.
 */
#include "crl_bench.h"
#include "revocation/checker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define URL   "http://127.0.0.1:9/list.crl"
#define TIMES 20000

static char path[4096];

static const char *in_folder(const char *folder, const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static estuary_revocation *open_checker(const char *folder)
{
    estuary_revocation *checker = NULL;
    bench_must(estuary_revocation_new(&checker, NULL) == ESTUARY_OK &&
                   estuary_revocation_set_methods(checker, ESTUARY_REVOCATION_BY_CRL, false, NULL) ==
                       ESTUARY_OK &&
                   estuary_revocation_add_crl(checker, URL, NULL) == ESTUARY_OK &&
                   estuary_revocation_set_cache(checker, in_folder(folder, "cache"), NULL) == ESTUARY_OK &&
                   est_checker_begin(checker, NULL) == ESTUARY_OK,
               "a checker");
    return checker;
}

static void copy(int from, int to)
{
    static uint8_t chunk[1024 * 1024];
    ssize_t len;
    while ((len = read(from, chunk, sizeof(chunk))) > 0)
        bench_must(est_fd_write_all(to, chunk, (size_t)len), "copying");
}

static void put(estuary_revocation *checker, const char *folder, const X509 *ca)
{
    char name[EST_CRL_TEMP_SIZE];
    int from = open(in_folder(folder, "list.crl"), O_RDONLY | O_CLOEXEC);
    est_crl_cached facts = {.url = (char *)URL,
                            .etag = (char *)"",
                            .last_modified = (char *)"",
                            .issuer = (char *)"CA",
                            .fetched_at = est_now(),
                            .this_update = est_now() - 60,
                            .next_update = est_now() + 86400};
    bench_must(from >= 0 && est_crl_cache_key(URL, ca, facts.key) &&
                   est_crl_cache_begin(checker->crl_cache, &facts.fd, name, NULL) == ESTUARY_OK,
               "a file");
    copy(from, facts.fd);
    bench_must(est_crl_cache_commit(checker->crl_cache, name, &facts, NULL) == ESTUARY_OK, "a commit");
    close(from);
    close(facts.fd);
}

/* ms each */
static double check(estuary_revocation *checker, X509 *certificate, X509 *ca, int times, int revoked)
{
    double begin = bench_ms();
    for (int i = 0; i < times; i++) {
        estuary_verdict *verdict = NULL;
        bench_must(estuary_revocation_check(checker, certificate, ca, &verdict, NULL) == ESTUARY_OK,
                   "a check");
        bench_must(estuary_verdict_status(verdict) ==
                       (revoked ? ESTUARY_REVOCATION_REVOKED : ESTUARY_REVOCATION_GOOD),
                   "the verdict");
        estuary_verdict_free(verdict);
    }
    return (bench_ms() - begin) / times;
}

int main(int argc, char **argv)
{
    bench_must(argc == 2, "usage");
    X509 *ca = bench_load(in_folder(argv[1], "ca.pem")), *other = bench_load(in_folder(argv[1], "other.pem"));
    X509 *listed = bench_load(in_folder(argv[1], "listed.pem"));
    estuary_revocation *checker = open_checker(argv[1]);
    put(checker, argv[1], ca);
    double first = check(checker, other, ca, 1, 0);
    estuary_revocation_free(checker);
    checker = open_checker(argv[1]);
    double cold = check(checker, other, ca, 1, 0);
    (void)check(checker, listed, ca, 1, 1);
    double not_listed = check(checker, other, ca, TIMES, 0), revoked = check(checker, listed, ca, TIMES, 1);
    printf("%.3f %.3f %.2f %.2f\n", first, cold, not_listed * 1000, revoked * 1000);
    estuary_revocation_free(checker);
    X509_free(ca);
    X509_free(other);
    X509_free(listed);
    return 0;
}
