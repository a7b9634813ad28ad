/* Misbehaviours of the Digest challenge. RFC 7616 */
#include "misbehave.h"

#include <event2/http.h>
#include <string.h>
#include <strings.h>

static bool says_digest(const struct exchange *ex)
{
    const char *value = evhttp_find_header(evhttp_request_get_input_headers(ex->req), "Authorization");
    return value != NULL && strncasecmp(value, "Digest ", 7) == 0;
}

/* RFC 7616 3.3: the nonce aged, the password was right: repeat with the new nonce, ask nobody. */
static bool answer_stale_once(struct exchange *ex, const struct misbehaviour *row)
{
    (void)row;
    if (!says_digest(ex) || ex->door->stale_told)
        return false;
    ex->door->stale_told = true;
    auth_challenge(ex, true);
    return true;
}

static bool answer_stale(struct exchange *ex, const struct misbehaviour *row)
{
    (void)row;
    if (!says_digest(ex))
        return false;
    auth_challenge(ex, true);
    return true;
}

static void challenge(struct exchange *ex, const char *value)
{
    reply_text(&ex->reply, 401, "Unauthorized", "a client certificate of this CA or a password is needed");
    (void)reply_header(&ex->reply, "WWW-Authenticate", value);
}

static bool answer_challenge(struct exchange *ex, const struct misbehaviour *row)
{
    challenge(ex, row->text);
    return true;
}

static bool answer_long_nonce(struct exchange *ex, const struct misbehaviour *row)
{
    struct bytes text = {0};
    bool ok = bytes_text(&text, row->text);
    for (long i = 0; ok && i < row->number; i++)
        ok = bytes_append(&text, "0", 1);
    if (ok && bytes_append(&text, "\"", 2))
        challenge(ex, (const char *)text.data);
    bytes_clear(&text);
    return ok;
}

/* The honest challenges among others that a client must step over. RFC 9110 11.6.1 */
static bool answer_among_others(struct exchange *ex, const struct misbehaviour *row)
{
    if (ex->client != NULL ||
        evhttp_find_header(evhttp_request_get_input_headers(ex->req), "Authorization") != NULL)
        return false;
    auth_challenge(ex, false);
    return reply_header(&ex->reply, "WWW-Authenticate", row->text) &&
           reply_header(&ex->reply, "WWW-Authenticate", "Negotiate");
}

#define DIGEST .operations = OP_ISSUE

static const struct misbehaviour rows[] = {
    {.name = "digest-stale-once",
     .about = "harmless: the first Digest answer's nonce is called stale",
     DIGEST,
     .answer = answer_stale_once},
    {.name = "digest-stale-always",
     .about = "every Digest answer's nonce is called stale",
     DIGEST,
     .answer = answer_stale},
    {.name = "digest-among-others",
     .about = "harmless: the challenges stand among others of schemes nobody knows",
     DIGEST,
     .answer = answer_among_others,
     .text = "Hobgoblin realm=\"a \\\"quoted\\\", Basic realm\", qop=\"auth-int\", stale=true"},
    {.name = "digest-auth-int",
     .about = "a Digest challenge that allows auth-int only",
     DIGEST,
     .answer = answer_challenge,
     .text = "Digest realm=\"estuary-lab\", qop=\"auth-int\", algorithm=SHA-256, "
             "nonce=\"3aa37d9b2ac1c0bbe1e4e1cbb2ad6d54\""},
    {.name = "digest-unknown-algorithm",
     .about = "a Digest challenge with an algorithm nobody knows",
     DIGEST,
     .answer = answer_challenge,
     .text = "Digest realm=\"estuary-lab\", qop=\"auth\", algorithm=ROT13, "
             "nonce=\"3aa37d9b2ac1c0bbe1e4e1cbb2ad6d54\""},
    {.name = "digest-md5-sess",
     .about = "a Digest challenge with MD5-sess; whoever answers it is asked again",
     DIGEST,
     .answer = answer_challenge,
     .text = "Digest realm=\"estuary-lab\", qop=\"auth\", algorithm=MD5-sess, "
             "nonce=\"3aa37d9b2ac1c0bbe1e4e1cbb2ad6d54\""},
    {.name = "digest-no-nonce",
     .about = "a Digest challenge without nonce",
     DIGEST,
     .answer = answer_challenge,
     .text = "Digest realm=\"estuary-lab\", qop=\"auth\", algorithm=SHA-256"},
    {.name = "digest-open-quote",
     .about = "a Digest challenge whose quoted string does not end",
     DIGEST,
     .answer = answer_challenge,
     .text =
         "Digest realm=\"estuary-lab, qop=auth, algorithm=SHA-256, nonce=3aa37d9b2ac1c0bbe1e4e1cbb2ad6d54"},
    {.name = "digest-long-nonce",
     .about = "a Digest challenge with a nonce of 12000 characters",
     DIGEST,
     .answer = answer_long_nonce,
     .text = "Digest realm=\"estuary-lab\", qop=\"auth\", algorithm=SHA-256, nonce=\"",
     .number = 12000},
};

const struct misbehave_table misbehave_digest = {rows, sizeof rows / sizeof *rows};
