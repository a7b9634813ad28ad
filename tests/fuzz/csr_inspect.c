/* RFC 2986: a request from anywhere, inspected and copied (E5). */
#include "fuzz.h"
#include "wire/wire.h"

static void inspect(const X509_REQ *request, estuary_error *err)
{
    estuary_csr_report *report = NULL;
    estuary_status status = estuary_csr_inspect(request, &report, err);
    fuzz_check_result(status, report, err);
    if (status != ESTUARY_OK)
        return;
    const char *sentence = NULL;
    bool flawed = estuary_csr_report_flaw(report, 0, &sentence) != ESTUARY_CSR_FLAW_NONE;
    REQUIRE(estuary_csr_report_subject(report) != NULL && estuary_csr_report_key(report) != NULL &&
            estuary_csr_report_signature(report) != NULL);
    for (size_t i = 0; estuary_csr_report_san(report, i) != NULL; i++)
        ;
    for (size_t i = 0; estuary_csr_report_extension(report, i) != NULL; i++)
        ;
    /* The report and the refusal agree. */
    status = est_csr_refuse_broken(request, false, err);
    fuzz_check_error(status, err);
    REQUIRE((status != ESTUARY_OK) == flawed);
    estuary_csr_report_free(report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    estuary_csr *csr = NULL;
    X509_REQ *request = NULL;
    estuary_status status = estuary_csr_parse(data, size, &request, err);
    fuzz_check_result(status, request, err);
    if (status == ESTUARY_OK) {
        inspect(request, err);
        REQUIRE(estuary_csr_new(&csr, err) == ESTUARY_OK);
        status = estuary_csr_copy_request(csr, request, err);
        fuzz_check_error(status, err);
    }
    estuary_csr_free(csr);
    X509_REQ_free(request);
    estuary_error_free(err);
    return 0;
}
