/* The lab's two certificate authorities: a root, which is the anchor, and the CA that issues. */
#include "lab.h"

#include <event2/buffer.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct urls ca_urls(const struct ca *ca, const char *issuer)
{
    struct urls urls;
    (void)snprintf(urls.aia, sizeof urls.aia, "OCSP;URI:%s/ocsp,caIssuers;URI:%s/%s%s.cer", ca->http_base,
                   ca->http_base, issuer, ca->generation);
    (void)snprintf(urls.cdp, sizeof urls.cdp, "URI:%s/crl/%s%s.crl", ca->http_base, issuer, ca->generation);
    return urls;
}

void ca_issuers(const struct ca *ca, struct issuer out[LAB_ISSUERS])
{
    const bool rolled = ca->old_root != NULL;
    out[0] = (struct issuer){rolled ? "root-new" : "root", ca->root, ca->root_key, &ca->root_ocsp};
    out[1] =
        (struct issuer){rolled ? "issuing-new" : "issuing", ca->issuing, ca->issuing_key, &ca->issuing_ocsp};
    out[2] = (struct issuer){rolled ? "root" : NULL, ca->old_root, ca->old_root_key, &ca->old_root_ocsp};
    out[3] = (struct issuer){rolled ? "issuing" : NULL, ca->old_issuing, ca->old_issuing_key,
                             &ca->old_issuing_ocsp};
}

typedef X509 *make_certificate(const struct ca *ca, EVP_PKEY *key);

static X509 *make_root(const struct ca *ca, EVP_PKEY *key)
{
    time_t now = time(NULL);
    const struct mint m = {
        .cn = "Estuary Lab Root CA",
        .key = key,
        .signer = key,
        .not_before = now - LAB_DAY,
        .not_after = now + 10 * LAB_YEAR,
        .basic = "critical,CA:TRUE",
        .key_usage = "critical,keyCertSign,cRLSign",
    };
    (void)ca;
    return mint_certificate(&m);
}

static X509 *make_issuing(const struct ca *ca, EVP_PKEY *key)
{
    const time_t now = time(NULL);
    const struct urls urls = ca_urls(ca, "root");
    const struct mint m = {
        .cn = *ca->generation == '\0' ? "Estuary Lab Issuing CA" : "Estuary Lab Issuing CA 2",
        .key = key,
        .issuer = ca->root,
        .signer = ca->root_key,
        .not_before = now - LAB_DAY,
        .not_after = now + 5 * LAB_YEAR,
        .basic = "critical,CA:TRUE,pathlen:0",
        .key_usage = "critical,digitalSignature,keyCertSign,cRLSign",
        .aia = urls.aia,
        .cdp = urls.cdp,
    };
    return mint_certificate(&m);
}

/* Not to be checked for revocation itself. RFC 6960 4.2.2.2.1 */
static bool add_nocheck(struct mint *m)
{
    ASN1_NULL *null = ASN1_NULL_new();
    const bool ok = null != NULL && mint_add_extension(m, X509V3_EXT_i2d(NID_id_pkix_OCSP_noCheck, 0, null));
    ASN1_NULL_free(null);
    return ok;
}

static X509 *make_delegate(const struct ca *ca, EVP_PKEY *key, const char *cn, bool by_root)
{
    const time_t now = time(NULL);
    X509 *certificate = NULL;
    struct mint m = {
        .cn = cn,
        .key = key,
        .issuer = by_root ? ca->root : ca->issuing,
        .signer = by_root ? ca->root_key : ca->issuing_key,
        .not_before = now - LAB_DAY,
        .not_after = now + 4 * LAB_YEAR,
        .basic = "critical,CA:FALSE",
        .key_usage = "critical,digitalSignature",
        .eku = "OCSPSigning",
    };
    if (add_nocheck(&m))
        certificate = mint_certificate(&m);
    mint_clear(&m);
    return certificate;
}

static X509 *make_root_ocsp(const struct ca *ca, EVP_PKEY *key)
{
    return make_delegate(ca, key, "Estuary Lab Root OCSP Responder", true);
}

static X509 *make_issuing_ocsp(const struct ca *ca, EVP_PKEY *key)
{
    return make_delegate(ca, key, "Estuary Lab OCSP Responder", false);
}

