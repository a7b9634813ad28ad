#include "store/pem.h"

#include <openssl/bio.h>
#include <openssl/pem.h>

BIO *est_store_certs_to_pem(X509 *leaf, const STACK_OF(X509) *chain)
{
    BIO *out = BIO_new(BIO_s_mem());
    bool done = out != NULL && (leaf == NULL || PEM_write_bio_X509(out, leaf) == 1);
    for (int i = 0; done && chain != NULL && i < sk_X509_num(chain); i++)
        done = PEM_write_bio_X509(out, sk_X509_value(chain, i)) == 1;
    if (done)
        return out;
    BIO_free(out);
    return NULL;
}

est_store_file est_store_file_of(const char *name, BIO *pem, mode_t mode)
{
    est_store_file file = {.name = name, .mode = mode};
    char *text = NULL;
    long len = BIO_get_mem_data(pem, &text);
    if (est_int_to_size(len, &file.len))
        file.bytes = text;
    return file;
}

/* Nobody is there to be asked, and OpenSSL's own way would be to ask on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

EVP_PKEY *est_store_key_from_pem(const uint8_t *pem, size_t len)
{
    int size = 0;
    if (!est_size_to_int(len, &size))
        return NULL;
    BIO *in = BIO_new_mem_buf(pem, size);
    EVP_PKEY *key = in == NULL ? NULL : PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
    BIO_free(in);
    return key;
}
