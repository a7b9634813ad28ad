/* Misbehaviours of the OCSP responder. RFC 6960 */
#include "misbehave.h"
#include "revocation.h"

#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define HOUR 3600L

/* ---- the status of the whole response ---- */

bool lie_response_status(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    plan->response_status = (int)row->number;
    return true;
}

/* "successful" and nothing else: an answer nobody signed. */
static bool lie_no_bytes(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    plan->signer = NULL;
    return true;
}

/* ---- who signs ---- */

static bool sign_by(struct ocsp_plan *plan, struct mint *m)
{
    if (!lie_sign(&plan->own, m))
        return false;
    plan->signer = plan->own.certificate;
    plan->key = plan->own.key;
    return true;
}

/* What a delegate should be; the rows take something away. */
static struct mint delegate_of(const struct ocsp_plan *plan)
{
    return (struct mint){
        .cn = "Estuary Lab OCSP Stand-in",
        .issuer = plan->issuer.certificate,
        .signer = plan->issuer.key,
        .basic = "critical,CA:FALSE",
        .key_usage = "critical,digitalSignature",
        .eku = "OCSPSigning",
    };
}

bool lie_stranger(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    struct mint m = {.cn = row->text, .basic = "critical,CA:FALSE", .eku = "OCSPSigning"};
    (void)lab;
    return sign_by(plan, &m);
}

/* The responder's EKU is the row's text. */
static bool lie_eku(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    struct mint m = delegate_of(plan);
    (void)lab;
    m.eku = row->text;
    return sign_by(plan, &m);
}

/* Valid from number seconds from now, for an hour. */
static bool lie_signer_dates(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    struct mint m = delegate_of(plan);
    (void)lab;
    m.not_before = time(NULL) + row->number;
    m.not_after = m.not_before + HOUR;
    return sign_by(plan, &m);
}

/* A delegate of the root answers for what the issuing CA issued. */
static bool lie_other_ca(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)row;
    plan->signer = lab->ca.root_ocsp.certificate;
    plan->key = lab->ca.root_ocsp.key;
    return true;
}

/* The delegate's issuer has the right name and another key. */
static bool lie_namesake(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    struct mint m = delegate_of(plan);
    bool ok = false;
    (void)lab;
    (void)row;
    m.own_signer = new_key("ec");
    m.signer = m.own_signer;
    ok = m.signer != NULL && sign_by(plan, &m);
    mint_clear(&m);
    return ok;
}

/* Any holder of a certificate of this CA, such as a TLS server. */
static bool lie_leaf(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)row;
    plan->signer = lab->ca.server;
    plan->key = lab->ca.server_key;
    return true;
}

static bool lie_no_certificates(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    plan->flags |= OCSP_NOCERTS;
    return true;
}

static bool lie_by_key(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    plan->flags |= OCSP_RESPID_KEY;
    return true;
}

/* An RSA delegate of number bits, signing with MD5 if text says so. */
static bool lie_weak(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    struct mint m = delegate_of(plan);
    (void)lab;
    m.own_key = EVP_RSA_gen((unsigned)row->number);
    if (row->text != NULL)
        plan->digest = EVP_md5();
    return m.own_key != NULL && sign_by(plan, &m);
}

static bool lie_sha1(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    plan->digest = EVP_sha1();
    return true;
}

bool lie_signature(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    plan->corrupt = true;
    return true;
}

/* A delegate that must be checked itself, as it has no nocheck. It is kept, so that the lab knows it. */
static bool lie_checked_delegate(const struct lab *lab, struct ocsp_plan *plan,
                                 const struct misbehaviour *row)
{
    struct mint m = delegate_of(plan);
    const struct urls urls = ca_urls(&lab->ca, "issuing");
    char *path = path_join(lab->ca.dir, "ocsp-signer.pem");
    bool ok = false;
    m.aia = urls.aia;
    m.cdp = urls.cdp;
    ok = path != NULL && sign_by(plan, &m) && file_write_certificate(path, plan->signer);
    if (ok && row->number != 0)
        ok = revoke_certificate(lab->ca.dir, plan->signer, 1);
    free(path);
    return ok;
}

