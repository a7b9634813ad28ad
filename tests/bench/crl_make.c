/*
 * crl_make FOLDER COUNT sorted|unsorted|reasons: FOLDER/list.crl with COUNT entries (DER, 16-byte serials;
 * "reasons": unsorted, each with a reasonCode), signed with ECDSA P-256, its issuer in ca.pem, a certificate
 * on it (listed.pem, the entry at three quarters) and one that is not (other.pem). OpenSSL would need
 * gigabytes.
 */
#include "crl_bench.h"

#include <openssl/evp.h>

#define SIGNATURE 71 /* the usual length of one in DER; another try when it has another */

static FILE *file;
static EVP_MD_CTX *hash;

static void put(const uint8_t *bytes, size_t len, int is_signed)
{
    bench_must(fwrite(bytes, 1, len, file) == len, "writing");
    if (is_signed)
        bench_must(EVP_DigestUpdate(hash, bytes, len) == 1, "hashing");
}

static size_t header_size(uint64_t len)
{
    size_t size = 2;
    for (; len >= 0x80 && size < 10; size++)
        if (len >> (8 * (size - 1)) == 0)
            return size + 1;
    return size;
}

static size_t header(uint8_t tag, uint64_t len, uint8_t *out)
{
    size_t size = header_size(len);
    out[0] = tag;
    out[1] = size == 2 ? (uint8_t)len : (uint8_t)(0x80 + size - 2);
    for (size_t i = 2; i < size; i++)
        out[i] = (uint8_t)(len >> (8 * (size - 1 - i)));
    return size;
}

static size_t make_entry(uint64_t i, int sorted, int reasons, uint8_t *out)
{
    static const uint8_t reason[] = {0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55,
                                     0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01};
    uint64_t r = bench_mix(i ^ 0x5555);
    char date[16];
    out[2] = 0x02;
    out[3] = BENCH_SERIAL;
    bench_serial(i, sorted, out + 4);
    snprintf(date, sizeof(date), "%02u%02u%02u%02u%02u%02uZ", 20 + (unsigned)(r % 6),
             1 + (unsigned)(r >> 8) % 12, 1 + (unsigned)(r >> 16) % 28, (unsigned)(r >> 24) % 24,
             (unsigned)(r >> 32) % 60, (unsigned)(r >> 40) % 60);
    size_t len = 4 + BENCH_SERIAL;
    out[len++] = 0x17;
    out[len++] = 13;
    memcpy(out + len, date, 13);
    len += 13;
    if (reasons) {
        memcpy(out + len, reason, sizeof(reason));
        len += sizeof(reason);
        out[len++] = (uint8_t)(1 + r % 5);
    }
    out[0] = 0x30;
    out[1] = (uint8_t)(len - 2);
    return len;
}

static X509 *make_certificate(X509_NAME *subject, X509_NAME *issuer, const uint8_t serial[BENCH_SERIAL],
                              EVP_PKEY *key)
{
    X509 *cert = X509_new();
    BIGNUM *number = BN_bin2bn(serial, BENCH_SERIAL, NULL);
    bench_must(cert != NULL && number != NULL &&
                   BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL &&
                   X509_set_version(cert, X509_VERSION_3) == 1 && X509_set_subject_name(cert, subject) == 1 &&
                   X509_set_issuer_name(cert, issuer) == 1 && X509_set_pubkey(cert, key) == 1 &&
                   X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL &&
                   X509_gmtime_adj(X509_getm_notAfter(cert), 86400 * 30) != NULL &&
                   X509_sign(cert, key, EVP_sha256()) > 0,
               "making a certificate");
    BN_free(number);
    return cert;
}

static X509_NAME *make_name(const char *cn)
{
    X509_NAME *name = X509_NAME_new();
    bench_must(name != NULL &&
                   X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0) == 1,
               "making a name");
    return name;
}

static void save(const char *folder, const char *name, X509 *cert)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    bench_must(out != NULL && PEM_write_X509(out, cert) == 1 && fclose(out) == 0, path);
    X509_free(cert);
}

