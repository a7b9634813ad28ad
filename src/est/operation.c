#include "est/est.h"

#include <string.h>

#define CERTS_ONLY "application/pkcs7-mime"

static const est_operation table[] = {
    {ESTUARY_OP_CACERTS, "cacerts", "GET", NULL, CERTS_ONLY, CERTS_ONLY, false, false},
    {ESTUARY_OP_CSRATTRS, "csrattrs", "GET", NULL, "application/csrattrs", "application/csrattrs", false,
     true},
    {ESTUARY_OP_SIMPLEENROLL, "simpleenroll", "POST", "application/pkcs10", CERTS_ONLY, CERTS_ONLY, true,
     false},
    {ESTUARY_OP_SIMPLEREENROLL, "simplereenroll", "POST", "application/pkcs10", CERTS_ONLY, CERTS_ONLY, true,
     false},
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
