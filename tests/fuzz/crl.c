/* RFC 5280 5: a CRL, DER or PEM, in one piece and in small ones; the answer must not depend on that. */
#include "crl.h"

#include <openssl/err.h>

/* The first byte is the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    estuary_error *err = fuzz_error(), *other_err = fuzz_error();
    EVP_PKEY *key = crl_key(false);
    X509_NAME *name = crl_name();
    X509 *root = crl_cert(name, name, key); /* and what is looked for */
    STACK_OF(X509) *signers = sk_X509_new_null();
    REQUIRE(sk_X509_push(signers, root) == 1);
    crl_input whole = {.der = data + 1, .len = size - 1, .step = size, .is_der = size > 1 && data[1] == 0x30};
    crl_input pieces = whole;
    pieces.step = data[0] == 0 ? 1 : data[0];
    est_crl *crl = NULL, *other = NULL;
    estuary_status status = crl_read(&whole, root, signers, &crl, err);
    REQUIRE((crl_read(&pieces, root, signers, &other, other_err) == ESTUARY_OK) == (status == ESTUARY_OK));
    if (status == ESTUARY_OK) {
        REQUIRE(crl->found == other->found && crl->removed == other->removed && crl->reason == other->reason);
        REQUIRE(memcmp(crl->digest, other->digest, sizeof(crl->digest)) == 0);
    } else if (whole.is_der) { /* of two flaws in base64 the pieces decide which is met first */
        REQUIRE(strcmp(estuary_error_code(err), estuary_error_code(other_err)) == 0);
    }
    est_crl_free(crl);
    est_crl_free(other);
    sk_X509_free(signers);
    X509_free(root);
    X509_NAME_free(name);
    EVP_PKEY_free(key);
    estuary_error_free(err);
    estuary_error_free(other_err);
    ERR_clear_error();
    return 0;
}
