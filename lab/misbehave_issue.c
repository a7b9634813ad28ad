/* Misbehaviours of a certificate's content; the rows here spoil the issued one. RFC 7030 4.2.3 */
#include "misbehave.h"
#include "revocation.h"

#include <openssl/x509v3.h>
#include <stdlib.h>

#define HUGE_EXTENSION (1024 * 1024)

/* number: seconds from now, ahead for a beginning, back for an end. */
bool bend_validity(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    const time_t now = time(NULL);
    (void)ex;
    if (row->number > 0) { /* begins then */
        m->not_before = now + row->number;
        m->not_after = m->not_before + LAB_YEAR;
    } else { /* ended then */
        m->not_after = now + row->number;
        m->not_before = m->not_after - LAB_DAY;
    }
    return true;
}

static bool bend_short(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    m->not_before = time(NULL);
    m->not_after = m->not_before + row->number;
    return true;
}

static bool bend_reversed(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    const time_t before = m->not_before;
    (void)ex;
    (void)row;
    m->not_before = m->not_after;
    m->not_after = before;
    return true;
}

bool bend_san(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    mint_drop_extension(m, NID_subject_alt_name);
    m->san = row->text;
    return true;
}

static bool bend_extra_san(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    bool ok = false;
    X509_EXTENSION *asked = csr_extension(ex->csr, NID_subject_alt_name);
    GENERAL_NAMES *names = asked == NULL ? sk_GENERAL_NAME_new_null() : X509V3_EXT_d2i(asked);
    GENERAL_NAME *extra = a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_DNS, row->text, 0);
    if (names == NULL || extra == NULL || sk_GENERAL_NAME_push(names, extra) <= 0)
        goto cleanup;
    extra = NULL;
    mint_drop_extension(m, NID_subject_alt_name);
    ok = mint_add_extension(m, X509V3_EXT_i2d(NID_subject_alt_name, 0, names));
cleanup:
    GENERAL_NAME_free(extra);
    GENERAL_NAMES_free(names);
    X509_EXTENSION_free(asked);
    return ok;
}

static bool bend_subject(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    m->subject = NULL;
    m->cn = row->text;
    return true;
}

bool bend_eku(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    mint_drop_extension(m, NID_ext_key_usage);
    m->eku = row->text;
    return true;
}

static bool bend_ca(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    mint_drop_extension(m, NID_key_usage);
    m->basic = "critical,CA:TRUE";
    m->key_usage = "critical,digitalSignature,keyCertSign,cRLSign";
    return true;
}

X509 *rogue_root(const char *cn, time_t not_after, EVP_PKEY **key)
{
    *key = new_key("ec");
    const struct mint m = {
        .cn = cn,
        .key = *key,
        .signer = *key,
        .not_before = not_after - LAB_YEAR,
        .not_after = not_after,
        .basic = "critical,CA:TRUE",
        .key_usage = "critical,keyCertSign,cRLSign",
    };
    return *key == NULL ? NULL : mint_certificate(&m);
}

bool bend_issuer(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    m->own_issuer = rogue_root(row->text, time(NULL) + LAB_YEAR - LAB_DAY, &m->own_signer);
    m->issuer = m->own_issuer;
    m->signer = m->own_signer;
    return m->issuer != NULL;
}

bool bend_signature(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    m->corrupt_signature = true;
    return true;
}

bool bend_sha1(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    m->digest = EVP_sha1();
    return true;
}

static bool bend_serial(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    m->negative_serial = true;
    return true;
}

static bool bend_key(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    m->own_key = new_key("ec");
    m->key = m->own_key;
    return m->key != NULL;
}

static bool bend_old_key(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)row;
    m->key = X509_get0_pubkey(ex->client); /* simplereenroll has made sure there is one */
    return m->key != NULL;
}

/* An extension under an OID of ours that nobody knows. */
X509_EXTENSION *opaque_extension(bool critical, size_t size)
{
    X509_EXTENSION *extension = NULL;
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.32473.1", 1); /* RFC 5612: an arc for examples */
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    unsigned char *filler = calloc(1, size);
    if (oid != NULL && value != NULL && filler != NULL &&
        ASN1_OCTET_STRING_set(value, filler, (int)size) == 1)
        extension = X509_EXTENSION_create_by_OBJ(NULL, oid, critical, value);
    free(filler);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(oid);
    return extension;
}