/* Reads NAME.key and NAME.pem, or makes both; the certificate last, so that a torn start is repeated. */
static bool open_pair(struct ca *ca, const char *name, const char *key_type, make_certificate *make,
                      EVP_PKEY **key, X509 **certificate)
{
    char file[32];
    (void)snprintf(file, sizeof file, "%s%s.key", name, ca->generation);
    char *key_path = path_join(ca->dir, file);
    (void)snprintf(file, sizeof file, "%s%s.pem", name, ca->generation);
    char *pem_path = path_join(ca->dir, file);
    bool ok = false;
    if (key_path == NULL || pem_path == NULL)
        goto cleanup;
    if (file_exists(pem_path)) {
        *key = file_read_key(key_path);
        *certificate = file_read_certificate(pem_path);
        ok = *key != NULL && *certificate != NULL && X509_check_private_key(*certificate, *key) == 1;
        goto cleanup;
    }
    *key = new_key(key_type);
    if (*key == NULL || (*certificate = make(ca, *key)) == NULL)
        goto cleanup;
    ok = file_write_key(key_path, *key) && file_write_certificate(pem_path, *certificate);
cleanup:
    free(key_path);
    free(pem_path);
    return ok;
}

bool ca_open_pairs(struct ca *ca, const char *key_type)
{
    return open_pair(ca, "root", key_type, make_root, &ca->root_key, &ca->root) &&
           open_pair(ca, "issuing", key_type, make_issuing, &ca->issuing_key, &ca->issuing) &&
           open_pair(ca, "ocsp-root", "ec", make_root_ocsp, &ca->root_ocsp.key, &ca->root_ocsp.certificate) &&
           open_pair(ca, "ocsp-issuing", "ec", make_issuing_ocsp, &ca->issuing_ocsp.key,
                     &ca->issuing_ocsp.certificate);
}

bool ca_open(struct ca *ca, const char *key_type)
{
    ca->generation = "";
    if (!ca_open_pairs(ca, key_type))
        return false;
    ca->anchors = path_join(ca->dir, "anchors.pem");
    return ca->anchors != NULL && file_write_certificate(ca->anchors, ca->root);
}

static void delegate_clear(struct delegate *delegate)
{
    EVP_PKEY_free(delegate->key);
    X509_free(delegate->certificate);
    *delegate = (struct delegate){0};
}

void ca_close(struct ca *ca)
{
    delegate_clear(&ca->root_ocsp);
    delegate_clear(&ca->issuing_ocsp);
    delegate_clear(&ca->old_root_ocsp);
    delegate_clear(&ca->old_issuing_ocsp);
    X509_free(ca->root);
    X509_free(ca->issuing);
    X509_free(ca->server);
    EVP_PKEY_free(ca->root_key);
    EVP_PKEY_free(ca->issuing_key);
    EVP_PKEY_free(ca->server_key);
    X509_free(ca->old_root);
    X509_free(ca->old_issuing);
    X509_free(ca->old_with_new);
    X509_free(ca->new_with_old);
    EVP_PKEY_free(ca->old_root_key);
    EVP_PKEY_free(ca->old_issuing_key);
    free(ca->new_anchors);
    free(ca->anchors);
    free(ca->http_base);
    free(ca->dir);
    if (ca->lock >= 0)
        (void)close(ca->lock);
}

bool ca_fingerprint(const X509 *certificate, char out[96])
{
    unsigned char digest[32];
    if (X509_digest(certificate, EVP_sha256(), digest, NULL) != 1)
        return false;
    hex_encode(digest, sizeof digest, "0123456789ABCDEF", ':', out);
    return true;
}

/* RFC 3339, so that the database sorts and reads without OpenSSL. */
static bool expiry_text(const X509 *certificate, char out[32])
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return false;
    return strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0;
}

static bool append_serial(const struct ca *ca, const X509 *certificate, const char *serial)
{
    char expiry[32];
    bool ok = false;
    struct evbuffer *line = evbuffer_new();
    char *path = path_join(ca->dir, "serials.jsonl");
    char *subject = X509_NAME_oneline(X509_get_subject_name(certificate), NULL, 0);
    if (line == NULL || path == NULL || subject == NULL || !expiry_text(certificate, expiry))
        goto cleanup;
    json_string(line, "serial", serial);
    json_string(line, "status", "valid");
    json_string(line, "expires", expiry);
    json_string(line, "subject", subject);
    (void)evbuffer_add(line, "}\n", 2);
    ok = file_append_line(path, evbuffer_pullup(line, -1), evbuffer_get_length(line));
cleanup:
    OPENSSL_free(subject);
    free(path);
    if (line != NULL)
        evbuffer_free(line);
    return ok;
}

bool ca_record(const struct ca *ca, X509 *certificate)
{
    bool ok = false;
    char *dir = path_join(ca->dir, "issued");
    char *path = NULL;
    char *serial = NULL;
    char name[80];
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    if (dir == NULL || number == NULL || !dir_create(dir))
        goto cleanup;
    serial = BN_bn2hex(number);
    if (serial == NULL || snprintf(name, sizeof name, "%s.pem", serial) >= (int)sizeof name)
        goto cleanup;
    path = path_join(dir, name);
    ok = path != NULL && file_write_certificate(path, certificate) && append_serial(ca, certificate, serial);
cleanup:
    BN_free(number);
    OPENSSL_free(serial);
    free(path);
    free(dir);
    return ok;
}
