/* What WWW-Authenticate offers (RFC 9110 11.6.1), as far as it decides whether Digest can work. */
#ifndef EST_HTTP_CHALLENGE_H
#define EST_HTTP_CHALLENGE_H

#include "base/base.h"

/* One Digest challenge. */
typedef struct est_digest_offer {
    bool algorithm_given, algorithm_known; /* MD5, SHA-256 and their -sess forms (RFC 7616 3.3) */
    bool sha256;
    bool qop_given, qop_auth; /* RFC 7616 3.3: none given is the old form, which works */
    bool stale;
} est_digest_offer;

/* Of one answer; zero: nothing offered. est_challenges_clear() */
typedef struct est_challenges {
    bool basic, digest;
    est_digest_offer first; /* the Digest challenge that curl 7.88 answers, the only one it reads */
    est_digest_offer best;  /* of `better` */
    char *better;           /* parameters of a later one that is stronger, or the only one to be answered */
    bool short_of_memory;
} est_challenges;

/* Adds one header's value; text that is no challenge adds nothing. */
void est_challenges_read(est_challenges *all, const char *value);
void est_challenges_clear(est_challenges *all);
/* EST_AUTH_DIGEST_QOP or EST_AUTH_DIGEST_ALGORITHM when Digest is offered in no form we can answer. */
estuary_status est_challenges_judge(const est_challenges *all, estuary_error *err);
/* Of the first challenge of a text as in `better`; false: it is not there, or does not fit. */
bool est_challenge_parameter(const char *text, const char *name, char *out, size_t size);

/* digest.c: RFC 7616 3.4 */

typedef struct est_digest_request {
    const char *user, *password;
    const char *method, *url;
    const char *cnonce; /* of token characters */
} est_digest_request;

/* The value of Authorization; the caller frees *out. */
estuary_status est_digest_answer(const char *challenge, const est_digest_request *request, char **out,
                                 estuary_error *err);

#endif
