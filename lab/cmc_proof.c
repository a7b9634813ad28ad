/* Who knows the shared secret. RFC 5272 6.2.1, 6.2.3 */
#include "cmc.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <string.h>

struct proof {
    LAB_IDENTITY_PROOF *control;
    const EVP_MD *hash;
    const EVP_MD *mac;
    const ASN1_STRING *identification; /* or NULL */
    struct bytes requests;             /* reqSequence as it is in the message */
};

static const EVP_MD *mac_digest(const X509_ALGOR *algorithm)
{
    switch (OBJ_obj2nid(algorithm->algorithm)) {
    case NID_hmac_sha1: /* 1.3.6.1.5.5.8.1.2, which RFC 5272 names */
    case NID_hmacWithSHA1:
        return EVP_sha1();
    case NID_hmacWithSHA256:
        return EVP_sha256();
    case NID_hmacWithSHA384:
        return EVP_sha384();
    case NID_hmacWithSHA512:
        return EVP_sha512();
    default:
        return NULL;
    }
}

/* The second element of the PKIData. */
static bool find_requests(const struct bytes *content, struct bytes *requests)
{
    size_t header = 0;
    size_t total = 0;
    const unsigned char *at = content->data;
    size_t left = content->len;
    if (!der_element(at, left, &header, &total))
        return false;
    at += header;
    left = total - header;
    if (!der_element(at, left, &header, &total))
        return false;
    at += total;
    left -= total;
    return der_element(at, left, &header, &total) && bytes_append(requests, at, total);
}

/* The identity follows the secret in what is hashed, when there is one. RFC 5272 6.2.3 */
static bool make_key(const struct proof *p, const char *secret, unsigned char *key, unsigned *len)
{
    bool ok = false;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL || EVP_DigestInit_ex(ctx, p->hash, NULL) != 1 ||
        EVP_DigestUpdate(ctx, secret, strlen(secret)) != 1)
        goto cleanup;
    if (p->identification != NULL && EVP_DigestUpdate(ctx, ASN1_STRING_get0_data(p->identification),
                                                      (size_t)ASN1_STRING_length(p->identification)) != 1)
        goto cleanup;
    ok = EVP_DigestFinal_ex(ctx, key, len) == 1;
cleanup:
    EVP_MD_CTX_free(ctx);
    return ok;
}

static bool proves(const struct proof *p, const char *secret)
{
    unsigned char key[EVP_MAX_MD_SIZE];
    unsigned char witness[EVP_MAX_MD_SIZE];
    unsigned key_len = 0;
    unsigned len = 0;
    const ASN1_OCTET_STRING *shown = p->control->witness;
    return make_key(p, secret, key, &key_len) &&
           HMAC(p->mac, key, (int)key_len, p->requests.data, p->requests.len, witness, &len) != NULL &&
           ASN1_STRING_length(shown) == (int)len &&
           CRYPTO_memcmp(witness, ASN1_STRING_get0_data(shown), len) == 0;
}

/* Without an identification every secret may be the one. */
static bool anyone_proves(const struct lab *lab, const struct proof *p)
{
    const ASN1_STRING *name = p->identification;
    for (size_t i = 0; i < lab->options.user_count; i++) {
        const struct user *user = &lab->options.users[i];
        if (name != NULL && (strlen(user->name) != (size_t)ASN1_STRING_length(name) ||
                             memcmp(user->name, ASN1_STRING_get0_data(name), strlen(user->name)) != 0))
            continue;
        if (proves(p, user->password))
            return true;
    }
    return false;
}

static bool read_proof(const struct cmc_request *request, const ASN1_STRING *value, struct proof *p)
{
    const unsigned char *at = ASN1_STRING_get0_data(value);
    const ASN1_TYPE *name = cmc_control_value(request->data, CMC_IDENTIFICATION, V_ASN1_UTF8STRING);
    p->control = d2i_LAB_IDENTITY_PROOF(NULL, &at, ASN1_STRING_length(value));
    if (p->control == NULL || !find_requests(&request->content, &p->requests))
        return false;
    p->hash = EVP_get_digestbyobj(p->control->hash->algorithm);
    p->mac = mac_digest(p->control->mac);
    p->identification = name == NULL ? NULL : name->value.utf8string;
    return p->hash != NULL && p->mac != NULL;
}

bool cmc_proof_check(const struct lab *lab, struct cmc_request *request)
{
    struct proof p = {0};
    bool ok = true;
    const LAB_CONTROL *control = cmc_find_control(request->data, CMC_IDENTITY_PROOF_V2);
    const ASN1_TYPE *value = cmc_control_value(request->data, CMC_IDENTITY_PROOF_V2, V_ASN1_SEQUENCE);
    if (control == NULL)
        return true;
    ok = value != NULL && read_proof(request, value->value.sequence, &p) && anyone_proves(lab, &p);
    if (ok)
        request->proof = CMC_PROOF_SECRET;
    else
        ok = cmc_request_refuse(request, CMC_BAD_IDENTITY, "the identity proof does not fit a known secret");
    LAB_IDENTITY_PROOF_free(p.control);
    bytes_clear(&p.requests);
    return ok;
}