/* ---- about what ---- */

static bool new_id(struct ocsp_item *item, const X509 *named, const X509 *keyed, bool next)
{
    ASN1_OBJECT *algorithm = NULL;
    ASN1_INTEGER *serial = NULL;
    ASN1_INTEGER *other = NULL;
    BIGNUM *number = NULL;
    OCSP_CERTID *id = NULL;
    if (OCSP_id_get0_info(NULL, &algorithm, NULL, &serial, item->id) != 1 ||
        (number = ASN1_INTEGER_to_BN(serial, NULL)) == NULL || (next && BN_add_word(number, 1) != 1) ||
        (other = BN_to_ASN1_INTEGER(number, NULL)) == NULL)
        goto cleanup;
    id = OCSP_cert_id_new(EVP_get_digestbyobj(algorithm), X509_get_subject_name(named),
                          X509_get0_pubkey_bitstr(keyed), other);
    if (id != NULL) {
        OCSP_CERTID_free(item->id);
        item->id = id;
    }
cleanup:
    ASN1_INTEGER_free(other);
    BN_free(number);
    return id != NULL;
}

/* number: 1 another serial number, 2 another issuer's name, 4 another issuer's key. */
bool lie_serial(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    bool ok = true;
    for (size_t i = 0; ok && i < plan->item_count; i++)
        ok = new_id(&plan->items[i], (row->number & 2) != 0 ? lab->ca.root : plan->issuer.certificate,
                    (row->number & 4) != 0 ? lab->ca.root : plan->issuer.certificate, (row->number & 1) != 0);
    return ok;
}

static bool lie_silence(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    while (plan->item_count > 0)
        OCSP_CERTID_free(plan->items[--plan->item_count].id);
    return true;
}

/* An answer nobody asked for comes before the one that was asked for. */
static bool lie_more(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    struct ocsp_item *last = &plan->items[plan->item_count];
    (void)lab;
    (void)row;
    if (plan->item_count == 0 || plan->item_count == LAB_MAX_QUESTIONS)
        return true;
    *last = plan->items[0];
    last->id = OCSP_CERTID_dup(plan->items[0].id);
    if (last->id == NULL)
        return false;
    plan->item_count++;
    plan->items[0].status = V_OCSP_CERTSTATUS_REVOKED;
    plan->items[0].revoked_at = plan->this_update - HOUR;
    return new_id(&plan->items[0], plan->issuer.certificate, plan->issuer.certificate, true);
}

/* ---- what it says ---- */

bool lie_certificate_status(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    for (size_t i = 0; i < plan->item_count; i++) {
        plan->items[i].status = (int)row->number;
        plan->items[i].reason = NO_REASON;
        plan->items[i].revoked_at = plan->this_update - HOUR;
    }
    return true;
}

static bool lie_contradiction(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    plan->contradict = true;
    return true;
}

/* The extension of the response (number 0) or of each answer. */
static bool lie_extension(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    X509_EXTENSION **place = row->number == 0 ? &plan->extension : &plan->single_extension;
    (void)lab;
    *place = opaque_extension(true, 4);
    return *place != NULL;
}

/* ---- when ---- */

bool lie_stale(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    plan->this_update -= row->number;
    plan->produced_at = plan->this_update;
    plan->next_update = plan->this_update + HOUR;
    return true;
}

bool lie_future(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    plan->this_update += row->number;
    plan->produced_at = plan->this_update;
    plan->next_update = plan->this_update + HOUR;
    return true;
}

/* Without nextUpdate, and number seconds old. */
static bool lie_undated(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    plan->this_update -= row->number;
    plan->produced_at = plan->this_update;
    plan->next_update = 0;
    return true;
}

