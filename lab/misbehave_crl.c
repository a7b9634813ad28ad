/* Misbehaviours of the CRL publisher. RFC 5280 5 */
#include "misbehave.h"
#include "revocation.h"

#include <openssl/pem.h>
#include <stdlib.h>

#define HOUR 3600L

/* ---- who signs ---- */

static char *own_path(const struct lab *lab, const char *name, const char *suffix)
{
    char file[64];
    (void)snprintf(file, sizeof file, "%s%s", name, suffix);
    return path_join(lab->ca.dir, file);
}

static bool make_signer(const struct lab *lab, struct crl_plan *plan, const char *key_usage)
{
    const struct urls urls = ca_urls(&lab->ca, "root");
    struct mint m = {
        .subject = X509_get_subject_name(plan->issuer.certificate),
        .aia = urls.aia,
        .cdp = urls.cdp,
        .issuer = lab->ca.root,
        .signer = lab->ca.root_key,
        .basic = "critical,CA:TRUE",
        .key_usage = key_usage,
    };
    return lie_sign(&plan->own, &m);
}

/*
 * Another key under the CA's own name, certified by the root, with the key usage of the row's text. Its
 * certificate lies in DIR under the row's name, for clients that are told of it.
 */
static bool lie_new_key(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    /* nobody certifies a root, so its list stays its own: it speaks about the new key's certificate */
    if (X509_NAME_cmp(X509_get_subject_name(plan->issuer.certificate), X509_get_subject_name(lab->ca.root)) ==
        0)
        return true;
    char *key_path = own_path(lab, row->name, ".key");
    char *pem_path = own_path(lab, row->name, ".pem");
    bool ok = false;
    if (key_path == NULL || pem_path == NULL)
        goto cleanup;
    if (file_exists(pem_path)) {
        plan->own.key = file_read_key(key_path);
        plan->own.certificate = file_read_certificate(pem_path);
        ok = plan->own.key != NULL && plan->own.certificate != NULL;
    } else {
        ok = make_signer(lab, plan, row->text) && file_write_key(key_path, plan->own.key) &&
             file_write_certificate(pem_path, plan->own.certificate);
    }
    plan->signer = plan->own.certificate;
    plan->key = plan->own.key;
cleanup:
    free(key_path);
    free(pem_path);
    return ok;
}

/* It names the CA's key and was made with another. */
static bool lie_other_key(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    plan->own.key = new_key("ec");
    plan->key = plan->own.key;
    return plan->key != NULL;
}

/* Under a name of its own. */
static bool lie_stranger_ca(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    struct mint m = {
        .cn = row->text, .basic = "critical,CA:TRUE", .key_usage = "critical,keyCertSign,cRLSign"};
    (void)lab;
    if (!lie_sign(&plan->own, &m))
        return false;
    plan->signer = plan->own.certificate;
    plan->key = plan->own.key;
    plan->name = X509_get_subject_name(plan->own.certificate);
    return true;
}

/* The root's name on what the issuing CA signed. */
static bool lie_name(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    (void)row;
    plan->name = X509_get_subject_name(lab->ca.root);
    return true;
}

static bool lie_sha1(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    plan->digest = EVP_sha1();
    return true;
}

static bool lie_broken(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    plan->corrupt = true;
    return true;
}

/* ---- when ---- */

/* From number seconds ago, for an hour. */
static bool lie_dates(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    plan->this_update -= row->number;
    plan->next_update = plan->this_update + HOUR;
    return true;
}

static bool lie_undated(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    plan->this_update -= row->number;
    plan->next_update = 0;
    return true;
}

static bool lie_reversed(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    plan->next_update = plan->this_update - row->number;
    return true;
}

/* ---- extensions ---- */

static bool lie_extension(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    X509_EXTENSION **place = row->number == 0 ? &plan->extension : &plan->entry_extension;
    (void)lab;
    *place = opaque_extension(true, 4);
    return *place != NULL;
}

/* IssuingDistributionPoint as in the row's text. RFC 5280 5.2.5 */
static bool lie_idp(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    plan->idp = row->text;
    return true;
}

/* A delta CRL where the complete one should be: its base is itself. */
static bool lie_delta_only(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    plan->base = plan->number;
    plan->freshest = NULL;
    return true;
}

/* ---- lies of the delta CRL only; the complete CRL stays honest ---- */

