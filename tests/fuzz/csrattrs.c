/* RFC 7030 4.5.2, RFC 9908: CsrAttrs, walked and applied to a request. */
#include "fuzz.h"
#include "wire/wire.h"

static void walk(const estuary_csr_attributes *attributes)
{
    size_t count = estuary_csr_attributes_count(attributes);
    for (size_t i = 0; i < count; i++) {
        estuary_csr_attribute_kind kind = ESTUARY_CSRATTR_UNKNOWN;
        const char *oid = NULL, *name = NULL, *words = NULL;
        REQUIRE(estuary_csr_attributes_at(attributes, i, &kind, &oid, &name, &words));
        REQUIRE(oid != NULL && oid[0] != '\0' && name != NULL && name[0] != '\0' && words != NULL);
    }
    REQUIRE(!estuary_csr_attributes_at(attributes, count, NULL, NULL, NULL, NULL));
    (void)estuary_csr_attributes_wants_binding(attributes);
    REQUIRE(estuary_csr_attributes_key_algorithm(attributes) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    estuary_csr_attributes *attributes = NULL;
    estuary_csr *csr = NULL;
    estuary_status status = estuary_csr_attributes_parse(data, size, &attributes, err);
    fuzz_check_result(status, attributes, err);
    if (status == ESTUARY_OK) {
        walk(attributes);
        REQUIRE(estuary_csr_new(&csr, err) == ESTUARY_OK);
        REQUIRE(estuary_csr_set_subject(csr, "CN=device 1", err) == ESTUARY_OK);
        status = estuary_csr_apply(csr, attributes, NULL, err);
        fuzz_check_error(status, err);
    }
    estuary_csr_free(csr);
    estuary_csr_attributes_free(attributes);
    estuary_error_free(err);
    return 0;
}
