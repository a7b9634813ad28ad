/* Misbehaviours of the EST body: which certificates, what CMS, what base64. RFC 7030 4.1.3, RFC 8951 3 */
#include "misbehave.h"

#include <openssl/cms.h>
#include <openssl/x509v3.h>
#include <string.h>

#define MANY 500

/* ---- which certificates ---- */

static bool push(STACK_OF(X509) *certificates, X509 *certificate)
{
    if (certificate != NULL && sk_X509_push(certificates, certificate) > 0)
        return true;
    X509_free(certificate);
    return false;
}

static void empty(STACK_OF(X509) *certificates)
{
    while (sk_X509_num(certificates) > 0)
        X509_free(sk_X509_pop(certificates));
}

static bool push_unrelated(STACK_OF(X509) *certificates, const char *cn, time_t not_after)
{
    EVP_PKEY *key = NULL;
    X509 *root = rogue_root(cn, not_after, &key);
    EVP_PKEY_free(key);
    return push(certificates, root);
}

static bool bundle_empty(struct exchange *ex, STACK_OF(X509) *certificates, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    empty(certificates);
    return true;
}

static bool bundle_extra(struct exchange *ex, STACK_OF(X509) *certificates, const struct misbehaviour *row)
{
    const struct ca *ca = &ex->lab->ca;
    return X509_add_cert(certificates, ca->issuing, X509_ADD_FLAG_UP_REF) == 1 &&
           X509_add_cert(certificates, ca->root, X509_ADD_FLAG_UP_REF) == 1 &&
           push_unrelated(certificates, row->text, time(NULL) + LAB_YEAR - LAB_DAY);
}

static bool bundle_many(struct exchange *ex, STACK_OF(X509) *certificates, const struct misbehaviour *row)
{
    char cn[32];
    bool ok = true;
    const struct ca *ca = &ex->lab->ca;
    for (long i = 0; ok && i < row->number; i++) {
        (void)snprintf(cn, sizeof cn, "One of many %ld", i);
        const struct mint m = {
            .cn = cn,
            .key = ca->server_key,
            .issuer = ca->issuing,
            .signer = ca->issuing_key,
            .not_before = time(NULL) - LAB_DAY,
            .not_after = time(NULL) + LAB_DAY,
        };
        ok = push(certificates, mint_certificate(&m));
    }
    return ok;
}

/* A second certificate for the same key, subject and names. */
static bool bundle_twin(struct exchange *ex, STACK_OF(X509) *certificates, const struct misbehaviour *row)
{
    X509 *leaf = sk_X509_value(certificates, 0);
    X509_EXTENSION *san = csr_extension(ex->csr, NID_subject_alt_name);
    struct mint m = {
        .subject = X509_get_subject_name(leaf),
        .key = X509_get0_pubkey(leaf),
        .issuer = ex->lab->ca.issuing,
        .signer = ex->lab->ca.issuing_key,
        .not_before = time(NULL) - LAB_MINUTE,
        .not_after = time(NULL) + LAB_DAY,
        .basic = "critical,CA:FALSE",
        .key_usage = "critical,digitalSignature",
        .eku = "clientAuth,serverAuth",
    };
    (void)row;
    bool ok = (san == NULL || mint_add_extension(&m, san)) && push(certificates, mint_certificate(&m));
    mint_clear(&m);
    return ok;
}

static bool bundle_issuing_only(struct exchange *ex, STACK_OF(X509) *certificates,
                                const struct misbehaviour *row)
{
    (void)row;
    empty(certificates);
    return X509_add_cert(certificates, ex->lab->ca.issuing, X509_ADD_FLAG_UP_REF) == 1;
}

static bool bundle_leaf_only(struct exchange *ex, STACK_OF(X509) *certificates,
                             const struct misbehaviour *row)
{
    (void)row;
    empty(certificates);
    return X509_add_cert(certificates, ex->lab->ca.server, X509_ADD_FLAG_UP_REF) == 1;
}

static bool bundle_second_root(struct exchange *ex, STACK_OF(X509) *certificates,
                               const struct misbehaviour *row)
{
    (void)ex;
    return push_unrelated(certificates, row->text, time(NULL) + LAB_YEAR - LAB_DAY);
}

/* number: when it ended or will, in seconds from now. */
static bool bundle_other_root(struct exchange *ex, STACK_OF(X509) *certificates,
                              const struct misbehaviour *row)
{
    (void)ex;
    empty(certificates);
    return push_unrelated(certificates, row->text, time(NULL) + row->number);
}

/* ---- what CMS ---- */

static bool append_certificate(struct bytes *out, const X509 *certificate)
{
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    bool ok = len > 0 && bytes_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return ok;
}

/* ContentInfo of a SignedData with these parts, in the order given: a library would sort them. RFC 5652 5.1
 */
