/* A Full PKI Response: a SignedData over the PKIResponse. RFC 5272 4.2, RFC 6402 2.10 */
#include "cmc.h"
#include "misbehave.h"

#include <openssl/err.h>

struct speaker {
    X509 *certificate;
    EVP_PKEY *key;
    X509 *own_certificate;
    EVP_PKEY *own_key;
    X509 *issuer;
    EVP_PKEY *issuer_key;
};

static void speaker_clear(struct speaker *s)
{
    X509_free(s->own_certificate);
    EVP_PKEY_free(s->own_key);
    X509_free(s->issuer);
    EVP_PKEY_free(s->issuer_key);
}

/* A certificate for this one answer; a stranger's comes from a CA nobody knows. */
static bool speaker_mint(const struct lab *lab, enum cmc_signer who, struct speaker *s)
{
    const time_t now = time(NULL);
    struct mint m = {
        .cn = "Estuary Lab CMC RA",
        .issuer = lab->ca.issuing,
        .signer = lab->ca.issuing_key,
        .not_before = now - LAB_MINUTE,
        .not_after = now + LAB_DAY,
        .basic = "critical,CA:FALSE",
        .key_usage = "critical,digitalSignature",
        .eku = who == CMC_SIGNER_PLAIN ? "clientAuth,serverAuth" : "1.3.6.1.5.5.7.3.28", /* id-kp-cmcRA */
    };
    if (who == CMC_SIGNER_STRANGER) {
        s->issuer = rogue_root("Somebody's CA", now + LAB_DAY, &s->issuer_key);
        m.issuer = s->issuer;
        m.signer = s->issuer_key;
    }
    s->own_key = new_key("ec");
    m.key = s->own_key;
    if (s->own_key == NULL || m.issuer == NULL)
        return false;
    s->own_certificate = mint_certificate(&m);
    s->certificate = s->own_certificate;
    s->key = s->own_key;
    return s->certificate != NULL;
}

static bool speaker_open(const struct lab *lab, enum cmc_signer who, struct speaker *s)
{
    switch (who) {
    case CMC_SIGNER_NOBODY:
        return true;
    case CMC_SIGNER_CA:
        s->certificate = lab->ca.issuing;
        s->key = lab->ca.issuing_key;
        return true;
    default:
        return speaker_mint(lab, who, s);
    }
}

static bool add_certificates(CMS_ContentInfo *cms, const struct cmc_reply *reply)
{
    for (int i = 0; i < sk_X509_num(reply->certificates); i++) {
        /* A certificate that is there already (the signer's) is refused: fine. */
        if (CMS_add1_cert(cms, sk_X509_value(reply->certificates, i)) != 1 &&
            ERR_GET_REASON(ERR_peek_last_error()) != CMS_R_CERTIFICATE_ALREADY_PRESENT)
            return false;
    }
    return true;
}

/* Without a signer there is nothing to hash, and CMS_final would fail. */
static bool finish(CMS_ContentInfo *cms, const struct speaker *s, const struct bytes *content, unsigned flags)
{
    ASN1_OCTET_STRING **held = CMS_get0_content(cms);
    if (s->key == NULL && held != NULL && *held != NULL)
        return ASN1_OCTET_STRING_set(*held, content->data, (int)content->len) == 1;
    BIO *in = BIO_new_mem_buf(content->data, (int)content->len);
    bool ok = in != NULL && CMS_final(cms, in, NULL, flags) == 1;
    BIO_free(in);
    return ok;
}

static CMS_ContentInfo *wrap(const struct speaker *s, const struct cmc_reply *reply,
                             const struct bytes *content)
{
    const unsigned flags = CMS_PARTIAL | CMS_BINARY | CMS_NOSMIMECAP;
    const unsigned quiet = reply->omit_signer_certificate ? CMS_NOCERTS : 0;
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
    if (cms == NULL || CMS_set1_eContentType(cms, OBJ_nid2obj(reply->content_nid)) != 1 ||
        (s->key != NULL &&
         CMS_add1_signer(cms, s->certificate, s->key, EVP_sha256(), flags | quiet) == NULL) ||
        !add_certificates(cms, reply) || !finish(cms, s, content, flags)) {
        CMS_ContentInfo_free(cms);
        cms = NULL;
    }
    return cms;
}

static bool sign(const struct speaker *s, const struct cmc_reply *reply, const struct bytes *content,
                 struct bytes *der)
{
    unsigned char *encoded = NULL;
    CMS_ContentInfo *cms = wrap(s, reply, content);
    int len = cms == NULL ? 0 : i2d_CMS_ContentInfo(cms, &encoded);
    bool ok = len > 0 && bytes_append(der, encoded, (size_t)len);
    /* The signature is the last thing in the encoding. */
    if (ok && reply->spoil_signature)
        der->data[der->len - 1] ^= 1;
    OPENSSL_free(encoded);
    CMS_ContentInfo_free(cms);
    return ok;
}

bool cmc_reply_encode(const struct lab *lab, const struct cmc_reply *reply, struct bytes *der)
{
    struct bytes content = {0};
    struct bytes inner = {0};
    struct speaker s = {0};
    bool ok = speaker_open(lab, reply->signer, &s) && cmc_reply_content(reply, &content);
    if (ok && reply->nested)
        ok = sign(&s, reply, &content, &inner) && sign(&s, reply, &inner, der);
    else if (ok)
        ok = sign(&s, reply, &content, der);
    bytes_clear(&content);
    bytes_clear(&inner);
    speaker_clear(&s);
    return ok;
}

void cmc_reply_clear(struct cmc_reply *reply)
{
    ASN1_INTEGER_free(reply->transaction);
    ASN1_OCTET_STRING_free(reply->sender_nonce);
    ASN1_OCTET_STRING_free(reply->recipient_nonce);
    sk_X509_pop_free(reply->certificates, X509_free);
    X509_free(reply->anchor);
    bytes_clear(&reply->pend_token);
}
