#include "http/challenge.h"

#include <string.h>

#define BLANKS     " \t"
#define VALUE_SIZE 128 /* longer values are cut; none that counts is longer */
/* RFC 9110 5.6.2 */
#define TOKEN "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* false: cut */
static bool take_token(const char **p, char *out, size_t size)
{
    size_t len = strspn(*p, TOKEN);
    size_t kept = len < size ? len : size - 1;
    memcpy(out, *p, kept);
    out[kept] = '\0';
    *p += len;
    return kept == len;
}

/* RFC 9110 5.6.4; a string without an end goes to the end of the text. false: cut */
static bool take_quoted(const char **p, char *out, size_t size)
{
    size_t used = 0, len = 0;
    for ((*p)++; **p != '\0' && **p != '"'; (*p)++) {
        if (**p == '\\' && (*p)[1] != '\0')
            (*p)++;
        len++;
        if (used + 1 < size)
            out[used++] = **p;
    }
    out[used] = '\0';
    if (**p == '"')
        (*p)++;
    return used == len;
}

/* What stands between commas: a scheme when there is no '=' after it. */
typedef struct item {
    char name[VALUE_SIZE];
    bool is_parameter;
    bool whole; /* the value was not cut */
} item;

/* false: the end. Challenges and their parameters stand between the same commas; only a '=' tells them apart.
 */
static bool take_item(const char **p, item *next, char *value, size_t size)
{
    for (*p += strspn(*p, BLANKS ","); **p != '\0' && strspn(*p, TOKEN) == 0;)
        *p += 1 + strspn(*p + 1, BLANKS ",");
    if (**p == '\0')
        return false;
    value[0] = '\0';
    next->whole = take_token(p, next->name, sizeof(next->name));
    const char *after = *p + strspn(*p, BLANKS);
    next->is_parameter = *after == '=';
    if (!next->is_parameter)
        return true;
    *p = after + 1 + strspn(after + 1, BLANKS);
    next->whole = **p == '"' ? take_quoted(p, value, size) : take_token(p, value, size);
    return true;
}

static bool lists(const char *list, const char *wanted)
{
    while (*list != '\0') {
        char one[VALUE_SIZE];
        list += strspn(list, BLANKS ",");
        size_t len = strcspn(list, BLANKS ",");
        memcpy(one, list, len); /* the list is no longer than VALUE_SIZE itself */
        one[len] = '\0';
        if (est_text_equal_nocase(one, wanted))
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

static void take_parameter(est_digest_offer *offer, const char *name, const char *value)
{
    /* of two of a name the first counts, as for who answers it */
    if (est_text_equal_nocase(name, "qop") && !offer->qop_given) {
        offer->qop_given = true;
        offer->qop_auth = lists(value, "auth");
    } else if (est_text_equal_nocase(name, "algorithm") && !offer->algorithm_given) {
        offer->algorithm_given = true;
        offer->algorithm_known = known_algorithm(value);
        offer->sha256 =
            est_text_equal_nocase(value, "SHA-256") || est_text_equal_nocase(value, "SHA-256-sess");
    } else if (est_text_equal_nocase(name, "stale")) {
        offer->stale = est_text_equal_nocase(value, "true");
    }
}

/* 0: it cannot be answered */
static int strength(const est_digest_offer *offer)
{
    if ((offer->algorithm_given && !offer->algorithm_known) || (offer->qop_given && !offer->qop_auth))
        return 0;
    return offer->sha256 ? 2 : 1;
}

/* RFC 7616 3.7: the first that we support, "unless a local policy dictates otherwise": ours is the stronger
 * hash. */
static void conclude(est_challenges *all, const est_digest_offer *offer, const char *text)
{
    if (!all->digest) {
        all->digest = true;
        all->first = *offer;
        return;
    }
    if (strength(offer) <= strength(&all->first) ||
        (all->better != NULL && strength(offer) <= strength(&all->best)))
        return;
    est_free(all->better);
    all->better = est_strdup(text);
    all->short_of_memory = all->better == NULL;
    all->best = *offer;
}

void est_challenges_read(est_challenges *all, const char *value)
{
    item next;
    char text[VALUE_SIZE];
    est_digest_offer offer = {0};
    const char *parameters = NULL; /* of the Digest challenge that is being read */
    for (const char *p = value; take_item(&p, &next, text, sizeof(text));) {
        if (next.is_parameter) {
            take_parameter(&offer, next.name, text);
            continue;
        }
        if (parameters != NULL)
            conclude(all, &offer, parameters);
        offer = (est_digest_offer){0};
        parameters = est_text_equal_nocase(next.name, "Digest") ? p : NULL;
        if (est_text_equal_nocase(next.name, "Basic"))
            all->basic = true;
    }
    if (parameters != NULL)
        conclude(all, &offer, parameters);
}

void est_challenges_clear(est_challenges *all)
{
    est_free(all->better);
    *all = (est_challenges){0};
}

bool est_challenge_parameter(const char *text, const char *name, char *out, size_t size)
{
    item next;
    while (take_item(&text, &next, out, size) && next.is_parameter) {
        if (est_text_equal_nocase(next.name, name))
            return next.whole;
    }
    return false;
}

/* T6: curl picks Digest whenever it is offered, and hashes no body for auth-int: its answer would be wrong.
 */
estuary_status est_challenges_judge(const est_challenges *all, estuary_error *err)
{
    if (all->short_of_memory)
        return est_fail_memory(err);
    if (!all->digest || all->better != NULL)
        return ESTUARY_OK;
    if (all->first.algorithm_given && !all->first.algorithm_known)
        return est_fail(err, EST_AUTH_DIGEST_ALGORITHM, NULL);
    if (all->first.qop_given && !all->first.qop_auth)
        return est_fail(err, EST_AUTH_DIGEST_QOP, NULL);
    return ESTUARY_OK;
}