static bool bend_huge(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    return mint_add_extension(m, opaque_extension(false, (size_t)row->number));
}

/* text: what authorityInfoAccess holds instead, without a distribution point. */
static bool bend_sources(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    m->aia = row->text;
    m->cdp = NULL;
    return true;
}

static bool revoke_issued(struct exchange *ex, STACK_OF(X509) *certificates, const struct misbehaviour *row)
{
    return revoke_certificate(ex->lab->options.dir, sk_X509_value(certificates, 0), (int)row->number);
}

static const struct misbehaviour rows[] = {
    {.name = "wrong-key",
     .about = "the issued certificate is for a key nobody asked about",
     .operations = OP_ISSUE,
     .bend = bend_key},
    {.name = "issued-same-as-old-key",
     .about = "simplereenroll certifies the old key again instead of the request's",
     .operations = OP_SIMPLEREENROLL,
     .bend = bend_old_key},
    {.name = "wrong-subject",
     .about = "the issued certificate names somebody else",
     .operations = OP_ISSUE,
     .bend = bend_subject,
     .text = "somebody-else"},
    {.name = "missing-san",
     .about = "the issued certificate lacks the SubjectAltName asked for",
     .operations = OP_ISSUE,
     .bend = bend_san},
    {.name = "extra-san",
     .about = "the issued certificate has a DNS name nobody asked for",
     .operations = OP_ISSUE,
     .bend = bend_extra_san,
     .text = "extra.example"},
    {.name = "issued-expired",
     .about = "the issued certificate expired yesterday",
     .operations = OP_ISSUE,
     .bend = bend_validity,
     .number = -LAB_DAY},
    {.name = "issued-not-yet-valid",
     .about = "the issued certificate begins in two days",
     .operations = OP_ISSUE,
     .bend = bend_validity,
     .number = 2 * LAB_DAY},
    {.name = "issued-short",
     .about = "the issued certificate is valid for one second",
     .operations = OP_ISSUE,
     .bend = bend_short,
     .number = 1},
    {.name = "issued-reversed-validity",
     .about = "the issued certificate ends before it begins",
     .operations = OP_ISSUE,
     .bend = bend_reversed},
    {.name = "issued-ca",
     .about = "the issued certificate is a CA's",
     .operations = OP_ISSUE,
     .bend = bend_ca},
    {.name = "issued-wrong-eku",
     .about = "the issued certificate is good for code signing only",
     .operations = OP_ISSUE,
     .bend = bend_eku,
     .text = "codeSigning"},
    {.name = "issued-unknown-issuer",
     .about = "the issued certificate is signed by a CA nobody knows",
     .operations = OP_ISSUE,
     .bend = bend_issuer,
     .text = "Somebody's CA"},
    {.name = "issued-bad-signature",
     .about = "the issued certificate's signature is spoilt",
     .operations = OP_ISSUE,
     .bend = bend_signature},
    {.name = "issued-sha1",
     .about = "the issued certificate is signed with SHA-1",
     .operations = OP_ISSUE,
     .bend = bend_sha1},
    {.name = "issued-negative-serial",
     .about = "the issued certificate has a negative serial number",
     .operations = OP_ISSUE,
     .bend = bend_serial},
    {.name = "issued-revoked",
     .about = "the issued certificate is revoked before it is sent",
     .operations = OP_ISSUE,
     .bundle = revoke_issued,
     .number = CRL_REASON_KEY_COMPROMISE},
    {.name = "issued-no-sources",
     .about = "harmless: the issued certificate names neither OCSP responder nor CRL",
     .operations = OP_ISSUE,
     .bend = bend_sources},
    {.name = "issued-only-ca-issuers",
     .about =
         "harmless: the issued certificate's authorityInfoAccess says only where the CA's certificate is",
     .operations = OP_ISSUE,
     .bend = bend_sources,
     .text = "caIssuers;URI:http://127.0.0.1/ca.cer"},
    {.name = "huge-cert",
     .about = "the issued certificate carries an extension of 1 MiB",
     .operations = OP_ISSUE,
     .bend = bend_huge,
     .number = HUGE_EXTENSION},
};

const struct misbehave_table misbehave_issue = {rows, sizeof rows / sizeof *rows};
