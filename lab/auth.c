/* HTTP authentication: which schemes are offered, and who proved to be whom. RFC 7030 3.2.3 */
#include "lab.h"

#include <event2/http.h>
#include <string.h>
#include <strings.h>

bool auth_check(struct exchange *ex, bool *stale)
{
    const struct user *user = NULL;
    const unsigned offered = ex->lab->options.auth;
    const char *value = evhttp_find_header(evhttp_request_get_input_headers(ex->req), "Authorization");
    if (value == NULL)
        return false;
    if ((offered & AUTH_BASIC) != 0 && strncasecmp(value, "Basic ", 6) == 0)
        user = auth_basic(ex->lab, value + 6);
    else if ((offered & (AUTH_DIGEST_MD5 | AUTH_DIGEST_SHA256)) != 0 && strncasecmp(value, "Digest ", 7) == 0)
        user = auth_digest(ex, value + 7, stale);
    ex->user = user == NULL ? NULL : user->name;
    return user != NULL;
}

static bool digest_challenge(struct exchange *ex, const char *algorithm, bool stale)
{
    char challenge[256];
    const char *nonce = nonces_issue(ex->lab->nonces);
    if (nonce == NULL)
        return false;
    (void)snprintf(challenge, sizeof challenge,
                   "Digest realm=\"estuary-lab\", qop=\"auth\", %snonce=\"%s\"%s", algorithm, nonce,
                   stale ? ", stale=true" : "");
    return reply_header(&ex->reply, "WWW-Authenticate", challenge);
}

/* The best scheme first: a client takes the first it knows. RFC 7616 3.7 */
void auth_challenge(struct exchange *ex, bool stale)
{
    const unsigned offered = ex->lab->options.auth;
    /* Without a name it is MD5 too (RFC 7616 3.3), and old clients stumble over the name. */
    const bool unnamed = (offered & AUTH_DIGEST_UNNAMED) != 0;
    bool ok = true;
    if (offered == 0) {
        reply_text(&ex->reply, 403, "Forbidden", "this lab accepts client certificates only");
        return;
    }
    /* Without a body: Bouncy Castle's EST client gives up on a challenge that has one. */
    reply_set(&ex->reply, 401, "Unauthorized");
    if ((offered & AUTH_DIGEST_WEAK_FIRST) != 0)
        ok = digest_challenge(ex, "algorithm=MD5, ", stale);
    if (ok && (offered & AUTH_DIGEST_SHA256) != 0)
        ok = digest_challenge(ex, "algorithm=SHA-256, ", stale);
    if (ok && (offered & (AUTH_DIGEST_MD5 | AUTH_DIGEST_WEAK_FIRST)) == AUTH_DIGEST_MD5)
        ok = digest_challenge(ex, unnamed ? "" : "algorithm=MD5, ", stale);
    if (ok && (offered & AUTH_BASIC) != 0)
        ok = reply_header(&ex->reply, "WWW-Authenticate", "Basic realm=\"estuary-lab\"");
    if (!ok)
        reply_text(&ex->reply, 500, "Internal Server Error", "no challenge could be made");
}