/* The date is number seconds off. */
static bool lie_produced_at(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    plan->produced_at += row->number;
    return true;
}

static bool lie_reversed(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    plan->next_update = plan->this_update - row->number;
    return true;
}

/* ---- the nonce ---- */

static bool lie_no_nonce(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    X509_EXTENSION_free(plan->nonce);
    plan->nonce = NULL;
    return true;
}

/* A well-formed one that nobody sent. RFC 8954 2.1 */
static bool lie_nonce(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    static const unsigned char nonce[34] = {4, 32, 'o', 't', 'h', 'e', 'r'};
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    bool ok = value != NULL && ASN1_OCTET_STRING_set(value, nonce, sizeof nonce) == 1;
    (void)lie_no_nonce(lab, plan, row);
    if (ok)
        plan->nonce = X509_EXTENSION_create_by_NID(NULL, NID_id_pkix_OCSP_Nonce, 0, value);
    ASN1_OCTET_STRING_free(value);
    return ok && plan->nonce != NULL;
}

/* Recorded yesterday, when all was well, and good for days. */
static bool lie_replay(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row)
{
    for (size_t i = 0; i < plan->item_count; i++)
        plan->items[i].status = V_OCSP_CERTSTATUS_GOOD;
    plan->this_update -= LAB_DAY;
    plan->produced_at = plan->this_update;
    plan->next_update = plan->this_update + 7 * LAB_DAY;
    return lie_nonce(lab, plan, row);
}

/* ---- bytes ---- */

/* id-pkix-ocsp-basic becomes another number of the same arc. RFC 6960 4.2.1 */
static bool lie_response_type(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    static const unsigned char basic[] = {6, 9, 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1};
    (void)ex;
    (void)row;
    for (size_t i = 0; i + sizeof basic <= der->len; i++) {
        if (memcmp(der->data + i, basic, sizeof basic) == 0) {
            der->data[i + sizeof basic - 1] = 0x7f;
            return true;
        }
    }
    return false;
}

#define OCSP     .operations = OP_OCSP
#define HTML     "<!DOCTYPE html><html><body>Please log in to use this network.</body></html>"
#define REVOKED  V_OCSP_CERTSTATUS_REVOKED
#define UNKNOWN  V_OCSP_CERTSTATUS_UNKNOWN
#define METADATA "http://169.254.169.254/latest/meta-data/"

