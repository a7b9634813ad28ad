/* Where a secret comes from: a literal one is refused, and never repeated (rule 9). Nothing is opened here.
 */
#include "fuzz.h"

static bool would_look(const char *source)
{
    if (strncmp(source, "fd:", 3) == 0)
        return source[3] >= '0' && source[3] <= '9';
    return strncmp(source, "env:", 4) == 0 || strncmp(source, "file:", 5) == 0 ||
           strncmp(source, "credential:", 11) == 0 || strcmp(source, "prompt") == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error(), *none = fuzz_error();
    estuary_secret *secret = NULL;
    char *source = fuzz_text(data, size);
    if (!would_look(source)) {
        REQUIRE(estuary_secret_read(source, "?", &secret, err) == ESTUARY_E_USAGE && secret == NULL);
        REQUIRE(estuary_secret_read(NULL, "?", &secret, none) == ESTUARY_E_USAGE && secret == NULL);
        /* The text is the same whatever the source was. */
        if (strncmp(source, "fd:", 3) != 0)
            REQUIRE(strcmp(estuary_error_message(err), estuary_error_message(none)) == 0);
        REQUIRE(strcmp(estuary_error_code(err), "usage.secret-literal") == 0);
        REQUIRE(estuary_error_detail(err)[0] == '\0');
    }
    /* The same bytes as a secret: kept whole or refused. */
    estuary_status status = estuary_secret_new(data, size, &secret, err);
    fuzz_check_result(status, secret, status == ESTUARY_OK ? NULL : err);
    if (status == ESTUARY_OK) {
        size_t len = 0;
        const char *bytes = estuary_secret_get0(secret, &len);
        REQUIRE(len == size && (size == 0 || memcmp(bytes, data, size) == 0) && bytes[len] == '\0');
    }
    estuary_secret_free(secret);
    free(source);
    estuary_error_free(err);
    estuary_error_free(none);
    return 0;
}