static bool lie_delta_base(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    if (plan->base != 0) {
        plan->base += row->number;
        plan->number = plan->base + 1;
    }
    return true;
}

static bool lie_delta_issuer(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    return plan->base == 0 || lie_stranger_ca(lab, plan, row);
}

static bool lie_delta_broken(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    return plan->base == 0 || lie_broken(lab, plan, row);
}

/* Both are hours old, and the delta is the one that has ended. */
static bool lie_delta_stale(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    if (plan->base == 0) {
        plan->this_update -= row->number + HOUR;
        return true;
    }
    plan->number++;
    return lie_dates(lab, plan, row);
}

/* A later number than the complete CRL's, and an earlier date. */
static bool lie_delta_earlier(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    (void)lab;
    if (plan->base != 0) {
        plan->number++;
        plan->this_update -= row->number;
    }
    return true;
}

static bool lie_delta_extension(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row)
{
    return plan->base == 0 || lie_extension(lab, plan, row);
}

/* ---- bytes ---- */

static bool lie_pem(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio != NULL && PEM_write_bio(bio, "X509 CRL", "", der->data, (long)der->len) > 0;
    const long len = ok ? BIO_get_mem_data(bio, &text) : 0;
    (void)ex;
    (void)row;
    ok = ok && len > 0 && bytes_set(der, text, (size_t)len);
    BIO_free(bio);
    return ok;
}

#define CRL      .operations = OP_CRL
#define HTML     "<!DOCTYPE html><html><body>Please log in to use this network.</body></html>"
#define METADATA "http://169.254.169.254/latest/meta-data/"

