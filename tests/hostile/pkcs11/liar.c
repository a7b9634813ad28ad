#include "liar.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORTED __attribute__((visibility("default")))

static CK_FUNCTION_LIST *real, own;
static lie now;
static unsigned long calls, fail_from, fail_times, logins;
static CK_RV fail_with;
static size_t hole;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

EXPORTED liar_set_fn liar_set;
EXPORTED liar_fail_fn liar_fail;
EXPORTED liar_calls_fn liar_calls;
EXPORTED liar_hole_fn liar_hole;
EXPORTED liar_logins_fn liar_logins;
EXPORTED CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out);

void liar_set(lie what)
{
    now = what;
}

void liar_fail(unsigned long n, unsigned long times, CK_RV rv)
{
    calls = 0;
    fail_from = n;
    fail_times = times;
    fail_with = rv;
}

unsigned long liar_calls(void)
{
    return calls;
}

unsigned long liar_logins(void)
{
    return logins;
}

static CK_RV gate(void)
{
    (void)pthread_mutex_lock(&lock);
    calls++;
    CK_RV rv = fail_from > 0 && calls >= fail_from && calls < fail_from + fail_times ? fail_with : CKR_OK;
    (void)pthread_mutex_unlock(&lock);
    const struct timespec nap = {.tv_nsec = 5000000};
    if (now == LIE_SLOW)
        (void)nanosleep(&nap, NULL);
    return rv;
}

#define GATE                                                                                                 \
    do {                                                                                                     \
        CK_RV refused = gate();                                                                              \
        if (refused != CKR_OK)                                                                               \
            return refused;                                                                                  \
    } while (0)

static CK_RV get_info(CK_INFO_PTR info)
{
    GATE;
    return real->C_GetInfo(info);
}

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID_PTR list, CK_ULONG_PTR n)
{
    GATE;
    CK_RV rv = real->C_GetSlotList(present, list, n);
    if (now == LIE_SLOT_COUNT && rv == CKR_OK)
        *n = 1000000;
    return rv;
}

static CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO_PTR info)
{
    GATE;
    return real->C_GetSlotInfo(slot, info);
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info)
{
    GATE;
    CK_RV rv = real->C_GetTokenInfo(slot, info);
    if (rv == CKR_OK && now == LIE_LOCKED)
        info->flags |= CKF_USER_PIN_LOCKED;
    if (rv == CKR_OK && now == LIE_FINAL_TRY)
        info->flags |= CKF_USER_PIN_FINAL_TRY;
    if (rv == CKR_OK && now == LIE_COUNT_LOW)
        info->flags |= CKF_USER_PIN_COUNT_LOW;
    return rv;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR arg, CK_NOTIFY notify,
                          CK_SESSION_HANDLE_PTR out)
{
    GATE;
    return real->C_OpenSession(slot, flags, arg, notify, out);
}

static CK_RV close_session(CK_SESSION_HANDLE session)
{
    GATE;
    return real->C_CloseSession(session);
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG len)
{
    GATE;
    logins++;
    if (now == LIE_ALWAYS_AUTHENTICATE && user == CKU_CONTEXT_SPECIFIC)
        return CKR_OK; /* SoftHSM has none of these keys */
    return real->C_Login(session, user, pin, len);
}

static CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR list, CK_ULONG n)
{
    GATE;
    return real->C_FindObjectsInit(session, list, n);
}

static CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE_PTR out, CK_ULONG max, CK_ULONG_PTR n)
{
    GATE;
    CK_RV rv = real->C_FindObjects(session, out, max, n);
    if (rv == CKR_OK && now == LIE_FIND_COUNT)
        *n = max + 1000;
    return rv;
}

static CK_RV find_final(CK_SESSION_HANDLE session)
{
    GATE;
    return real->C_FindObjectsFinal(session);
}

