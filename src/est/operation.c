#include "est/fullcmc.h"
#include "est/serverkeygen.h"

#include <string.h>

#define PKCS7    "application/pkcs7-mime"
#define CSRATTRS "application/csrattrs"

static const est_operation table[] = {
    {.operation = ESTUARY_OP_CACERTS,
     .name = "cacerts",
     .method = "GET",
     .accept = PKCS7,
     .answer_type = PKCS7,
     .smime_type = "certs-only",
     .read = est_cacerts_read},
    {.operation = ESTUARY_OP_CSRATTRS,
     .name = "csrattrs",
     .method = "GET",
     .accept = CSRATTRS,
     .answer_type = CSRATTRS,
     .absent_is_empty = true,
     .read = est_csrattrs_read},
    {.operation = ESTUARY_OP_SIMPLEENROLL,
     .name = "simpleenroll",
     .method = "POST",
     .content_type = "application/pkcs10",
     .accept = PKCS7,
     .answer_type = PKCS7,
     .smime_type = "certs-only",
     .enrolls = true,
     .build = est_simple_build,
     .read = est_simple_read},
    {.operation = ESTUARY_OP_SIMPLEREENROLL,
     .name = "simplereenroll",
     .method = "POST",
     .content_type = "application/pkcs10",
     .accept = PKCS7,
     .answer_type = PKCS7,
     .smime_type = "certs-only",
     .enrolls = true,
     .build = est_simple_build,
     .read = est_simple_read},
    {.operation = ESTUARY_OP_SERVERKEYGEN,
     .name = "serverkeygen",
     .method = "POST",
     .content_type = "application/pkcs10",
     .accept = "multipart/mixed",
     .answer_type = "multipart/mixed",
     .enrolls = true,
     .build = est_serverkeygen_build,
     .read = est_serverkeygen_read},
    {.operation = ESTUARY_OP_FULLCMC,
     .name = "fullcmc",
     .method = "POST",
     .content_type = "application/pkcs7-mime; smime-type=CMC-request", /* RFC 7030 4.3.1 */
     .accept = PKCS7,
     .answer_type = PKCS7,
     .enrolls = true,
     .build = est_fullcmc_build,
     .read = est_fullcmc_read,
     .read_refusal = est_fullcmc_read_refusal},
    {.operation = ESTUARY_OP_RENEWAL_INFO,
     .name = "renewal-info",
     .method = "GET",
     .accept = "application/json",
     .answer_type = "application/json",
     .absent_is_empty = true,
     .build = est_renewal_info_build,
     .read = est_renewal_info_read},
};

/* RFC 7030 3.2.2, and what later documents added */
static const char *const reserved[] = {"cacerts", "simpleenroll", "simplereenroll",
                                       "fullcmc", "serverkeygen", "csrattrs",
                                       "pal",     "renewal-info"};

const est_operation *est_operation_get(estuary_operation operation)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].operation == operation)
            return &table[i];
    }
    return NULL;
}

bool est_operation_from_name(const char *name, estuary_operation *out)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].name, name) == 0) {
            *out = table[i].operation;
            return true;
        }
    }
    return false;
}

bool est_operation_is_reserved(const char *segment)
{
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (est_text_equal_nocase(reserved[i], segment))
            return true;
    }
    return false;
}

const char *estuary_operation_name(estuary_operation operation)
{
    const est_operation *row = est_operation_get(operation);
    return row == NULL ? "" : row->name;
}