static const struct misbehaviour rows[] = {
    {.name = "crl-wrong-signer",
     .about = "CRL: the CA's name, signed with another key",
     CRL,
     .crl = lie_other_key},
    {.name = "crl-wrong-issuer",
     .about = "CRL: somebody else's",
     CRL,
     .crl = lie_stranger_ca,
     .text = "Somebody's CA"},
    {.name = "crl-wrong-name", .about = "CRL: signed by the CA under the root's name", CRL, .crl = lie_name},
    {.name = "crl-no-crlsign",
     .about = "CRL: signed with a key of the CA that may not sign CRLs",
     CRL,
     .crl = lie_new_key,
     .text = "critical,keyCertSign"},
    {.name = "crl-new-key",
     .about = "harmless: CRL: signed with a new key of the CA, for who knows it",
     CRL,
     .crl = lie_new_key,
     .text = "critical,cRLSign"},
    {.name = "crl-bad-signature", .about = "CRL: the signature is broken", CRL, .crl = lie_broken},
    {.name = "crl-sha1", .about = "CRL: signed with SHA-1", CRL, .crl = lie_sha1},
    {.name = "crl-stale",
     .about = "CRL: nextUpdate was an hour ago",
     CRL,
     .crl = lie_dates,
     .number = 2 * HOUR},
    {.name = "crl-future",
     .about = "CRL: thisUpdate is an hour ahead",
     CRL,
     .crl = lie_dates,
     .number = -HOUR},
    {.name = "crl-too-old",
     .about = "CRL: thirty days old, without nextUpdate",
     CRL,
     .crl = lie_undated,
     .number = 30 * LAB_DAY},
    {.name = "crl-reversed",
     .about = "CRL: nextUpdate is an hour before thisUpdate",
     CRL,
     .crl = lie_reversed,
     .number = HOUR},
    {.name = "crl-critical-extension",
     .about = "CRL: a critical extension that nobody knows",
     CRL,
     .crl = lie_extension},
    {.name = "crl-critical-entry-extension",
     .about = "CRL: a critical extension that nobody knows, of an entry about another certificate",
     CRL,
     .crl = lie_extension,
     .number = 1},
    {.name = "crl-other-point",
     .about = "CRL: of another distribution point",
     CRL,
     .crl = lie_idp,
     .text = "critical,fullname:URI:http://127.0.0.1/other.crl"},
    {.name = "crl-only-ca",
     .about = "CRL: about CA certificates only",
     CRL,
     .crl = lie_idp,
     .text = "critical,onlyCA:TRUE"},
    {.name = "crl-only-attributes",
     .about = "CRL: about attribute certificates only",
     CRL,
     .crl = lie_idp,
     .text = "critical,onlyAA:TRUE"},
    {.name = "crl-some-reasons",
     .about = "CRL: about compromised keys only",
     CRL,
     .crl = lie_idp,
     .text = "critical,onlysomereasons:keyCompromise"},
    {.name = "crl-delta-only",
     .about = "CRL: a delta CRL in place of the complete one",
     CRL,
     .crl = lie_delta_only},
    {.name = "crl-delta-later-base",
     .about = "delta CRL: its base is a later CRL than the one published",
     CRL,
     .crl = lie_delta_base,
     .number = 100000},
    {.name = "crl-delta-wrong-issuer",
     .about = "delta CRL: somebody else's",
     CRL,
     .crl = lie_delta_issuer,
     .text = "Somebody's CA"},
    {.name = "crl-delta-bad-signature",
     .about = "delta CRL: the signature is broken",
     CRL,
     .crl = lie_delta_broken},
    {.name = "crl-delta-stale",
     .about = "delta CRL: nextUpdate was an hour ago",
     CRL,
     .crl = lie_delta_stale,
     .number = 2 * HOUR},
    {.name = "crl-delta-earlier",
     .about = "delta CRL: a later number than the complete CRL's, and an earlier date",
     CRL,
     .crl = lie_delta_earlier,
     .number = HOUR},
    {.name = "crl-delta-critical-extension",
     .about = "delta CRL: a critical extension that nobody knows",
     CRL,
     .crl = lie_delta_extension},

    {.name = "crl-garbage",
     .about = "CRL: something that is no DER",
     CRL,
     .body = lie_text,
     .text = "this is no certificate revocation list"},
    {.name = "crl-empty", .about = "CRL: an empty body", CRL, .body = lie_empty},
    {.name = "crl-html",
     .about = "CRL: 200 and the page of a captive portal",
     CRL,
     .body = lie_text,
     .finish = lie_type,
     .text = HTML},
    {.name = "crl-pem", .about = "harmless: CRL: in PEM", CRL, .body = lie_pem},
    {.name = "crl-content-type",
     .about = "harmless: CRL: called text/plain, as many servers do",
     CRL,
     .finish = lie_type,
     .text = "text/plain"},
    {.name = "crl-trailing", .about = "CRL: an octet after the list", CRL, .body = lie_trailing, .number = 1},
    {.name = "crl-truncated",
     .about = "CRL: the last ten octets are missing",
     CRL,
     .body = lie_truncated,
     .number = 10},
    {.name = "crl-length", .about = "CRL: says it has nearly 4 GiB", CRL, .body = lie_length},
    {.name = "crl-404", .about = "CRL: 404", CRL, .answer = lie_status, .number = 404},
    {.name = "crl-500", .about = "CRL: 500", CRL, .answer = lie_status, .number = 500},
    {.name = "crl-304",
     .about = "CRL: 304 though nothing was conditional",
     CRL,
     .answer = lie_status,
     .number = 304},
    {.name = "crl-oversize",
     .about = "CRL: a terabyte is announced",
     CRL,
     .transmit = lie_oversize,
     .number = 1024L * 1024 * 1024 * 1024},
    {.name = "crl-endless", .about = "CRL: chunks without end after the list", CRL, .transmit = lie_endless},
    {.name = "crl-half",
     .about = "CRL: the connection ends after half of the list",
     CRL,
     .transmit = lie_half},
    {.name = "crl-close", .about = "CRL: the connection ends without an answer", CRL, .transmit = lie_close},
    {.name = "crl-stall", .about = "CRL: nothing comes after half of the list", CRL, .transmit = lie_stall},
    {.name = "crl-redirect-link-local",
     .about = "CRL: 302 to a link-local address",
     CRL,
     .answer = lie_redirect,
     .text = METADATA},
    {.name = "crl-redirect-file",
     .about = "CRL: 302 to a file: URL",
     CRL,
     .answer = lie_redirect,
     .text = "file:///etc/passwd"},
    {.name = "crl-redirect-loop", .about = "CRL: 302 to itself", CRL, .answer = lie_redirect_loop},
    {.name = "crl-redirect-once",
     .about = "harmless: CRL: 302 once, to where it is",
     CRL,
     .answer = lie_redirect_once},
};

const struct misbehave_table misbehave_crl = {rows, sizeof rows / sizeof *rows};