static void bend(CK_ATTRIBUTE_PTR attribute)
{
    static unsigned char elsewhere[8192];
    CK_ATTRIBUTE_TYPE type = attribute->type;
    bool flag = attribute->ulValueLen == sizeof(CK_BBOOL);
    if (now == LIE_ATTRIBUTE_LENGTH)
        attribute->ulValueLen = 1000000;
    if (now == LIE_ATTRIBUTE_POINTER)
        attribute->pValue = elsewhere;
    if (now == LIE_ATTRIBUTE_EMPTY)
        attribute->ulValueLen = 0;
    if (now == LIE_POINT_GARBAGE && type == CKA_EC_POINT)
        memset(attribute->pValue, 0x5a, attribute->ulValueLen);
    if (flag && (now == LIE_EXTRACTABLE && type == CKA_EXTRACTABLE))
        *(CK_BBOOL *)attribute->pValue = CK_TRUE;
    if (flag && (now == LIE_NOT_SENSITIVE && type == CKA_SENSITIVE))
        *(CK_BBOOL *)attribute->pValue = CK_FALSE;
    if (flag && (now == LIE_ALWAYS_AUTHENTICATE && type == CKA_ALWAYS_AUTHENTICATE))
        *(CK_BBOOL *)attribute->pValue = CK_TRUE;
    if (now == LIE_DERIVE_SHORT && type == CKA_VALUE)
        attribute->ulValueLen = 1;
}

static CK_RV get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_PTR list,
                           CK_ULONG n)
{
    GATE;
    CK_RV rv = real->C_GetAttributeValue(session, object, list, n);
    for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++)
        bend(&list[i]);
    return rv;
}

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
    GATE;
    return real->C_SignInit(session, mechanism, key);
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
                  CK_ULONG_PTR len)
{
    GATE;
    CK_RV rv = real->C_Sign(session, in, in_len, out, len);
    if (rv != CKR_OK)
        return rv;
    if (now == LIE_SIGNATURE_LENGTH)
        *len = 1000000;
    if (now == LIE_SIGNATURE_EMPTY)
        *len = 0;
    if (now == LIE_SIGNATURE_ODD)
        *len -= 1;
    if (now == LIE_SIGNATURE_WRONG)
        out[*len - 1] ^= 0x10;
    return rv;
}

static CK_RV decrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
    GATE;
    return real->C_DecryptInit(session, mechanism, key);
}

static CK_RV decrypt(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
                     CK_ULONG_PTR len)
{
    GATE;
    CK_RV rv = real->C_Decrypt(session, in, in_len, out, len);
    if (rv == CKR_OK && now == LIE_DECRYPT_LENGTH)
        *len = 1000000;
    return rv;
}

static CK_RV derive(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE base,
                    CK_ATTRIBUTE_PTR list, CK_ULONG n, CK_OBJECT_HANDLE_PTR out)
{
    GATE;
    return real->C_DeriveKey(session, mechanism, base, list, n, out);
}

static CK_RV generate(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR open,
                      CK_ULONG n, CK_ATTRIBUTE_PTR closed, CK_ULONG m, CK_OBJECT_HANDLE_PTR one,
                      CK_OBJECT_HANDLE_PTR other)
{
    GATE;
    return real->C_GenerateKeyPair(session, mechanism, open, n, closed, m, one, other);
}

static CK_RV destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    GATE;
    return real->C_DestroyObject(session, object);
}

static CK_RV generate_secret(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR list,
                             CK_ULONG n, CK_OBJECT_HANDLE_PTR out)
{
    GATE;
    return real->C_GenerateKey(session, mechanism, list, n, out);
}

static CK_RV create(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR list, CK_ULONG n, CK_OBJECT_HANDLE_PTR out)
{
    GATE;
    return real->C_CreateObject(session, list, n, out);
}

static CK_RV wrap(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE by,
                  CK_OBJECT_HANDLE key, CK_BYTE_PTR out, CK_ULONG_PTR len)
{
    GATE;
    CK_RV rv = real->C_WrapKey(session, mechanism, by, key, out, len);
    if (rv == CKR_OK && now == LIE_WRAP_LENGTH)
        *len = 1000000;
    if (rv == CKR_OK && now == LIE_WRAP_EMPTY)
        *len = 0;
    return rv;
}

static CK_RV unwrap(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE by,
                    CK_BYTE_PTR in, CK_ULONG in_len, CK_ATTRIBUTE_PTR list, CK_ULONG n,
                    CK_OBJECT_HANDLE_PTR out)
{
    GATE;
    return real->C_UnwrapKey(session, mechanism, by, in, in_len, list, n, out);
}

static CK_RV encrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
    GATE;
    return real->C_EncryptInit(session, mechanism, key);
}

