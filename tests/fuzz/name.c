/* RFC 4514: what was read, written and read again is the same name and the same text. */
#include "fuzz.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    X509_NAME *name = NULL, *again = NULL;
    char *input = fuzz_text(data, size), *text = NULL, *text_again = NULL;
    estuary_status status = estuary_name_parse(input, &name, err);
    fuzz_check_result(status, name, err);
    if (status == ESTUARY_OK) {
        REQUIRE(estuary_name_format(name, &text, err) == ESTUARY_OK);
        REQUIRE(estuary_name_parse(text, &again, err) == ESTUARY_OK);
        REQUIRE(X509_NAME_cmp(name, again) == 0);
        REQUIRE(estuary_name_format(again, &text_again, err) == ESTUARY_OK);
        REQUIRE(strcmp(text, text_again) == 0);
    }
    X509_NAME_free(name);
    X509_NAME_free(again);
    OPENSSL_free(text);
    OPENSSL_free(text_again);
    free(input);
    estuary_error_free(err);
    return 0;
}
