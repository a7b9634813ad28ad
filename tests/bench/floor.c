#include "floor.h"

#include <fcntl.h>
#include <openssl/cms.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void floor_die(const char *what)
{
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

static void make_csr(struct floor_job *job)
{
    X509_REQ *csr = X509_REQ_new();
    unsigned char *der = NULL;
    job->key = EVP_EC_gen("P-256");
    if (csr == NULL || job->key == NULL ||
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(csr), "CN", MBSTRING_ASC,
                                   (const unsigned char *)"bench", -1, -1, 0) != 1 ||
        X509_REQ_set_pubkey(csr, job->key) != 1 || X509_REQ_sign(csr, job->key, EVP_sha256()) <= 0)
        floor_die("CSR");
    int len = i2d_X509_REQ(csr, &der);
    if (len <= 0)
        floor_die("DER");
    job->body = calloc(1, (size_t)len * 2 + 128);
    EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
    int used = 0, tail = 0;
    if (job->body == NULL || ctx == NULL)
        floor_die("memory");
    EVP_EncodeInit(ctx);
    if (EVP_EncodeUpdate(ctx, (unsigned char *)job->body, &used, der, len) != 1)
        floor_die("base64");
    EVP_EncodeFinal(ctx, (unsigned char *)job->body + used, &tail);
    job->body_len = (size_t)(used + tail);
    EVP_ENCODE_CTX_free(ctx);
    OPENSSL_free(der);
    X509_REQ_free(csr);
}

void floor_prepare(struct floor_job *job, int argc, char **argv)
{
    if (argc != 7)
        floor_die("usage: HOST PORT CA USER PASSWORD FOLDER");
    *job = (struct floor_job){argv[1], argv[2], argv[3], argv[4], argv[5], argv[6], NULL, NULL, 0};
    make_csr(job);
}

static STACK_OF(X509) *read_certs(const char *answer, size_t len)
{
    unsigned char *der = malloc(len + 3);
    EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
    int used = 0, tail = 0;
    if (der == NULL || ctx == NULL)
        floor_die("memory");
    EVP_DecodeInit(ctx);
    if (EVP_DecodeUpdate(ctx, der, &used, (const unsigned char *)answer, (int)len) < 0 ||
        EVP_DecodeFinal(ctx, der + used, &tail) != 1)
        floor_die("base64 answer");
    const unsigned char *p = der;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, used + tail);
    STACK_OF(X509) *certs = cms == NULL ? NULL : CMS_get1_certs(cms);
    if (certs == NULL)
        floor_die("CMS");
    CMS_ContentInfo_free(cms);
    EVP_ENCODE_CTX_free(ctx);
    free(der);
    return certs;
}

static void verify(const struct floor_job *job, X509 *cert)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (store == NULL || ctx == NULL || X509_STORE_load_file(store, job->ca_file) != 1 ||
        X509_STORE_CTX_init(ctx, store, cert, NULL) != 1 || X509_verify_cert(ctx) != 1)
        floor_die("the issued certificate does not verify");
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
}

/* With FLOOR_DURABLE set, the files outlast a power cut: each is brought to disk, then their folder. */
static void bring_to_disk(int fd)
{
    if (getenv("FLOOR_DURABLE") != NULL && fsync(fd) != 0)
        floor_die("fsync");
}

static void finish_file(FILE *file)
{
    if (fflush(file) != 0)
        floor_die("write");
    bring_to_disk(fileno(file));
    if (fclose(file) != 0)
        floor_die("close");
}

static void finish_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        floor_die("folder");
    bring_to_disk(fd);
    close(fd);
}

static FILE *create(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL)
        floor_die("file");
    return file;
}

void floor_finish(struct floor_job *job, const char *answer, size_t len)
{
    STACK_OF(X509) *certs = read_certs(answer, len);
    X509 *ours = NULL;
    for (int i = 0; i < sk_X509_num(certs); i++) {
        if (X509_check_private_key(sk_X509_value(certs, i), job->key) == 1)
            ours = sk_X509_value(certs, i);
    }
    if (ours == NULL)
        floor_die("no certificate for our key");
    verify(job, ours);
    FILE *file = create(job->folder, "key.pem");
    if (PEM_write_PKCS8PrivateKey(file, job->key, NULL, NULL, 0, NULL, NULL) != 1)
        floor_die("key.pem");
    finish_file(file);
    file = create(job->folder, "cert.pem");
    if (PEM_write_X509(file, ours) != 1)
        floor_die("cert.pem");
    finish_file(file);
    if (getenv("FLOOR_DURABLE") != NULL)
        finish_folder(job->folder);
    sk_X509_pop_free(certs, X509_free);
    EVP_PKEY_free(job->key);
    free(job->body);
}
