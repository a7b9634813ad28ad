/* RFC 9110 10.2.3: Retry-After, seconds or an HTTP date. */
#include "fuzz.h"
#include "wire/wire.h"

#define NOW ((time_t)1798761600)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    time_t at = 0, again = 0;
    if (est_retry_after_parse(text, NOW, &at)) {
        REQUIRE(est_retry_after_parse(text, NOW, &again) && again == at);
        if (strspn(text, "0123456789") == size)
            REQUIRE(at >= NOW);
    }
    free(text);
    return 0;
}