static void sign(EVP_PKEY *key)
{
    uint8_t digest[EVP_MAX_MD_SIZE], signature[128], start[] = {0x03, SIGNATURE + 1, 0x00};
    unsigned digest_len = 0;
    size_t len = 0;
    bench_must(EVP_DigestFinal_ex(hash, digest, &digest_len) == 1, "hashing");
    for (int i = 0; i < 100 && len != SIGNATURE; i++) {
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
        len = sizeof(signature);
        bench_must(context != NULL && EVP_PKEY_sign_init(context) == 1 &&
                       EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
                       EVP_PKEY_sign(context, signature, &len, digest, digest_len) == 1,
                   "signing");
        EVP_PKEY_CTX_free(context);
    }
    bench_must(len == SIGNATURE, "signing");
    put(start, sizeof(start), 0);
    put(signature, len, 0);
}

static void make_list(uint64_t count, int sorted, int reasons, X509_NAME *issuer, EVP_PKEY *key)
{
    static const uint8_t version[] = {0x02, 0x01, 0x01};
    static const uint8_t algorithm[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                        0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    uint8_t entry[128], head[16], *name = NULL, times[64];
    int name_len = i2d_X509_NAME(issuer, &name);
    ASN1_TIME *from = X509_gmtime_adj(NULL, -3600), *to = X509_gmtime_adj(NULL, 86400 * 30);
    uint8_t *at = times;
    int times_len = i2d_ASN1_TIME(from, &at);
    times_len += i2d_ASN1_TIME(to, &at);
    uint64_t entries = count * make_entry(0, sorted, reasons, entry);
    uint64_t body = sizeof(version) + sizeof(algorithm) + (uint64_t)name_len + (uint64_t)times_len +
                    (count == 0 ? 0 : header_size(entries) + entries);
    uint64_t whole = header_size(body) + body + sizeof(algorithm) + 3 + SIGNATURE;
    put(head, header(0x30, whole, head), 0);
    put(head, header(0x30, body, head), 1);
    put(version, sizeof(version), 1);
    put(algorithm, sizeof(algorithm), 1);
    put(name, (size_t)name_len, 1);
    put(times, (size_t)times_len, 1);
    if (count > 0)
        put(head, header(0x30, entries, head), 1);
    for (uint64_t i = 0; i < count; i++)
        put(entry, make_entry(i, sorted, reasons, entry), 1);
    put(algorithm, sizeof(algorithm), 0);
    sign(key);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    OPENSSL_free(name);
}

int main(int argc, char **argv)
{
    bench_must(argc == 4, "usage");
    char path[4096];
    uint8_t serial[BENCH_SERIAL];
    uint64_t count = strtoull(argv[2], NULL, 10);
    int sorted = strcmp(argv[3], "sorted") == 0, reasons = strcmp(argv[3], "reasons") == 0;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_NAME *issuer = make_name("Bench CA"), *subject = make_name("Bench");
    hash = EVP_MD_CTX_new();
    snprintf(path, sizeof(path), "%s/list.crl", argv[1]);
    file = fopen(path, "w");
    bench_must(key != NULL && hash != NULL && file != NULL &&
                   EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1,
               "starting");
    make_list(count, sorted, reasons, issuer, key);
    bench_must(fclose(file) == 0, "writing");
    bench_serial(count + 1, sorted, serial);
    save(argv[1], "ca.pem", make_certificate(issuer, issuer, serial, key));
    bench_serial(count + 2, sorted, serial);
    save(argv[1], "other.pem", make_certificate(subject, issuer, serial, key));
    bench_serial(count * 3 / 4, sorted, serial);
    save(argv[1], "listed.pem", make_certificate(subject, issuer, serial, key));
    X509_NAME_free(issuer);
    X509_NAME_free(subject);
    EVP_MD_CTX_free(hash);
    EVP_PKEY_free(key);
    return 0;
}
