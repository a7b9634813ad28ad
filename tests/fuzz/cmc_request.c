/* RFC 5272 3.2.1, RFC 4211: PKIData through our templates; what was read is written, and read again. */
#include "fuzz.h"
#include "wire/cmc_asn1.h"

#include <openssl/err.h>

static est_cmc_pki_data *read_data(const uint8_t *der, long len)
{
    const unsigned char *p = der;
    return (est_cmc_pki_data *)ASN1_item_d2i(NULL, &p, len, ASN1_ITEM_rptr(est_cmc_pki_data));
}

static void check_controls(const est_cmc_pki_data *data)
{
    for (int i = 0; i < sk_est_cmc_attribute_num(data->controls); i++) {
        const est_cmc_attribute *control = sk_est_cmc_attribute_value(data->controls, i);
        est_cmc_control kind = est_cmc_control_of(control->type);
        ASN1_OBJECT *again = est_cmc_control_object(kind);
        REQUIRE(again != NULL);
        if (kind != EST_CMC_CONTROL_OTHER)
            REQUIRE(est_cmc_control_of(again) == kind);
        ASN1_OBJECT_free(again);
        const ASN1_TYPE *value = sk_ASN1_TYPE_value(control->values, 0);
        if (kind == EST_CMC_IDENTITY_PROOF_V2 && value != NULL)
            ASN1_item_free(ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(est_cmc_identity_proof), value),
                           ASN1_ITEM_rptr(est_cmc_identity_proof));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *der = NULL;
    est_cmc_pki_data *first = size > 100000 ? NULL : read_data(data, (long)size);
    if (first != NULL) {
        check_controls(first);
        int len = ASN1_item_i2d((const ASN1_VALUE *)first, &der, ASN1_ITEM_rptr(est_cmc_pki_data));
        est_cmc_pki_data *second = len <= 0 ? NULL : read_data(der, len);
        REQUIRE(len <= 0 || second != NULL);
        ASN1_item_free((ASN1_VALUE *)second, ASN1_ITEM_rptr(est_cmc_pki_data));
    }
    OPENSSL_free(der);
    ASN1_item_free((ASN1_VALUE *)first, ASN1_ITEM_rptr(est_cmc_pki_data));
    ERR_clear_error();
    return 0;
}