static CK_RV encrypt(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
                     CK_ULONG_PTR len)
{
    GATE;
    CK_RV rv = real->C_Encrypt(session, in, in_len, out, len);
    if (rv == CKR_OK && now == LIE_ENCRYPT_LENGTH)
        *len = 1000000;
    if (rv == CKR_OK && now == LIE_ENCRYPT_SHORT)
        *len = in_len;
    return rv;
}

static const size_t functions[] = {offsetof(CK_FUNCTION_LIST, C_Initialize),
                                   offsetof(CK_FUNCTION_LIST, C_Finalize),
                                   offsetof(CK_FUNCTION_LIST, C_GetInfo),
                                   offsetof(CK_FUNCTION_LIST, C_GetSlotList),
                                   offsetof(CK_FUNCTION_LIST, C_GetSlotInfo),
                                   offsetof(CK_FUNCTION_LIST, C_GetTokenInfo),
                                   offsetof(CK_FUNCTION_LIST, C_OpenSession),
                                   offsetof(CK_FUNCTION_LIST, C_CloseSession),
                                   offsetof(CK_FUNCTION_LIST, C_Login),
                                   offsetof(CK_FUNCTION_LIST, C_Logout),
                                   offsetof(CK_FUNCTION_LIST, C_FindObjectsInit),
                                   offsetof(CK_FUNCTION_LIST, C_FindObjects),
                                   offsetof(CK_FUNCTION_LIST, C_FindObjectsFinal),
                                   offsetof(CK_FUNCTION_LIST, C_GetAttributeValue),
                                   offsetof(CK_FUNCTION_LIST, C_SignInit),
                                   offsetof(CK_FUNCTION_LIST, C_Sign),
                                   offsetof(CK_FUNCTION_LIST, C_DecryptInit),
                                   offsetof(CK_FUNCTION_LIST, C_Decrypt),
                                   offsetof(CK_FUNCTION_LIST, C_DeriveKey),
                                   offsetof(CK_FUNCTION_LIST, C_GenerateKeyPair),
                                   offsetof(CK_FUNCTION_LIST, C_GenerateKey),
                                   offsetof(CK_FUNCTION_LIST, C_CreateObject),
                                   offsetof(CK_FUNCTION_LIST, C_DestroyObject),
                                   offsetof(CK_FUNCTION_LIST, C_WrapKey),
                                   offsetof(CK_FUNCTION_LIST, C_UnwrapKey),
                                   offsetof(CK_FUNCTION_LIST, C_EncryptInit),
                                   offsetof(CK_FUNCTION_LIST, C_Encrypt),
                                   offsetof(CK_FUNCTION_LIST, C_CloseAllSessions)};

bool liar_hole(size_t n)
{
    hole = n;
    return n <= sizeof(functions) / sizeof(functions[0]);
}

static bool find_real(void)
{
    const char *path = getenv("LIAR_TARGET");
    void *library = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = NULL;
    void *address = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");
    memcpy(&get, &address, sizeof(address));
    return get != NULL && get(&real) == CKR_OK;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out)
{
    if (real == NULL && !find_real())
        return CKR_GENERAL_ERROR;
    own = *real;
    own.C_GetFunctionList = C_GetFunctionList;
    own.C_GetInfo = get_info;
    own.C_GetSlotList = get_slot_list;
    own.C_GetSlotInfo = get_slot_info;
    own.C_GetTokenInfo = get_token_info;
    own.C_OpenSession = open_session;
    own.C_CloseSession = close_session;
    own.C_Login = login;
    own.C_FindObjectsInit = find_init;
    own.C_FindObjects = find;
    own.C_FindObjectsFinal = find_final;
    own.C_GetAttributeValue = get_attribute;
    own.C_SignInit = sign_init;
    own.C_Sign = sign;
    own.C_DecryptInit = decrypt_init;
    own.C_Decrypt = decrypt;
    own.C_DeriveKey = derive;
    own.C_GenerateKeyPair = generate;
    own.C_DestroyObject = destroy;
    own.C_GenerateKey = generate_secret;
    own.C_CreateObject = create;
    own.C_WrapKey = wrap;
    own.C_UnwrapKey = unwrap;
    own.C_EncryptInit = encrypt_init;
    own.C_Encrypt = encrypt;
    if (hole > 0 && hole <= sizeof(functions) / sizeof(functions[0]))
        memset((char *)&own + functions[hole - 1], 0, sizeof(own.C_GetInfo));
    *out = &own;
    return CKR_OK;
}
