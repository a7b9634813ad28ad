/*
 * RFC 7616 3.4: an answer to a Digest challenge, for the one case that curl has no setting for: it answers
 * the first challenge it reads, and a server may list MD5 before SHA-256.
 */
#include "http/challenge.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <string.h>

#define PARAMETER_SIZE 2048 /* longer ones are refused: a realm, nonce or opaque of no known server is */
#define HEX_SIZE       (2 * EVP_MAX_MD_SIZE + 1)

typedef struct digest {
    const EVP_MD *md;
    char algorithm[32], qop[128];
    bool session, has_algorithm, has_qop, has_opaque;
    char realm[PARAMETER_SIZE], nonce[PARAMETER_SIZE], opaque[PARAMETER_SIZE];
    char response[HEX_SIZE];
} digest;

/* H(a ":" b ...), in hexadecimal; the list ends with NULL */
static bool hash(const EVP_MD *md, char out[HEX_SIZE], ...)
{
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex2(ctx, md, NULL) == 1, first = true;
    va_list parts;
    va_start(parts, out);
    for (const char *part = va_arg(parts, const char *); ok && part != NULL;
         part = va_arg(parts, const char *)) {
        ok = (first || EVP_DigestUpdate(ctx, ":", 1) == 1) && EVP_DigestUpdate(ctx, part, strlen(part)) == 1;
        first = false;
    }
    va_end(parts);
    ok = ok && EVP_DigestFinal_ex(ctx, bytes, &len) == 1;
    EVP_MD_CTX_free(ctx);
    for (unsigned int i = 0; ok && i < len; i++) {
        out[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    out[ok ? 2 * len : 0] = '\0';
    OPENSSL_cleanse(bytes, sizeof(bytes)); /* of the password, once */
    return ok;
}

static bool read_challenge(const char *text, digest *d)
{
    d->has_algorithm = est_challenge_parameter(text, "algorithm", d->algorithm, sizeof(d->algorithm));
    d->has_qop = est_challenge_parameter(text, "qop", d->qop, sizeof(d->qop));
    d->has_opaque = est_challenge_parameter(text, "opaque", d->opaque, sizeof(d->opaque));
    size_t len = strlen(d->algorithm);
    d->session = len > 5 && est_text_equal_nocase(d->algorithm + len - 5, "-sess");
    bool sha256 = len >= 7 && (d->algorithm[0] == 'S' || d->algorithm[0] == 's');
    d->md = sha256 ? EVP_sha256() : EVP_md5();
    return est_challenge_parameter(text, "realm", d->realm, sizeof(d->realm)) &&
           est_challenge_parameter(text, "nonce", d->nonce, sizeof(d->nonce));
}

/* The request's path and query (RFC 7616 3.4.6); the URL has been validated. */
static const char *target(const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = strchr(host == NULL ? url : host + 3, '/');
    return path == NULL ? "/" : path;
}

static bool compute(digest *d, const est_digest_request *request)
{
    char a1[HEX_SIZE], a2[HEX_SIZE];
    bool ok = hash(d->md, a1, request->user, d->realm, request->password, (char *)NULL) &&
              (!d->session || hash(d->md, a1, a1, d->nonce, request->cnonce, (char *)NULL)) &&
              hash(d->md, a2, request->method, target(request->url), (char *)NULL);
    if (ok && d->has_qop)
        ok = hash(d->md, d->response, a1, d->nonce, "00000001", request->cnonce, "auth", a2, (char *)NULL);
    else if (ok)
        ok = hash(d->md, d->response, a1, d->nonce, a2, (char *)NULL); /* RFC 2069's form */
    OPENSSL_cleanse(a1, sizeof(a1));
    return ok;
}

static bool add(est_buf *out, const char *text)
{
    return est_buf_append(out, text, strlen(text)) == EST_APPEND_OK;
}

/* RFC 9110 5.6.4 */
static bool add_quoted(est_buf *out, const char *name, const char *value)
{
    bool ok = add(out, name) && add(out, "=\"");
    for (; ok && *value != '\0'; value++) {
        bool special = *value == '"' || *value == '\\';
        ok = (!special || add(out, "\\")) && est_buf_append(out, value, 1) == EST_APPEND_OK;
    }
    return ok && add(out, "\", ");
}

static bool write_answer(const digest *d, const est_digest_request *request, est_buf *out)
{
    bool ok = add(out, "Digest ") && add_quoted(out, "username", request->user) &&
              add_quoted(out, "realm", d->realm) && add_quoted(out, "nonce", d->nonce) &&
              add_quoted(out, "uri", target(request->url)) &&
              (!d->has_opaque || add_quoted(out, "opaque", d->opaque));
    if (ok && d->has_algorithm) /* RFC 7616 3.4: not quoted, as qop and nc */
        ok = add(out, "algorithm=") && add(out, d->algorithm) && add(out, ", ");
    if (ok && (d->has_qop || d->session))
        ok = add_quoted(out, "cnonce", request->cnonce);
    if (ok && d->has_qop)
        ok = add(out, "qop=auth, nc=00000001, ");
    return ok && add(out, "response=\"") && add(out, d->response) && add(out, "\"");
}

estuary_status est_digest_answer(const char *challenge, const est_digest_request *request, char **out,
                                 estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_buf answer = {.max = 64 * 1024};
    *out = NULL;
    digest *d = est_alloc(sizeof(*d));
    if (d == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    if (!read_challenge(challenge, d))
        EST_FAIL(EST_AUTH, "the server's Digest challenge has no usable realm and nonce");
    if (!compute(d, request))
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    *out = write_answer(d, request, &answer) ? est_strdup((const char *)answer.data) : NULL;
    if (*out == NULL)
        status = est_fail_memory(err);

cleanup:
    est_buf_free(&answer);
    est_free(d);
    return status;
}
