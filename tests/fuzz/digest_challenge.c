/* RFC 9110 11.6.1, RFC 7616 3.3: what a server's WWW-Authenticate offers. */
#include "fuzz.h"
#include "http/challenge.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    est_challenges all = {0}, twice = {0};
    const est_digest_request request = {"user", "password", "POST", "https://est.example:8443/x", "0123"};
    char *answer = NULL;
    estuary_error *err = fuzz_error();
    est_challenges_read(&all, text);
    est_challenges_read(&twice, text);
    REQUIRE(all.basic == twice.basic && all.digest == twice.digest &&
            all.first.qop_auth == twice.first.qop_auth);
    REQUIRE(all.digest || (!all.first.qop_given && !all.first.algorithm_given && all.better == NULL));
    REQUIRE((all.better == NULL) == (twice.better == NULL));
    fuzz_check_error(est_challenges_judge(&all, err), err);
    /* a second header adds schemes, and changes nothing about the first Digest */
    est_challenges_read(&twice, "Digest realm=\"r\", qop=\"auth-int\", algorithm=MD5, Basic");
    REQUIRE(twice.basic && twice.digest);
    REQUIRE(!all.digest || (all.first.qop_auth == twice.first.qop_auth &&
                            all.first.algorithm_known == twice.first.algorithm_known));
    if (est_digest_answer(all.better == NULL ? text : all.better, &request, &answer, err) == ESTUARY_OK)
        REQUIRE(strpbrk(answer, "\r\n") == NULL || strpbrk(text, "\r\n") != NULL);
    est_free(answer);
    est_challenges_clear(&all);
    est_challenges_clear(&twice);
    estuary_error_free(err);
    free(text);
    return 0;
}
