/* RFC 3339: what was read is written in UTC and read back as the same second. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char shown[EST_TIME_TEXT_SIZE];
    time_t at = 0, again = 0;
    if (est_time_parse(text, &at)) {
        est_time_format(at, shown);
        /* an offset may lead out of the years 0000 to 9999 */
        if (strlen(shown) == sizeof("2026-01-31T12:00:00Z") - 1 && shown[0] != '-')
            REQUIRE(est_time_parse(shown, &again) && again == at);
    }
    free(text);
    return 0;
}