static bool assemble(const struct bytes *content_info, const struct bytes *certificates, struct bytes *out)
{
    static const unsigned char version_digests[] = {2, 1, 1, 0x31, 0};
    static const unsigned char no_signers[] = {0x31, 0};
    static const unsigned char oid[] = {6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2};
    struct bytes fields = {0};
    struct bytes signed_data = {0};
    struct bytes both = {0};
    bool ok = bytes_append(&fields, version_digests, sizeof version_digests) &&
              der_wrap(0x30, content_info, &fields) && der_wrap(0xa0, certificates, &fields) &&
              bytes_append(&fields, no_signers, sizeof no_signers) && der_wrap(0x30, &fields, &signed_data) &&
              bytes_append(&both, oid, sizeof oid) && der_wrap(0xa0, &signed_data, &both);
    bytes_clear(out);
    ok = ok && der_wrap(0x30, &both, out);
    bytes_clear(&fields);
    bytes_clear(&signed_data);
    bytes_clear(&both);
    return ok;
}

static const unsigned char id_data[] = {6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1};

static STACK_OF(X509) *certificates_of(const struct bytes *der)
{
    const unsigned char *p = der->data;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der->len);
    STACK_OF(X509) *certificates = cms == NULL ? NULL : CMS_get1_certs(cms);
    CMS_ContentInfo_free(cms);
    return certificates;
}

static bool body_shuffled(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    struct bytes raw = {0};
    struct bytes info = {0};
    STACK_OF(X509) *leaves = certificates_of(der);
    STACK_OF(X509) *others = sk_X509_new_null();
    bool ok = leaves != NULL && others != NULL && bytes_append(&info, id_data, sizeof id_data);
    if (ok && ex->operation->bit != OP_CACERTS)
        ok = bundle_extra(ex, others, row);
    for (int i = sk_X509_num(others) - 1; ok && i >= 0; i--)
        ok = append_certificate(&raw, sk_X509_value(others, i));
    for (int i = sk_X509_num(leaves) - 1; ok && i >= 0; i--)
        ok = append_certificate(&raw, sk_X509_value(leaves, i));
    ok = ok && assemble(&info, &raw, der);
    sk_X509_pop_free(leaves, X509_free);
    sk_X509_pop_free(others, X509_free);
    bytes_clear(&raw);
    bytes_clear(&info);
    return ok;
}

static bool body_duplicate(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    struct bytes raw = {0};
    struct bytes info = {0};
    STACK_OF(X509) *leaves = certificates_of(der);
    bool ok = leaves != NULL && bytes_append(&info, id_data, sizeof id_data);
    (void)ex;
    (void)row;
    for (int i = 0; ok && i < sk_X509_num(leaves); i++)
        ok = append_certificate(&raw, sk_X509_value(leaves, i)) &&
             append_certificate(&raw, sk_X509_value(leaves, i));
    ok = ok && assemble(&info, &raw, der);
    sk_X509_pop_free(leaves, X509_free);
    bytes_clear(&raw);
    bytes_clear(&info);
    return ok;
}

static bool body_with_content(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    static const unsigned char content[] = {0xa0, 7, 4, 5, 'h', 'e', 'l', 'l', 'o'};
    struct bytes raw = {0};
    struct bytes info = {0};
    STACK_OF(X509) *leaves = certificates_of(der);
    bool ok = leaves != NULL && bytes_append(&info, id_data, sizeof id_data) &&
              bytes_append(&info, content, sizeof content);
    (void)ex;
    (void)row;
    for (int i = 0; ok && i < sk_X509_num(leaves); i++)
        ok = append_certificate(&raw, sk_X509_value(leaves, i));
    ok = ok && assemble(&info, &raw, der);
    sk_X509_pop_free(leaves, X509_free);
    bytes_clear(&raw);
    bytes_clear(&info);
    return ok;
}

static bool set_cms(struct bytes *der, CMS_ContentInfo *cms)
{
    unsigned char *encoded = NULL;
    int len = cms == NULL ? -1 : i2d_CMS_ContentInfo(cms, &encoded);
    bool ok = len > 0 && bytes_set(der, encoded, (size_t)len);
    OPENSSL_free(encoded);
    CMS_ContentInfo_free(cms);
    return ok;
}

static bool body_signed(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    const struct ca *ca = &ex->lab->ca;
    STACK_OF(X509) *leaves = certificates_of(der);
    BIO *content = BIO_new_mem_buf(row->text, -1);
    bool ok = leaves != NULL && content != NULL &&
              set_cms(der, CMS_sign(ca->issuing, ca->issuing_key, leaves, content, CMS_BINARY | CMS_NOCERTS));
    BIO_free(content);
    sk_X509_pop_free(leaves, X509_free);
    return ok;
}

