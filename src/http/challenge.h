/* What WWW-Authenticate offers (RFC 9110 11.6.1), as far as it decides whether Digest can work. */
#ifndef EST_HTTP_CHALLENGE_H
#define EST_HTTP_CHALLENGE_H

#include "base/base.h"

/* Of one answer; zero: nothing offered. Of several Digest challenges the first counts (RFC 7616 3.7). */
typedef struct est_challenges {
    bool basic, digest;
    bool algorithm_given, algorithm_known; /* MD5, SHA-256 and their -sess forms (RFC 7616 3.3) */
    bool qop_given, qop_auth;              /* RFC 7616 3.3: none given is the old form, which works */
    bool stale;
} est_challenges;

/* Adds one header's value; text that is no challenge adds nothing. */
void est_challenges_read(est_challenges *all, const char *value);
/* EST_AUTH_DIGEST_QOP or EST_AUTH_DIGEST_ALGORITHM when Digest is offered in no form we can answer. */
estuary_status est_challenges_judge(const est_challenges *all, estuary_error *err);

#endif
