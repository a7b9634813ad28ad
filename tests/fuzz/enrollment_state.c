/* The state.json of a pending request, as another run or another hand left it (E7). */
#include "est/est.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    estuary_enrollment *e = NULL, *again = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    estuary_status status = estuary_enrollment_load(data, size, NULL, &e, err);
    fuzz_check_result(status, e, err);
    if (status == ESTUARY_OK) {
        REQUIRE(estuary_enrollment_state(e) != ESTUARY_STATE_ISSUED);
        REQUIRE(estuary_enrollment_get0_request(e) != NULL && estuary_enrollment_get0_server(e) != NULL);
        REQUIRE(estuary_enrollment_save(e, &bytes, &len, err) == ESTUARY_OK);
        REQUIRE(estuary_enrollment_load(bytes, len, NULL, &again, err) == ESTUARY_OK);
        REQUIRE(estuary_enrollment_retry_at(again) == estuary_enrollment_retry_at(e));
        REQUIRE(estuary_enrollment_polls(again) == estuary_enrollment_polls(e));
        REQUIRE(est_server_equal(e->server, again->server));
    }
    OPENSSL_free(bytes);
    estuary_enrollment_free(e);
    estuary_enrollment_free(again);
    estuary_error_free(err);
    return 0;
}
