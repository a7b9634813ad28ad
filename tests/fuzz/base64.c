/* RFC 8951 3.1: base64 bodies of any line length; what was written is read back. */
#include "fuzz.h"
#include "wire/wire.h"

#define MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    uint8_t *bytes = NULL, *again = NULL;
    char *text = NULL;
    size_t len = 0, again_len = 0;
    estuary_status status = est_base64_decode(data, size, MAX, &bytes, &len, err);
    fuzz_check_result(status, bytes, err);
    REQUIRE(len <= MAX);
    if (status == ESTUARY_OK) {
        REQUIRE(est_base64_encode(bytes, len, &text, err) == ESTUARY_OK);
        REQUIRE(est_base64_decode((const uint8_t *)text, strlen(text), MAX, &again, &again_len, err) ==
                ESTUARY_OK);
        REQUIRE(again_len == len && memcmp(again, bytes, len) == 0);
    }
    est_free(bytes);
    est_free(again);
    est_free(text);
    estuary_error_free(err);
    return 0;
}