static const struct misbehaviour rows[] = {
    {.name = "ocsp-malformed-request",
     .about = "OCSP: malformedRequest",
     OCSP,
     .ocsp = lie_response_status,
     .number = OCSP_RESPONSE_STATUS_MALFORMEDREQUEST},
    {.name = "ocsp-internal-error",
     .about = "OCSP: internalError",
     OCSP,
     .ocsp = lie_response_status,
     .number = OCSP_RESPONSE_STATUS_INTERNALERROR},
    {.name = "ocsp-try-later",
     .about = "OCSP: tryLater",
     OCSP,
     .ocsp = lie_response_status,
     .number = OCSP_RESPONSE_STATUS_TRYLATER},
    {.name = "ocsp-sig-required",
     .about = "OCSP: sigRequired",
     OCSP,
     .ocsp = lie_response_status,
     .number = OCSP_RESPONSE_STATUS_SIGREQUIRED},
    {.name = "ocsp-unauthorized",
     .about = "OCSP: unauthorized",
     OCSP,
     .ocsp = lie_response_status,
     .number = OCSP_RESPONSE_STATUS_UNAUTHORIZED},
    {.name = "ocsp-status-number",
     .about = "OCSP: a response status that does not exist",
     OCSP,
     .ocsp = lie_response_status,
     .number = 4},
    {.name = "ocsp-no-bytes", .about = "OCSP: successful, and nothing more", OCSP, .ocsp = lie_no_bytes},
    {.name = "ocsp-response-type",
     .about = "OCSP: a response type nobody knows",
     OCSP,
     .body = lie_response_type},

    {.name = "ocsp-wrong-signer",
     .about = "OCSP: signed by somebody who signed his own certificate",
     OCSP,
     .ocsp = lie_stranger,
     .text = "Somebody's Responder"},
    {.name = "ocsp-signer-namesake",
     .about = "OCSP: signed by a delegate of a CA with the issuer's name and another key",
     OCSP,
     .ocsp = lie_namesake},
    {.name = "ocsp-signer-of-other-ca",
     .about = "OCSP: signed by the delegate of another CA",
     OCSP,
     .ocsp = lie_other_ca},
    {.name = "ocsp-signer-no-eku",
     .about = "OCSP: the signer has no extended key usage",
     OCSP,
     .ocsp = lie_eku},
    {.name = "ocsp-signer-any-eku",
     .about = "OCSP: the signer has anyExtendedKeyUsage in place of OCSPSigning",
     OCSP,
     .ocsp = lie_eku,
     .text = "anyExtendedKeyUsage"},
    {.name = "ocsp-signer-leaf",
     .about = "OCSP: signed with the lab's own TLS certificate",
     OCSP,
     .ocsp = lie_leaf},
    {.name = "ocsp-signer-expired",
     .about = "OCSP: the signer's certificate expired yesterday",
     OCSP,
     .ocsp = lie_signer_dates,
     .number = -LAB_DAY},
    {.name = "ocsp-signer-early",
     .about = "OCSP: the signer's certificate is valid from tomorrow",
     OCSP,
     .ocsp = lie_signer_dates,
     .number = LAB_DAY},
    {.name = "ocsp-signer-missing",
     .about = "OCSP: signed by a delegate whose certificate is not sent along",
     OCSP,
     .ocsp = lie_no_certificates},
    {.name = "ocsp-signer-weak-key",
     .about = "OCSP: the signer has an RSA key of 1024 bits",
     OCSP,
     .ocsp = lie_weak,
     .number = 1024},
    {.name = "ocsp-signer-checked",
     .about = "harmless: OCSP: the signer lacks nocheck and is good itself, by the CRL",
     OCSP,
     .ocsp = lie_checked_delegate},
    {.name = "ocsp-signer-revoked",
     .about = "OCSP: the signer lacks nocheck and is revoked itself",
     OCSP,
     .ocsp = lie_checked_delegate,
     .number = 1},
    {.name = "ocsp-signer-by-key",
     .about = "harmless: OCSP: the signer is named by its key",
     OCSP,
     .ocsp = lie_by_key},
    {.name = "ocsp-bad-signature", .about = "OCSP: the signature is broken", OCSP, .ocsp = lie_signature},
    {.name = "ocsp-sha1", .about = "OCSP: signed with SHA-1", OCSP, .ocsp = lie_sha1},
    {.name = "ocsp-md5",
     .about = "OCSP: signed with MD5",
     OCSP,
     .ocsp = lie_weak,
     .number = 2048,
     .text = "md5"},

    {.name = "ocsp-wrong-serial",
     .about = "OCSP: about another serial number",
     OCSP,
     .ocsp = lie_serial,
     .number = 1},
    {.name = "ocsp-wrong-issuer-name",
     .about = "OCSP: about the same serial number of an issuer with another name",
     OCSP,
     .ocsp = lie_serial,
     .number = 2},
    {.name = "ocsp-wrong-issuer-key",
     .about = "OCSP: about the same serial number of an issuer with another key",
     OCSP,
     .ocsp = lie_serial,
     .number = 4},
    {.name = "ocsp-silent", .about = "OCSP: about no certificate at all", OCSP, .ocsp = lie_silence},
    {.name = "ocsp-more-answers",
     .about = "harmless: OCSP: says first that another certificate is revoked",
     OCSP,
     .ocsp = lie_more},
    {.name = "ocsp-unknown",
     .about = "OCSP: the certificate is unknown",
     OCSP,
     .ocsp = lie_certificate_status,
     .number = UNKNOWN},
    {.name = "ocsp-contradiction",
     .about = "OCSP: two answers for one certificate, good and revoked",
     OCSP,
     .ocsp = lie_contradiction},
    {.name = "ocsp-critical-extension",
     .about = "OCSP: a critical extension that nobody knows",
     OCSP,
     .ocsp = lie_extension},
    {.name = "ocsp-critical-single-extension",
     .about = "OCSP: a critical extension that nobody knows, of the answer",
     OCSP,
     .ocsp = lie_extension,
     .number = 1},

    {.name = "ocsp-stale",
     .about = "OCSP: nextUpdate was an hour ago",
     OCSP,
     .ocsp = lie_stale,
     .number = 2 * HOUR},
    {.name = "ocsp-future",
     .about = "OCSP: thisUpdate is an hour ahead",
     OCSP,
     .ocsp = lie_future,
     .number = HOUR},
    {.name = "ocsp-too-old",
     .about = "OCSP: thirty days old, without nextUpdate",
     OCSP,
     .ocsp = lie_undated,
     .number = 30 * LAB_DAY},
    {.name = "ocsp-no-next-update",
     .about = "harmless: OCSP: fresh, without nextUpdate",
     OCSP,
     .ocsp = lie_undated},
    {.name = "ocsp-reversed",
     .about = "OCSP: nextUpdate is an hour before thisUpdate",
     OCSP,
     .ocsp = lie_reversed,
     .number = HOUR},
    {.name = "ocsp-produced-before",
     .about = "OCSP: produced an hour before thisUpdate",
     OCSP,
     .ocsp = lie_produced_at,
     .number = -HOUR},
    {.name = "ocsp-produced-ahead",
     .about = "OCSP: produced an hour from now",
     OCSP,
     .ocsp = lie_produced_at,
     .number = HOUR},
    {.name = "ocsp-wrong-nonce", .about = "OCSP: another nonce than the request's", OCSP, .ocsp = lie_nonce},
    {.name = "ocsp-no-nonce",
     .about = "harmless: OCSP: no nonce, as RFC 8954 allows",
     OCSP,
     .ocsp = lie_no_nonce},
    {.name = "ocsp-replay",
     .about = "OCSP: yesterday's answer, when all was good, to another request",
     OCSP,
     .ocsp = lie_replay},

    {.name = "ocsp-garbage",
     .about = "OCSP: something that is no DER",
     OCSP,
     .body = lie_text,
     .text = "this is no OCSP response"},
    {.name = "ocsp-empty", .about = "OCSP: an empty body", OCSP, .body = lie_empty},
    {.name = "ocsp-html",
     .about = "OCSP: 200 and the page of a captive portal",
     OCSP,
     .body = lie_text,
     .finish = lie_type,
     .text = HTML},
    {.name = "ocsp-trailing",
     .about = "OCSP: an octet after the response",
     OCSP,
     .body = lie_trailing,
     .number = 1},
    {.name = "ocsp-truncated",
     .about = "OCSP: the last ten octets are missing",
     OCSP,
     .body = lie_truncated,
     .number = 10},
    {.name = "ocsp-content-type",
     .about = "OCSP: a good response is called text/html",
     OCSP,
     .finish = lie_type,
     .text = "text/html"},
    {.name = "ocsp-404", .about = "OCSP: 404", OCSP, .answer = lie_status, .number = 404},
    {.name = "ocsp-500", .about = "OCSP: 500", OCSP, .answer = lie_status, .number = 500},
    {.name = "ocsp-oversize",
     .about = "OCSP: a body of a megabyte",
     OCSP,
     .transmit = lie_oversize,
     .number = 1024L * 1024},
    {.name = "ocsp-endless", .about = "OCSP: chunks without end", OCSP, .transmit = lie_endless},
    {.name = "ocsp-half",
     .about = "OCSP: the connection ends after half of the response",
     OCSP,
     .transmit = lie_half},
    {.name = "ocsp-close",
     .about = "OCSP: the connection ends without an answer",
     OCSP,
     .transmit = lie_close},
    {.name = "ocsp-stall",
     .about = "OCSP: nothing comes after half of the response",
     OCSP,
     .transmit = lie_stall},
    {.name = "ocsp-drip", .about = "OCSP: a byte a second", OCSP, .transmit = lie_drip},
    {.name = "ocsp-redirect-link-local",
     .about = "OCSP: 302 to a link-local address",
     OCSP,
     .answer = lie_redirect,
     .text = METADATA},
    {.name = "ocsp-redirect-file",
     .about = "OCSP: 302 to a file: URL",
     OCSP,
     .answer = lie_redirect,
     .text = "file:///etc/passwd"},
    {.name = "ocsp-redirect-https",
     .about = "OCSP: 302 to the lab's TLS port, which has no OCSP",
     OCSP,
     .answer = lie_redirect_https},
    {.name = "ocsp-redirect-loop", .about = "OCSP: 302 to itself", OCSP, .answer = lie_redirect_loop},
    {.name = "ocsp-redirect-once",
     .about = "harmless: OCSP: 302 once, to where it answers",
     OCSP,
     .answer = lie_redirect_once},
};