static bool body_enveloped(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    STACK_OF(X509) *to = sk_X509_new_null();
    BIO *content = BIO_new_mem_buf(der->data, (int)der->len);
    (void)row;
    bool ok = to != NULL && content != NULL && sk_X509_push(to, ex->lab->ca.issuing) > 0 &&
              set_cms(der, CMS_encrypt(to, content, EVP_aes_128_cbc(), CMS_BINARY));
    BIO_free(content);
    sk_X509_free(to);
    return ok;
}

static bool body_not_cms(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    struct bytes content = {0};
    struct bytes inner = {0};
    (void)ex;
    bool ok = bytes_text(&content, row->text) && der_wrap(0x0c, &content, &inner);
    bytes_clear(der);
    ok = ok && der_wrap(0x30, &inner, der);
    bytes_clear(&content);
    bytes_clear(&inner);
    return ok;
}

static bool body_trailing(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    (void)ex;
    return bytes_text(der, row->text);
}

static bool body_truncated(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    (void)ex;
    der->len -= der->len < (size_t)row->number ? der->len : (size_t)row->number;
    return true;
}

/* ContentInfo, [0] and SignedData get the indefinite length; what is inside stays. X.690 8.1.3.6 */
static bool body_indefinite(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    struct bytes ber = {0};
    size_t at = 0;
    size_t header = 0;
    size_t total = 0;
    bool ok = der_element(der->data, der->len, &header, &total) && bytes_append(&ber, "\x30\x80", 2);
    at = header;
    (void)ex;
    (void)row;
    ok = ok && der_element(der->data + at, der->len - at, &header, &total) && /* the content type */
         bytes_append(&ber, der->data + at, total);
    at += total;
    ok = ok && der_element(der->data + at, der->len - at, &header, &total) &&
         bytes_append(&ber, "\xa0\x80", 2);
    at += header;
    ok = ok && der_element(der->data + at, der->len - at, &header, &total) &&
         bytes_append(&ber, "\x30\x80", 2) && bytes_append(&ber, der->data + at + header, total - header) &&
         bytes_append(&ber, "\0\0\0\0\0\0", 6) && bytes_set(der, ber.data, ber.len);
    bytes_clear(&ber);
    return ok;
}

/* ---- what base64 ---- */

static bool encode_bad(struct exchange *ex, const struct bytes *der, struct bytes *text,
                       const struct misbehaviour *row)
{
    (void)ex;
    if (!base64_encode(der, 64, "\r\n", text) || text->len == 0)
        return false;
    text->data[text->len / 2] = (unsigned char)row->number;
    return true;
}

static bool encode_lines(struct exchange *ex, const struct bytes *der, struct bytes *text,
                         const struct misbehaviour *row)
{
    (void)ex;
    return base64_encode(der, (size_t)row->number, row->text, text);
}

static bool encode_trailing(struct exchange *ex, const struct bytes *der, struct bytes *text,
                            const struct misbehaviour *row)
{
    struct bytes padded = {0};
    (void)ex;
    /* base64 without a '=' has no end that something could come after; a byte more makes sure of one */
    bool ok = bytes_set(&padded, der->data, der->len) &&
              (der->len % 3 != 0 || bytes_append(&padded, "", 1)) && base64_encode(&padded, 0, "", text) &&
              bytes_text(text, row->text);
    bytes_clear(&padded);
    return ok;
}

/* RFC 4648 3.5: a bit before the padding that no byte is made of */
static bool encode_bits(struct exchange *ex, const struct bytes *der, struct bytes *text,
                        const struct misbehaviour *row)
{
    struct bytes padded = {0};
    (void)ex;
    (void)row;
    bool ok = bytes_set(&padded, der->data, der->len);
    while (ok && padded.len % 3 != 1) /* so that it ends in four unused bits and "==" */
        ok = bytes_append(&padded, "", 1);
    ok = ok && base64_encode(&padded, 0, "", text) && text->len >= 4;
    if (ok)
        text->data[text->len - 3]++;
    bytes_clear(&padded);
    return ok;
}

static bool encode_not(struct exchange *ex, const struct bytes *der, struct bytes *text,
                       const struct misbehaviour *row)
{
    (void)row;
    reply_drop_header(&ex->reply, "Content-Transfer-Encoding");
    return bytes_append(text, der->data, der->len);
}

static bool encode_pem(struct exchange *ex, const struct bytes *der, struct bytes *text,
                       const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    return bytes_text(text, "-----BEGIN CMS-----\r\n") && base64_encode(der, 64, "\r\n", text) &&
           bytes_text(text, "-----END CMS-----\r\n");
}

