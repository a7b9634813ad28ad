/* RFC 9110 11.6.1, RFC 7616 3.3: what a server's WWW-Authenticate offers. */
#include "fuzz.h"
#include "http/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    est_challenges all = {0}, twice = {0};
    estuary_error *err = fuzz_error();
    est_challenges_read(&all, text);
    est_challenges_read(&twice, text);
    REQUIRE(all.basic == twice.basic && all.digest == twice.digest && all.qop_auth == twice.qop_auth);
    REQUIRE(all.digest || (!all.qop_given && !all.algorithm_given && !all.stale));
    fuzz_check_error(est_challenges_judge(&all, err), err);
    /* a second header adds schemes, and changes nothing about the first Digest */
    est_challenges_read(&twice, "Digest realm=\"r\", qop=\"auth-int\", algorithm=MD5, Basic");
    REQUIRE(twice.basic && twice.digest);
    REQUIRE(!all.digest || (all.qop_auth == twice.qop_auth && all.algorithm_known == twice.algorithm_known));
    estuary_error_free(err);
    free(text);
    return 0;
}
