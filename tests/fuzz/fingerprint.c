/* E2: what a person types as a fingerprint. */
#include "cert/cert.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    char *text = fuzz_text(data, size);
    char shown[ESTUARY_FINGERPRINT_TEXT_SIZE];
    uint8_t bytes[ESTUARY_FINGERPRINT_SIZE], again[ESTUARY_FINGERPRINT_SIZE];
    estuary_status status = estuary_fingerprint_parse(text, bytes, err);
    fuzz_check_error(status, err);
    if (status == ESTUARY_OK) {
        estuary_fingerprint_format(bytes, shown);
        REQUIRE(strlen(shown) == ESTUARY_FINGERPRINT_TEXT_SIZE - 1);
        REQUIRE(estuary_fingerprint_parse(shown, again, err) == ESTUARY_OK);
        REQUIRE(memcmp(bytes, again, sizeof(bytes)) == 0);
    }
    free(text);
    estuary_error_free(err);
    return 0;
}
