/*
 * RFC 5272 4.2: a whole message, and a PKIResponse as if it had been signed by somebody we believe. The
 * seeds are those of tests/conformance/cmc: whole messages, and what is inside of them.
 */
#include "fuzz.h"
#include "wire/wire.h"

static const uint8_t transaction[EST_CMC_TRANSACTION_SIZE] = {0,    0,    0,    0,    0,    0,    0,    0,
                                                              0x22, 0x23, 0x34, 0x03, 0xc9, 0x90, 0xcc, 0x35};
static const uint8_t nonce[16] = "client-nonce-16b";

static void open_message(const uint8_t *data, size_t size, estuary_error *err)
{
    est_cmc_signed message;
    estuary_status status = est_cmc_open(data, size, NULL, NULL, &message, err);
    fuzz_check_result(status, message.signer, err);
    if (status == ESTUARY_OK) {
        REQUIRE(message.content != NULL && message.content_len > 0);
        REQUIRE(message.certs != NULL);
        REQUIRE(est_cmc_is_full_response(data, size));
    }
    est_cmc_signed_clear(&message);
}

static void read_content(const uint8_t *data, size_t size, estuary_error *err)
{
    est_cmc_response values;
    STACK_OF(X509) *certs = sk_X509_new_null();
    REQUIRE(certs != NULL);
    estuary_status status =
        est_cmc_response_parse(data, size, transaction, nonce, sizeof(nonce), certs, &values, err);
    fuzz_check_error(status, err);
    REQUIRE((status == ESTUARY_OK) == (values.status != ESTUARY_CMC_NONE));
    if (status == ESTUARY_OK) {
        REQUIRE(values.pend_token_len <= EST_CMC_TOKEN_MAX);
        REQUIRE(values.published == NULL || sk_X509_num(values.published) == 0);
        REQUIRE(estuary_cmc_status_name(values.status)[0] != '\0');
        if (values.status > ESTUARY_CMC_PARTIAL)
            fuzz_check_error(est_cmc_response_fail(&values, err), err);
    }
    est_cmc_response_clear(&values);
    sk_X509_free(certs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    open_message(data, size, err);
    read_content(data, size, err);
    estuary_error_free(err);
    return 0;
}
