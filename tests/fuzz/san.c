/* The first byte ('1' to '8') is the type, the rest a subjectAltName's value. */
#include "fuzz.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    estuary_csr *csr = NULL, *copy = NULL;
    if (size > 0) {
        char *value = fuzz_text(data + 1, size - 1);
        estuary_san_type type = (estuary_san_type)(data[0] - '0');
        REQUIRE(estuary_csr_new(&csr, err) == ESTUARY_OK);
        estuary_status status = estuary_csr_add_san(csr, type, value, err);
        fuzz_check_error(status, err);
        REQUIRE(status != ESTUARY_OK || (type >= ESTUARY_SAN_DNS && type <= ESTUARY_SAN_RID));
        copy = est_csr_dup(csr);
        REQUIRE(copy != NULL);
        free(value);
    }
    estuary_csr_free(csr);
    estuary_csr_free(copy);
    estuary_error_free(err);
    return 0;
}
