#include "key/pkcs11.h"

#include <string.h>

#define ROW(value) value, #value

static const struct {
    CK_RV rv;
    const char *name;
    est_code code;
    bool lost;
} table[] = {
    {ROW(CKR_HOST_MEMORY), EST_MEMORY, false},
    {ROW(CKR_DEVICE_MEMORY), EST_KEY_TOKEN_FULL, false},
    {ROW(CKR_PIN_INCORRECT), EST_KEY_PIN, false},
    {ROW(CKR_PIN_INVALID), EST_KEY_PIN, false},
    {ROW(CKR_PIN_LEN_RANGE), EST_KEY_PIN, false},
    {ROW(CKR_PIN_EXPIRED), EST_KEY_PIN_EXPIRED, false},
    {ROW(CKR_PIN_LOCKED), EST_KEY_PIN_LOCKED, false},
    {ROW(CKR_USER_PIN_NOT_INITIALIZED), EST_KEY_TOKEN, false},
    {ROW(CKR_USER_NOT_LOGGED_IN), EST_KEY_TOKEN_RESET, true},
    {ROW(CKR_DEVICE_REMOVED), EST_KEY_TOKEN_REMOVED, true},
    {ROW(CKR_TOKEN_NOT_PRESENT), EST_KEY_TOKEN_REMOVED, true},
    {ROW(CKR_SLOT_ID_INVALID), EST_KEY_TOKEN_REMOVED, true},
    {ROW(CKR_TOKEN_NOT_RECOGNIZED), EST_KEY_TOKEN_REMOVED, true},
    {ROW(CKR_SESSION_CLOSED), EST_KEY_TOKEN_RESET, true},
    {ROW(CKR_SESSION_HANDLE_INVALID), EST_KEY_TOKEN_RESET, true},
    {ROW(CKR_KEY_HANDLE_INVALID), EST_KEY_TOKEN_RESET, true},
    {ROW(CKR_OBJECT_HANDLE_INVALID), EST_KEY_TOKEN_RESET, true},
    {ROW(CKR_CRYPTOKI_NOT_INITIALIZED), EST_KEY_TOKEN_RESET, true},
    {ROW(CKR_DEVICE_ERROR), EST_KEY_TOKEN, true},
    {ROW(CKR_GENERAL_ERROR), EST_KEY_TOKEN, true},
    {ROW(CKR_FUNCTION_FAILED), EST_KEY_TOKEN, false},
    {ROW(CKR_SESSION_COUNT), EST_KEY_TOKEN_SESSIONS, false},
    {ROW(CKR_SESSION_READ_ONLY), EST_KEY_TOKEN_READ_ONLY, false},
    {ROW(CKR_TOKEN_WRITE_PROTECTED), EST_KEY_TOKEN_READ_ONLY, false},
    {ROW(CKR_MECHANISM_INVALID), EST_KEY_OPERATION, false},
    {ROW(CKR_MECHANISM_PARAM_INVALID), EST_KEY_OPERATION, false},
    {ROW(CKR_KEY_FUNCTION_NOT_PERMITTED), EST_KEY_OPERATION, false},
    {ROW(CKR_KEY_TYPE_INCONSISTENT), EST_KEY_OPERATION, false},
    {ROW(CKR_KEY_SIZE_RANGE), EST_KEY_OPERATION, false},
    {ROW(CKR_KEY_NOT_WRAPPABLE), EST_KEY_OPERATION, false},
    {ROW(CKR_KEY_UNEXTRACTABLE), EST_KEY_NOT_EXTRACTABLE, false},
    {ROW(CKR_WRAPPED_KEY_INVALID), EST_KEY_WRAPPED, false},
    {ROW(CKR_WRAPPED_KEY_LEN_RANGE), EST_KEY_WRAPPED, false},
    {ROW(CKR_WRAPPING_KEY_HANDLE_INVALID), EST_KEY_TOKEN_RESET, true},
    {ROW(CKR_WRAPPING_KEY_SIZE_RANGE), EST_KEY_OPERATION, false},
    {ROW(CKR_WRAPPING_KEY_TYPE_INCONSISTENT), EST_KEY_OPERATION, false},
    {ROW(CKR_UNWRAPPING_KEY_HANDLE_INVALID), EST_KEY_TOKEN_RESET, true},
    {ROW(CKR_UNWRAPPING_KEY_SIZE_RANGE), EST_KEY_OPERATION, false},
    {ROW(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT), EST_KEY_OPERATION, false},
    {ROW(CKR_FUNCTION_NOT_SUPPORTED), EST_KEY_OPERATION, false},
    {ROW(CKR_CURVE_NOT_SUPPORTED), EST_KEY_OPERATION, false},
    {ROW(CKR_ATTRIBUTE_SENSITIVE), EST_KEY_TOKEN, false},
    {ROW(CKR_ATTRIBUTE_TYPE_INVALID), EST_KEY_TOKEN, false},
    {ROW(CKR_ATTRIBUTE_VALUE_INVALID), EST_KEY_TOKEN, false},
    {ROW(CKR_TEMPLATE_INCOMPLETE), EST_KEY_TOKEN, false},
    {ROW(CKR_TEMPLATE_INCONSISTENT), EST_KEY_TOKEN, false},
    {ROW(CKR_BUFFER_TOO_SMALL), EST_KEY_TOKEN, false},
    {ROW(CKR_DATA_INVALID), EST_KEY_TOKEN, false},
    {ROW(CKR_DATA_LEN_RANGE), EST_KEY_TOKEN, false},
    {ROW(CKR_ENCRYPTED_DATA_INVALID), EST_KEY_TOKEN, false},
    {ROW(CKR_ENCRYPTED_DATA_LEN_RANGE), EST_KEY_TOKEN, false},
    {ROW(CKR_ARGUMENTS_BAD), EST_KEY_TOKEN, false},
    {ROW(CKR_OPERATION_ACTIVE), EST_KEY_TOKEN, true},
    {ROW(CKR_OPERATION_NOT_INITIALIZED), EST_KEY_TOKEN, true},
};

#define COUNT (sizeof(table) / sizeof(table[0]))

static size_t row_of(CK_RV rv)
{
    size_t i = 0;
    while (i < COUNT && table[i].rv != rv)
        i++;
    return i;
}

bool est_p11_is_lost(CK_RV rv)
{
    size_t row = row_of(rv);
    return row < COUNT && table[row].lost;
}

estuary_status est_p11_fail(estuary_error *err, CK_RV rv, const char *what)
{
    estuary_status status;
    size_t row = row_of(rv);
    if (row == COUNT)
        status = est_fail(err, EST_KEY_TOKEN, "the token failed at %s", what);
    else if (table[row].code == EST_KEY_TOKEN || table[row].code == EST_KEY_OPERATION)
        status = est_fail(err, table[row].code, "%s, at %s", est_code_sentence(table[row].code), what);
    else
        status = est_fail(err, table[row].code, NULL);
    if (row == COUNT)
        est_error_set_detail(err, "PKCS#11: 0x%lx at %s", rv, what);
    else
        est_error_set_detail(err, "PKCS#11: %s at %s", table[row].name, what);
    return status;
}
