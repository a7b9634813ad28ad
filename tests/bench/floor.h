/* What both floors share: hard-coded key, CSR, check and files. Not Estuary's code: the least that does the
 * job. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stddef.h>

/* argv: URL host port ca.pem user password outdir; the password stands in argv, as floors need no manners */
struct floor_job {
    const char *host, *port, *ca_file, *user, *password, *folder;
    EVP_PKEY *key;
    char *body; /* base64 of the CSR, wrapped */
    size_t body_len;
};

void floor_die(const char *what);
void floor_prepare(struct floor_job *job, int argc, char **argv);
/* base64 certs-only answer: find ours, verify it, write key.pem and cert.pem */
void floor_finish(struct floor_job *job, const char *answer, size_t len);

#endif
