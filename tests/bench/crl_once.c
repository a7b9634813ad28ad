/*
 * crl_once ours|openssl CRL CA CERTIFICATE: one check of a certificate against a CRL file. Prints whether it
 * was found, the check's wall ms and the KiB that the peak RSS grew by during it.
 */
#include "crl_bench.h"
#include "wire/crl.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (64 * 1024)

static int ours(const char *path, X509 *ca, X509 *cert)
{
    static uint8_t chunk[CHUNK];
    est_crl_reader *reader = NULL;
    est_crl *crl = NULL;
    STACK_OF(X509) *signers = sk_X509_new_null();
    int file = open(path, O_RDONLY);
    ssize_t len;
    bench_must(file >= 0 && sk_X509_push(signers, ca) == 1 &&
                   est_crl_reader_new(cert, UINT64_MAX, &reader, NULL) == ESTUARY_OK,
               "starting");
    while ((len = read(file, chunk, sizeof(chunk))) > 0)
        bench_must(est_crl_reader_feed(reader, chunk, (size_t)len, NULL) == ESTUARY_OK, "reading");
    bench_must(len == 0 && est_crl_reader_final(reader, signers, &crl, NULL) == ESTUARY_OK, "verifying");
    int found = crl->found;
    est_crl_free(crl);
    est_crl_reader_free(reader);
    sk_X509_free(signers);
    close(file);
    return found;
}

static int openssl(const char *path, X509 *ca, X509 *cert)
{
    X509_REVOKED *entry = NULL;
    BIO *file = BIO_new_file(path, "r");
    X509_CRL *crl = file == NULL ? NULL : d2i_X509_CRL_bio(file, NULL);
    bench_must(crl != NULL && X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1, "verifying");
    int found = X509_CRL_get0_by_serial(crl, &entry, X509_get_serialNumber(cert)) == 1;
    X509_CRL_free(crl);
    BIO_free(file);
    return found;
}

int main(int argc, char **argv)
{
    bench_must(argc == 5, "usage");
    X509 *ca = bench_load(argv[3]), *cert = bench_load(argv[4]);
    bench_must(X509_verify(cert, X509_get0_pubkey(ca)) == 1,
               "the certificate"); /* R0; also warms OpenSSL up */
    long before = bench_kib("VmRSS:");
    double begin = bench_ms();
    int found = strcmp(argv[1], "ours") == 0 ? ours(argv[2], ca, cert) : openssl(argv[2], ca, cert);
    double end = bench_ms();
    printf("%d %.3f %ld\n", found, end - begin, bench_kib("VmHWM:") - before);
    X509_free(ca);
    X509_free(cert);
    return 0;
}
