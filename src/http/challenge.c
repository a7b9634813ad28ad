#include "http/challenge.h"

#include <string.h>

#define BLANKS     " \t"
#define VALUE_SIZE 128 /* longer values are cut; none that counts is longer */
/* RFC 9110 5.6.2 */
#define TOKEN "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static void take_token(const char **p, char out[VALUE_SIZE])
{
    size_t len = strspn(*p, TOKEN);
    size_t kept = len < VALUE_SIZE ? len : VALUE_SIZE - 1;
    memcpy(out, *p, kept);
    out[kept] = '\0';
    *p += len;
}

/* RFC 9110 5.6.4; a string without an end goes to the end of the text */
static void take_quoted(const char **p, char out[VALUE_SIZE])
{
    size_t used = 0;
    for ((*p)++; **p != '\0' && **p != '"'; (*p)++) {
        if (**p == '\\' && (*p)[1] != '\0')
            (*p)++;
        if (used + 1 < VALUE_SIZE)
            out[used++] = **p;
    }
    out[used] = '\0';
    if (**p == '"')
        (*p)++;
}

static bool lists(const char *list, const char *wanted)
{
    while (*list != '\0') {
        char item[VALUE_SIZE];
        list += strspn(list, BLANKS ",");
        size_t len = strcspn(list, BLANKS ",");
        memcpy(item, list, len); /* the list is no longer than VALUE_SIZE itself */
        item[len] = '\0';
        if (est_text_equal_nocase(item, wanted))
            return true;
        list += len;
    }
    return false;
}

/* SHA-512-256 is not among them: curl 7.88 answers it with the hash of SHA-256 */
static bool known_algorithm(const char *name)
{
    static const char *const known[] = {"MD5", "MD5-sess", "SHA-256", "SHA-256-sess"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (est_text_equal_nocase(name, known[i]))
            return true;
    }
    return false;
}

static void take_parameter(est_challenges *all, const char *name, const char *value)
{
    if (est_text_equal_nocase(name, "qop")) {
        all->qop_given = true;
        all->qop_auth = lists(value, "auth");
    } else if (est_text_equal_nocase(name, "algorithm")) {
        all->algorithm_given = true;
        all->algorithm_known = known_algorithm(value);
    } else if (est_text_equal_nocase(name, "stale")) {
        all->stale = est_text_equal_nocase(value, "true");
    }
}

/* true: what follows are parameters of the Digest challenge that counts */
static bool take_scheme(est_challenges *all, const char *scheme)
{
    if (est_text_equal_nocase(scheme, "Basic"))
        all->basic = true;
    if (!est_text_equal_nocase(scheme, "Digest") || all->digest)
        return false;
    all->digest = true;
    return true;
}

/* Challenges and their parameters stand between the same commas; only a '=' tells them apart. */
void est_challenges_read(est_challenges *all, const char *value)
{
    bool counts = false;
    const char *p = value;
    while (*p != '\0') {
        char name[VALUE_SIZE], text[VALUE_SIZE] = "";
        p += strspn(p, BLANKS ",");
        if (*p == '\0')
            break;
        if (strspn(p, TOKEN) == 0) {
            p++;
            continue;
        }
        take_token(&p, name);
        const char *after = p + strspn(p, BLANKS);
        if (*after != '=') {
            counts = take_scheme(all, name);
            continue;
        }
        p = after + 1 + strspn(after + 1, BLANKS);
        if (*p == '"')
            take_quoted(&p, text);
        else
            take_token(&p, text);
        if (counts)
            take_parameter(all, name, text);
    }
}

/* T6: curl picks Digest whenever it is offered, and hashes no body for auth-int: its answer would be wrong.
 */
estuary_status est_challenges_judge(const est_challenges *all, estuary_error *err)
{
    if (!all->digest)
        return ESTUARY_OK;
    if (all->algorithm_given && !all->algorithm_known)
        return est_fail(err, EST_AUTH_DIGEST_ALGORITHM, NULL);
    if (all->qop_given && !all->qop_auth)
        return est_fail(err, EST_AUTH_DIGEST_QOP, NULL);
    return ESTUARY_OK;
}
