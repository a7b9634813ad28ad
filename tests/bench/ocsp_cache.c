/*
 * Cached OCSP verdicts: prints microseconds, one figure with its name a line. usage: ocsp_cache FOLDER
 * ENTRIES FOLDER is empty and stays so; the CA and the certificates are made here (P-256).
 */
#include "revocation/revocation.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define URL "http://ocsp.example/"

#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "ocsp_cache.c:%d: %s\n", __LINE__, #condition);                                  \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static EVP_PKEY *key;
static X509 *ca;
static time_t now;

static double seconds(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static X509 *make_cert(const char *cn, long serial)
{
    X509 *cert = X509_new();
    X509_NAME *issuer = X509_NAME_new();
    MUST(cert != NULL && issuer != NULL && X509_set_version(cert, X509_VERSION_3) == 1);
    MUST(X509_NAME_add_entry_by_txt(issuer, "CN", MBSTRING_UTF8, (const unsigned char *)"CA", -1, -1, 0) ==
         1);
    MUST(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                    (const unsigned char *)cn, -1, -1, 0) == 1);
    MUST(X509_set_issuer_name(cert, issuer) == 1 && X509_set_pubkey(cert, key) == 1);
    MUST(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial) == 1);
    MUST(X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL);
    MUST(X509_gmtime_adj(X509_getm_notAfter(cert), 86400) != NULL);
    MUST(X509_sign(cert, key, EVP_sha256()) > 0);
    X509_NAME_free(issuer);
    return cert;
}

static uint8_t *make_response(X509 *cert, size_t *len)
{
    unsigned char *der = NULL;
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), cert, ca);
    ASN1_TIME *made = ASN1_GENERALIZEDTIME_set(NULL, now - 60),
              *next = ASN1_GENERALIZEDTIME_set(NULL, now + 86400);
    MUST(OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, made, next) != NULL);
    MUST(OCSP_basic_sign(basic, ca, key, EVP_sha256(), NULL, OCSP_NOCERTS) == 1);
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    int size = i2d_OCSP_RESPONSE(response, &der);
    MUST(size > 0);
    ASN1_TIME_free(made);
    ASN1_TIME_free(next);
    OCSP_CERTID_free(id);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    *len = (size_t)size;
    return der;
}

static est_question about(X509 *cert)
{
    return (est_question){.certificate = cert, .issuer = ca, .now = now, .skew = 300};
}

static est_ocsp_cache *open_cache(size_t n, int folder)
{
    est_ocsp_cache *cache = NULL;
    MUST(est_ocsp_cache_new((int64_t)n, &cache, NULL) == ESTUARY_OK);
    if (folder >= 0)
        est_ocsp_cache_use_folder(cache, folder);
    return cache;
}

/* Mean time of one answer in microseconds. */
static double ask_all(est_ocsp_cache *cache, X509 **certs, size_t n, size_t rounds)
{
    double begin = seconds();
    for (size_t i = 0; i < n * rounds; i++) {
        estuary_verdict verdict = {0};
        est_question question = about(certs[i * 7919 % n]);
        MUST(est_ocsp_cache_get(cache, &question, &verdict));
        MUST(verdict.status == ESTUARY_REVOCATION_GOOD);
    }
    return (seconds() - begin) / (double)(n * rounds) * 1e6;
}

static double fill(est_ocsp_cache *cache, X509 **certs, uint8_t **der, const size_t *len, size_t n)
{
    double begin = seconds();
    for (size_t i = 0; i < n; i++) {
        est_question question = about(certs[i]);
        est_ocsp_cache_put(cache, &question, der[i], len[i], URL,
                           &(estuary_verdict){.status = ESTUARY_REVOCATION_GOOD, .this_update = now - 60});
    }
    return (seconds() - begin) / (double)n * 1e6;
}

static double judge_all(X509 **certs, uint8_t **der, const size_t *len, size_t n)
{
    double begin = seconds();
    for (size_t i = 0; i < n; i++) {
        X509 *delegate = NULL;
        estuary_verdict verdict = {0};
        est_question question = about(certs[i]);
        MUST(est_ocsp_judge(&question, NULL, der[i], len[i], &verdict, &delegate, NULL) == ESTUARY_OK);
        MUST(verdict.status == ESTUARY_REVOCATION_GOOD && delegate == NULL);
    }
    return (seconds() - begin) / (double)n * 1e6;
}

/* R0 alone: what a check does before it looks at any evidence. */
static double check_issuer(X509 **certs, size_t n)
{
    double begin = seconds();
    for (size_t i = 0; i < n; i++) {
        est_question question = about(certs[i]);
        MUST(est_question_check(&question, NULL) == ESTUARY_OK);
    }
    return (seconds() - begin) / (double)n * 1e6;
}

/* The whole public call, on what the folder holds; the first round loads it. */
static double check_all(const char *folder, X509 **certs, size_t n, double *first)
{
    estuary_revocation *checker = NULL;
    double begin = 0;
    MUST(estuary_revocation_new(&checker, NULL) == ESTUARY_OK);
    MUST(estuary_revocation_set_cache(checker, folder, NULL) == ESTUARY_OK);
    MUST(estuary_revocation_set_offline(checker, true, NULL) == ESTUARY_OK);
    for (int round = 0; round < 2; round++) {
        *first = (seconds() - begin) / (double)n * 1e6;
        begin = seconds();
        for (size_t i = 0; i < n; i++) {
            estuary_verdict *verdict = NULL;
            MUST(estuary_revocation_check(checker, certs[i], ca, &verdict, NULL) == ESTUARY_OK);
            MUST(estuary_verdict_status(verdict) == ESTUARY_REVOCATION_GOOD);
            estuary_verdict_free(verdict);
        }
    }
    begin = (seconds() - begin) / (double)n * 1e6;
    estuary_revocation_free(checker);
    return begin;
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    size_t n = strtoul(argv[2], NULL, 10), removed = 0;
    int folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    X509 **certs = calloc(n, sizeof(*certs));
    uint8_t **der = calloc(n, sizeof(*der));
    size_t *len = calloc(n, sizeof(*len));
    double loaded = 0;
    MUST(n > 0 && folder >= 0 && certs != NULL && der != NULL && len != NULL);
    now = time(NULL);
    key = EVP_EC_gen("P-256");
    ca = make_cert("CA", 1);
    for (size_t i = 0; i < n; i++) {
        certs[i] = make_cert("device", (long)i + 100);
        der[i] = make_response(certs[i], &len[i]);
    }
    est_ocsp_cache *memory = open_cache(n, -1), *disk = open_cache(n, folder);
    printf("judge %.3f\n", judge_all(certs, der, len, n));
    printf("issuer %.3f\n", check_issuer(certs, n));
    printf("put-memory %.3f\n", fill(memory, certs, der, len, n));
    printf("get-memory %.3f\n", ask_all(memory, certs, n, 100));
    printf("put-folder %.3f\n", fill(disk, certs, der, len, n));
    est_ocsp_cache_free(disk);
    disk = open_cache(n, folder);
    printf("get-folder %.3f\n", ask_all(disk, certs, n, 1));
    printf("get-folder-again %.3f\n", ask_all(disk, certs, n, 100));
    double warm = check_all(argv[1], certs, n, &loaded);
    printf("check-folder %.3f\ncheck-warm %.3f\n", loaded, warm);
    MUST(est_ocsp_cache_clear(disk, &removed, NULL) == ESTUARY_OK && removed == n);
    return 0;
}