static const struct misbehaviour rows[] = {
    {.name = "extra-certificates",
     .about = "harmless: beside the issued certificate come the CA's two and an unrelated one",
     .operations = OP_ISSUE,
     .bundle = bundle_extra,
     .text = "Unrelated CA"},
    {.name = "shuffled-order",
     .about = "harmless: several certificates, the issued one last, cacerts reversed, the SET unsorted",
     .operations = OP_CERTS,
     .body = body_shuffled,
     .text = "Unrelated CA"},
    {.name = "duplicate-certificate",
     .about = "harmless: each certificate comes twice",
     .operations = OP_CERTS,
     .body = body_duplicate},
    {.name = "two-certificates-same-key",
     .about = "two different certificates for the request's key",
     .operations = OP_ISSUE,
     .bundle = bundle_twin},
    {.name = "too-many-certs",
     .about = "500 more certificates",
     .operations = OP_CERTS,
     .bundle = bundle_many,
     .number = MANY},
    {.name = "cacerts-empty",
     .about = "cacerts without certificates",
     .operations = OP_CACERTS,
     .bundle = bundle_empty},
    {.name = "cacerts-no-root",
     .about = "cacerts with the issuing CA only",
     .operations = OP_CACERTS,
     .bundle = bundle_issuing_only},
    {.name = "cacerts-not-ca",
     .about = "cacerts with the server's certificate only",
     .operations = OP_CACERTS,
     .bundle = bundle_leaf_only},
    {.name = "cacerts-two-roots",
     .about = "cacerts with an unrelated root besides",
     .operations = OP_CACERTS,
     .bundle = bundle_second_root,
     .text = "Unrelated Root"},
    {.name = "cacerts-unrelated-root",
     .about = "cacerts with an unrelated root only",
     .operations = OP_CACERTS,
     .bundle = bundle_other_root,
     .number = LAB_YEAR - LAB_DAY,
     .text = "Unrelated Root"},
    {.name = "cacerts-expired-root",
     .about = "cacerts with a root that expired yesterday only",
     .operations = OP_CACERTS,
     .bundle = bundle_other_root,
     .number = -LAB_DAY,
     .text = "Expired Root"},
    {.name = "cms-no-certs",
     .about = "a certs-only CMS without certificates",
     .operations = OP_CERTS,
     .bundle = bundle_empty},
    {.name = "cms-with-content",
     .about = "a SignedData with certificates, no signer, and content",
     .operations = OP_CERTS,
     .body = body_with_content},
    {.name = "cms-signed",
     .about = "a SignedData with certificates, content and a signer",
     .operations = OP_CERTS,
     .body = body_signed,
     .text = "signed content"},
    {.name = "cms-enveloped",
     .about = "an EnvelopedData that the client cannot open",
     .operations = OP_CERTS,
     .body = body_enveloped},
    {.name = "not-cms",
     .about = "good base64 of DER that is no CMS",
     .operations = OP_CERTS,
     .body = body_not_cms,
     .text = "not a ContentInfo"},
    {.name = "cms-trailing-garbage",
     .about = "bytes after the CMS, inside the base64",
     .operations = OP_CERTS,
     .body = body_trailing,
     .text = "trailing garbage"},
    {.name = "cms-truncated",
     .about = "the CMS lacks its last 20 bytes",
     .operations = OP_CERTS,
     .body = body_truncated,
     .number = 20},
    {.name = "ber-indefinite",
     .about = "harmless: the CMS in BER with indefinite lengths",
     .operations = OP_CERTS,
     .body = body_indefinite},
    {.name = "bad-base64",
     .about = "a character that is not base64 in the middle",
     .operations = OP_ALL,
     .encode = encode_bad,
     .number = '!'},
    {.name = "base64-one-line",
     .about = "harmless: the base64 on one line",
     .operations = OP_ALL,
     .encode = encode_lines,
     .text = "",
     .number = 0},
    {.name = "base64-spaces",
     .about = "harmless: blanks and empty lines within the base64",
     .operations = OP_ALL,
     .encode = encode_lines,
     .text = " \t\r\n\r\n ",
     .number = 40},
    {.name = "base64-trailing-garbage",
     .about = "text after the base64",
     .operations = OP_ALL,
     .encode = encode_trailing,
     .text = "\r\n-- sent by a lab --\r\n"},
    {.name = "base64-padding-wrong",
     .about = "one '=' too many",
     .operations = OP_ALL,
     .encode = encode_trailing,
     .text = "="},
    {.name = "base64-unused-bits",
     .about = "a bit before the padding that should be zero (RFC 4648 3.5)",
     .operations = OP_ALL,
     .encode = encode_bits},
    {.name = "der-body",
     .about = "raw DER instead of base64, and no Content-Transfer-Encoding (RFC 8951 3.1 forbids it)",
     .operations = OP_ALL,
     .encode = encode_not},
    {.name = "pem-body", .about = "PEM lines around the base64", .operations = OP_ALL, .encode = encode_pem},
};

const struct misbehave_table misbehave_body = {rows, sizeof rows / sizeof *rows};
