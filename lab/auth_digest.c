/* RFC 7616: MD5 and SHA-256, qop=auth, nonces that age and count. */
#include "lab.h"

#include <ctype.h>
#include <event2/http.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NONCES        256
#define NONCE_SECONDS 300
#define HEX_DIGEST    65

struct nonce {
    char text[33];
    time_t made;
    unsigned long count; /* the highest nc seen */
};

struct nonces {
    struct nonce ring[NONCES];
    size_t next;
};

struct digest_fields {
    char username[128];
    char realm[64];
    char nonce[64];
    char uri[1024];
    char response[HEX_DIGEST];
    char algorithm[16];
    char cnonce[128];
    char qop[16];
    char nc[16];
};

struct nonces *nonces_new(void)
{
    return calloc(1, sizeof(struct nonces));
}

void nonces_free(struct nonces *n)
{
    free(n);
}

const char *nonces_issue(struct nonces *n)
{
    unsigned char raw[16];
    struct nonce *fresh = &n->ring[n->next];
    if (RAND_bytes(raw, sizeof raw) != 1)
        return NULL;
    n->next = (n->next + 1) % NONCES;
    hex_encode(raw, sizeof raw, "0123456789abcdef", 0, fresh->text);
    fresh->made = time(NULL);
    fresh->count = 0;
    return fresh->text;
}

/* True once for each nc of a nonce that is ours and young. */
static bool nonce_spend(struct nonces *n, const char *text, const char *nc)
{
    char *end = NULL;
    unsigned long count = strtoul(nc, &end, 16);
    if (strlen(nc) != 8 || *end != '\0')
        return false;
    for (size_t i = 0; i < NONCES; i++) {
        struct nonce *nonce = &n->ring[i];
        if (nonce->text[0] == '\0' || strcmp(nonce->text, text) != 0)
            continue;
        if (time(NULL) - nonce->made > NONCE_SECONDS || count <= nonce->count)
            return false;
        nonce->count = count;
        return true;
    }
    return false;
}

static char *field_named(struct digest_fields *f, const char *name, size_t len, size_t *size)
{
    const struct {
        const char *name;
        char *at;
        size_t size;
    } known[] = {
        {"username", f->username, sizeof f->username},
        {"realm", f->realm, sizeof f->realm},
        {"nonce", f->nonce, sizeof f->nonce},
        {"uri", f->uri, sizeof f->uri},
        {"response", f->response, sizeof f->response},
        {"algorithm", f->algorithm, sizeof f->algorithm},
        {"cnonce", f->cnonce, sizeof f->cnonce},
        {"qop", f->qop, sizeof f->qop},
        {"nc", f->nc, sizeof f->nc},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i].name) == len && strncasecmp(known[i].name, name, len) == 0) {
            *size = known[i].size;
            return known[i].at;
        }
    }
    return NULL;
}

/* Copies a token or quoted string; returns where it ends, NULL when it is malformed or too long. */
static const char *copy_value(const char *p, char *out, size_t size)
{
    const bool quoted = *p == '"';
    size_t len = 0;
    if (quoted)
        p++;
    while (*p != '\0' && (quoted ? *p != '"' : *p != ',' && *p != ' ')) {
        if (quoted && *p == '\\' && p[1] != '\0')
            p++;
        if (out != NULL && len + 1 >= size)
            return NULL;
        if (out != NULL)
            out[len++] = *p;
        p++;
    }
    if (out != NULL)
        out[len] = '\0';
    if (quoted)
        return *p == '"' ? p + 1 : NULL;
    return p;
}

static bool parse_fields(const char *p, struct digest_fields *f)
{
    for (;;) {
        p += strspn(p, " \t,");
        if (*p == '\0')
            return true;
        size_t len = strcspn(p, "= ,");
        size_t size = 0;
        if (p[len] != '=')
            return false;
        char *out = field_named(f, p, len, &size);
        p = copy_value(p + len + 1, out, size);
        if (p == NULL)
            return false;
    }
}

/* H(a ":" b ":" …) in lower-case hex. */
static bool hash_joined(const EVP_MD *md, const char *const *parts, size_t count, char out[HEX_DIGEST])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, md, NULL) == 1;
    for (size_t i = 0; ok && i < count; i++)
        ok = (i == 0 || EVP_DigestUpdate(ctx, ":", 1) == 1) &&
             EVP_DigestUpdate(ctx, parts[i], strlen(parts[i])) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, digest, &len) == 1;
    EVP_MD_CTX_free(ctx);
    if (ok)
        hex_encode(digest, len, "0123456789abcdef", 0, out);
    return ok;
}

static bool response_fits(const struct digest_fields *f, const struct user *user, const EVP_MD *md,
                          const char *method)
{
    char a1[HEX_DIGEST];
    char a2[HEX_DIGEST];
    char expected[HEX_DIGEST];
    const char *const who[] = {f->username, f->realm, user->password};
    const char *const what[] = {method, f->uri};
    const char *const all[] = {a1, f->nonce, f->nc, f->cnonce, f->qop, a2};
    bool fits = hash_joined(md, who, 3, a1) && hash_joined(md, what, 2, a2) &&
                hash_joined(md, all, 6, expected) && strlen(f->response) == strlen(expected) &&
                CRYPTO_memcmp(f->response, expected, strlen(expected)) == 0;
    OPENSSL_cleanse(a1, sizeof a1);
    return fits && strcmp(f->username, user->name) == 0;
}

static const EVP_MD *offered_algorithm(const struct lab *lab, const char *name)
{
    const unsigned offered = lab->options.auth;
    if ((offered & AUTH_DIGEST_SHA256) != 0 && strcasecmp(name, "SHA-256") == 0)
        return EVP_sha256();
    if ((offered & (AUTH_DIGEST_MD5 | AUTH_DIGEST_WEAK_FIRST)) == AUTH_DIGEST_MD5 &&
        (*name == '\0' || strcasecmp(name, "MD5") == 0))
        return EVP_md5();
    return NULL;
}

const struct user *auth_digest(struct exchange *ex, const char *credentials, bool *stale)
{
    struct digest_fields f = {0};
    struct lab *lab = ex->lab;
    const struct user *found = NULL;
    const char *method = evhttp_request_get_command(ex->req) == EVHTTP_REQ_POST ? "POST" : "GET";
    if (!parse_fields(credentials, &f) || strcmp(f.realm, "estuary-lab") != 0 || strcmp(f.qop, "auth") != 0 ||
        strcmp(f.uri, evhttp_request_get_uri(ex->req)) != 0)
        return NULL;
    const EVP_MD *md = offered_algorithm(lab, f.algorithm);
    for (size_t i = 0; md != NULL && i < lab->options.user_count; i++) {
        if (response_fits(&f, &lab->options.users[i], md, method))
            found = &lab->options.users[i];
    }
    if (found == NULL)
        return NULL;
    /* Right password, spent nonce: the client may repeat without asking its user. RFC 7616 3.3 */
    *stale = !nonce_spend(lab->nonces, f.nonce, f.nc);
    return *stale ? NULL : found;
}
