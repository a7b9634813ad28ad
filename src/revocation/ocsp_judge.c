/*
 * One OCSP response judged (R1, RFC 6960 3.2): read exactly, signed by somebody who may, an answer to this
 * request, about this certificate, of this time. The verdict is unknown until all of that is seen.
 */
#include "revocation/ocsp.h"

#include <openssl/err.h>

static estuary_status examine(const est_question *question, const est_ocsp_request *request,
                              const uint8_t *der, size_t len, estuary_verdict *verdict,
                              est_ocsp_signer *signer, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    OCSP_BASICRESP *basic = NULL;
    EST_TRY(est_ocsp_parse(der, len, &basic, err));
    EST_TRY(est_ocsp_signer_find(question, basic, signer, err));
    EST_TRY(est_ocsp_check_extensions(basic, err));
    EST_TRY(est_ocsp_check_nonce(question, request, basic, err));
    EST_TRY(est_ocsp_read_status(question, basic, verdict, err));
cleanup:
    OCSP_BASICRESP_free(basic);
    return status;
}

estuary_status est_ocsp_examine(const est_question *question, const est_ocsp_request *request,
                                const uint8_t *der, size_t len, estuary_verdict *verdict,
                                est_ocsp_signer *signer, estuary_error *err)
{
    *signer = (est_ocsp_signer){0};
    est_verdict_unknown(verdict, EST_OCSP_MALFORMED, NULL);
    if (verdict->evidence == ESTUARY_REVOCATION_NO_SOURCE)
        verdict->evidence = ESTUARY_REVOCATION_OCSP;
    estuary_error *why = estuary_error_new();
    if (why == NULL) {
        est_verdict_unknown(verdict, EST_MEMORY, NULL); /* nothing is known, the response is not broken */
        return est_fail_memory(err);
    }
    ERR_set_mark();
    estuary_status status = examine(question, request, der, len, verdict, signer, why);
    ERR_pop_to_mark();
    if (status != ESTUARY_OK && status != ESTUARY_E_MEMORY)
        est_verdict_unknown_because(verdict, why);
    estuary_error_free(why);
    if (status == ESTUARY_E_MEMORY)
        est_verdict_unknown(verdict, EST_MEMORY, NULL);
    if (verdict->status == ESTUARY_REVOCATION_UNKNOWN)
        est_ocsp_signer_clear(signer);
    return status == ESTUARY_E_MEMORY ? est_fail_memory(err) : ESTUARY_OK;
}

estuary_status est_ocsp_judge(const est_question *question, const est_ocsp_request *request,
                              const uint8_t *der, size_t len, estuary_verdict *verdict, X509 **delegate,
                              estuary_error *err)
{
    est_ocsp_signer signer;
    *delegate = NULL;
    estuary_status status = est_ocsp_examine(question, request, der, len, verdict, &signer, err);
    if (!signer.no_check) {
        *delegate = signer.delegate;
        signer.delegate = NULL;
    }
    est_ocsp_signer_clear(&signer);
    return status;
}
