/* What the programs of crl.py share. */
#ifndef BENCH_CRL_BENCH_H
#define BENCH_CRL_BENCH_H

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_SERIAL 16

static inline void bench_must(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "crl bench: %s failed\n", what);
        exit(1);
    }
}

static inline double bench_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

static inline long bench_kib(const char *name)
{
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtol(line + strlen(name), NULL, 10);
    if (file != NULL)
        fclose(file);
    return kib;
}

static inline X509 *bench_load(const char *path)
{
    FILE *file = fopen(path, "r");
    X509 *cert = file == NULL ? NULL : PEM_read_X509(file, NULL, NULL, NULL);
    bench_must(cert != NULL, path);
    fclose(file);
    return cert;
}

static inline uint64_t bench_mix(uint64_t x) /* splitmix64 */
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static inline void bench_serial(uint64_t i, int sorted, uint8_t out[BENCH_SERIAL])
{
    uint64_t high = sorted ? i << 20 | (bench_mix(i) & 0xfffff) : bench_mix(i);
    high = (high & 0x3fffffffffffffffu) | 0x4000000000000000u;
    for (int b = 0; b < 8; b++) {
        out[b] = (uint8_t)(high >> (56 - 8 * b));
        out[8 + b] = (uint8_t)(bench_mix(~i) >> (56 - 8 * b));
    }
}

#endif
