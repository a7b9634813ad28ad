/* CMCStatus and CMCFailInfo in words (RFC 5272 6.1.3, 6.1.4). */
#include "wire/wire.h"

#include <stdio.h>

static const char *const statuses[] = {
    [ESTUARY_CMC_NONE] = "",
    [ESTUARY_CMC_SUCCESS] = "success",
    [ESTUARY_CMC_PENDING] = "pending",
    [ESTUARY_CMC_PARTIAL] = "partial",
    [ESTUARY_CMC_CONFIRM_REQUIRED] = "confirmRequired",
    [ESTUARY_CMC_POP_REQUIRED] = "popRequired",
    [ESTUARY_CMC_NO_SUPPORT] = "noSupport",
    [ESTUARY_CMC_FAILED] = "failed",
};

static const struct {
    const char *name, *sentence;
} failures[] = {
    {"badAlg", "an algorithm is unknown or not supported"},
    {"badMessageCheck", "the integrity check of the request failed"},
    {"badRequest", "the transaction is not permitted or not supported"},
    {"badTime", "the time in the request is too far from the server's"},
    {"badCertId", "no certificate matches what the request names"},
    {"unsupportedExt", "a requested extension is not supported"},
    {"mustArchiveKeys", "the private key must be handed over for archiving"},
    {"badIdentity", "the identification or its proof did not verify"},
    {"popRequired", "the server wants a proof of possession before it issues"},
    {"popFailed", "the proof of possession did not verify"},
    {"noKeyReuse", "the key may not be used again"},
    {"internalCAError", "the CA had an internal failure"},
    {"tryLater", "the server takes no requests now"},
    {"authDataFail", "the authenticated data could not be processed"},
};

#define FAILURES          ((int64_t)(sizeof(failures) / sizeof(failures[0])))
#define FAIL_BAD_ID       7
#define FAIL_TRY_LATER    12
#define FAIL_POP_REQUIRED 8

const char *estuary_cmc_status_name(estuary_cmc_status status)
{
    return status >= ESTUARY_CMC_NONE && status <= ESTUARY_CMC_FAILED ? statuses[status] : "";
}

const char *estuary_cmc_fail_name(int64_t fail_info)
{
    return fail_info >= 0 && fail_info < FAILURES ? failures[fail_info].name : "";
}

const char *estuary_cmc_fail_sentence(int64_t fail_info)
{
    return fail_info >= 0 && fail_info < FAILURES ? failures[fail_info].sentence : "";
}

static est_code code_of(const est_cmc_response *response)
{
    switch (response->status) {
    case ESTUARY_CMC_CONFIRM_REQUIRED:
    case ESTUARY_CMC_POP_REQUIRED:
        return EST_UNSUPPORTED_CMC;
    case ESTUARY_CMC_FAILED:
        break;
    default:
        return EST_SERVER_CMC_FAILED;
    }
    if (response->fail_info == FAIL_BAD_ID)
        return EST_AUTH_CMC_IDENTITY;
    return response->fail_info == FAIL_TRY_LATER ? EST_SERVER_CMC_TRY_LATER : EST_SERVER_CMC_FAILED;
}

/* The reason as a clause; RFC 5272 6.1.1: an unknown extended error may be taken for internalCAError. */
static void reason(const est_cmc_response *response, char *out, size_t size)
{
    if (response->status == ESTUARY_CMC_NO_SUPPORT)
        snprintf(out, size, "it does not support this operation (noSupport)");
    else if (response->status == ESTUARY_CMC_CONFIRM_REQUIRED)
        snprintf(out, size, "it wants the certificate's acceptance confirmed (confirmRequired)");
    else if (response->status == ESTUARY_CMC_POP_REQUIRED || response->fail_info == FAIL_POP_REQUIRED)
        snprintf(out, size, "it wants a direct proof of possession (popRequired)");
    else if (response->fail_info >= 0 && response->fail_info < FAILURES)
        snprintf(out, size, "%s (%s)", failures[response->fail_info].sentence,
                 failures[response->fail_info].name);
    else if (response->fail_info >= 0)
        snprintf(out, size, "for a reason of its own (failInfo %lld)", (long long)response->fail_info);
    else if (response->extended[0] != '\0')
        snprintf(out, size, "for a reason of its own (extendedFailInfo %s)", response->extended);
    else
        snprintf(out, size, "it does not say why");
}

estuary_status est_cmc_response_fail(const est_cmc_response *response, estuary_error *err)
{
    char why[256];
    reason(response, why, sizeof(why));
    est_code code = code_of(response);
    const char *quote = response->text[0] == '\0' ? "" : "\"";
    return est_fail(err, code, "%s: %s%s%s%s%s", est_code_sentence(code), why,
                    response->text[0] == '\0' ? "" : ": ", quote, response->text, quote);
}
