/* RFC 9908: the value of a request template, put into words and filled in. */
#include "fuzz.h"
#include "wire/wire.h"

#include <openssl/asn1.h>
#include <string.h>

#define LARGEST 65000

static const uint8_t type[] = {0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x3d};

static size_t put_head(uint8_t *out, uint8_t tag, size_t content)
{
    out[0] = tag;
    out[1] = 0x82;
    out[2] = (uint8_t)(content >> 8);
    out[3] = (uint8_t)content;
    return 4;
}

/* CsrAttrs with one attribute, the template. */
static uint8_t *wrap(const uint8_t *data, size_t size, size_t *len)
{
    uint8_t *der = est_alloc(size + sizeof(type) + 12);
    REQUIRE(der != NULL);
    size_t used = put_head(der, 0x30, size + sizeof(type) + 8);
    used += put_head(der + used, 0x30, size + sizeof(type) + 4);
    memcpy(der + used, type, sizeof(type));
    used += sizeof(type);
    used += put_head(der + used, 0x31, size);
    memcpy(der + used, data, size);
    *len = used + size;
    return der;
}

static void walk(const estuary_csr_attributes *attributes)
{
    estuary_csr_attribute_kind kind = ESTUARY_CSRATTR_UNKNOWN;
    const char *oid = NULL, *name = NULL, *words = NULL;
    REQUIRE(estuary_csr_attributes_has_template(attributes));
    for (size_t i = 0; estuary_csr_attributes_at(attributes, i, &kind, &oid, &name, &words); i++) {
        REQUIRE(kind != ESTUARY_CSRATTR_UNKNOWN && (i == 0) == (kind == ESTUARY_CSRATTR_TEMPLATE));
        REQUIRE(oid[0] != '\0' && name[0] != '\0' && words[0] != '\0');
        (void)estuary_csr_attributes_must_fill(attributes, i);
    }
}

/* What fits a template once fits it again. */
static void apply(const estuary_csr_attributes *attributes, bool full, estuary_error *err)
{
    estuary_csr *csr = NULL;
    REQUIRE(estuary_csr_new(&csr, err) == ESTUARY_OK);
    if (full) {
        REQUIRE(estuary_csr_set_subject(csr, "CN=dev,serialNumber=7", err) == ESTUARY_OK);
        REQUIRE(estuary_csr_add_san(csr, ESTUARY_SAN_DNS, "www.myserver.com", err) == ESTUARY_OK);
        REQUIRE(estuary_csr_add_san(csr, ESTUARY_SAN_IP, "192.0.2.1", err) == ESTUARY_OK);
        REQUIRE(estuary_csr_add_eku(csr, "clientAuth", err) == ESTUARY_OK);
    }
    estuary_status status = estuary_csr_apply(csr, attributes, NULL, err);
    fuzz_check_error(status, err);
    if (status == ESTUARY_OK)
        REQUIRE(estuary_csr_apply(csr, attributes, NULL, err) == ESTUARY_OK);
    estuary_csr_free(csr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    estuary_csr_attributes *attributes = NULL;
    size_t len = 0;
    if (size > LARGEST)
        size = LARGEST;
    uint8_t *der = wrap(data, size, &len);
    estuary_status status = estuary_csr_attributes_parse(der, len, &attributes, err);
    fuzz_check_result(status, attributes, err);
    if (status == ESTUARY_OK && estuary_csr_attributes_has_template(attributes)) {
        walk(attributes);
        apply(attributes, false, err);
        apply(attributes, true, err);
    }
    estuary_csr_attributes_free(attributes);
    est_free(der);
    estuary_error_free(err);
    return 0;
}