const struct misbehave_table misbehave_ocsp = {rows, sizeof rows / sizeof *rows};

#define STAPLE .operations = OP_STAPLE

/* A status of the wrong certificate: the CA's own, by the root. */
static bool lie_other_certificate(const struct lab *lab, struct ocsp_plan *plan,
                                  const struct misbehaviour *row)
{
    (void)row;
    ocsp_plan_clear(plan);
    return ocsp_plan(lab, NULL, lab->ca.issuing, plan);
}

static const struct misbehaviour staple_rows[] = {
    {.name = "staple-wrong-certificate",
     .about = "staple: about another certificate",
     STAPLE,
     .ocsp = lie_other_certificate},
    {.name = "staple-wrong-serial",
     .about = "staple: about another serial number of the same CA",
     STAPLE,
     .ocsp = lie_serial,
     .number = 1},
    {.name = "staple-stale",
     .about = "staple: nextUpdate was an hour ago",
     STAPLE,
     .ocsp = lie_stale,
     .number = 2 * HOUR},
    {.name = "staple-future",
     .about = "staple: thisUpdate is an hour ahead",
     STAPLE,
     .ocsp = lie_future,
     .number = HOUR},
    {.name = "staple-garbage",
     .about = "staple: something that is no DER",
     STAPLE,
     .body = lie_text,
     .text = "this is no OCSP response"},
    {.name = "staple-trailing",
     .about = "staple: an octet after the response",
     STAPLE,
     .body = lie_trailing,
     .number = 1},
    {.name = "staple-try-later",
     .about = "staple: tryLater",
     STAPLE,
     .ocsp = lie_response_status,
     .number = OCSP_RESPONSE_STATUS_TRYLATER},
    {.name = "staple-revoked",
     .about = "staple: the certificate is revoked",
     STAPLE,
     .ocsp = lie_certificate_status,
     .number = REVOKED},
    {.name = "staple-unknown",
     .about = "staple: the certificate is unknown",
     STAPLE,
     .ocsp = lie_certificate_status,
     .number = UNKNOWN},
    {.name = "staple-missing",
     .about = "staple: none, whatever the certificate promised",
     STAPLE,
     .body = lie_empty},
    {.name = "staple-wrong-signer",
     .about = "staple: signed by somebody who signed his own certificate",
     STAPLE,
     .ocsp = lie_stranger,
     .text = "Somebody's Responder"},
    {.name = "staple-bad-signature",
     .about = "staple: the signature is broken",
     STAPLE,
     .ocsp = lie_signature},
};

const struct misbehave_table misbehave_staple = {staple_rows, sizeof staple_rows / sizeof *staple_rows};
