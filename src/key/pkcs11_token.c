/* Tokens: found by URI, shared by all keys on them, with a pool of sessions and one login (K2). */
#include "key/pkcs11.h"

#include <string.h>

#define SLOTS_MAX 256

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static est_p11_token *list; /* each token once */

/* What a search found: a copy of the place, and how many there were. */
typedef struct candidate {
    CK_FUNCTION_LIST *calls;
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
    size_t count;
} candidate;

static void look_at(const est_p11_uri *uri, CK_FUNCTION_LIST *calls, CK_SLOT_ID slot, candidate *found)
{
    const est_p11_kit *kit = est_p11_kit_get();
    CK_SLOT_INFO slot_info;
    CK_TOKEN_INFO info;
    CK_SLOT_ID wanted = kit->uri_get_slot_id(uri->parsed);
    if (wanted != (CK_SLOT_ID)-1 && wanted != slot)
        return;
    memset(&info, 0, sizeof(info));
    if (calls->C_GetSlotInfo(slot, &slot_info) != CKR_OK || calls->C_GetTokenInfo(slot, &info) != CKR_OK)
        return;
    if ((info.flags & CKF_TOKEN_INITIALIZED) == 0 || kit->uri_match_slot_info(uri->parsed, &slot_info) != 1 ||
        kit->uri_match_token_info(uri->parsed, &info) != 1)
        return;
    found->count++;
    found->calls = calls;
    found->slot = slot;
    found->info = info;
}

static estuary_status search_module(const est_p11_uri *uri, CK_FUNCTION_LIST *calls, candidate *found,
                                    estuary_error *err)
{
    const est_p11_kit *kit = est_p11_kit_get();
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = SLOTS_MAX;
    CK_INFO info;
    if (calls->C_GetInfo == NULL || calls->C_GetSlotList == NULL || calls->C_GetSlotInfo == NULL ||
        calls->C_GetTokenInfo == NULL)
        return est_fail(err, EST_KEY_TOKEN, "the PKCS#11 module lacks functions it must have");
    memset(&info, 0, sizeof(info));
    CK_RV rv = calls->C_GetInfo(&info);
    if (rv == CKR_OK && kit->uri_match_module_info(uri->parsed, &info) != 1)
        return ESTUARY_OK;
    if (rv == CKR_OK)
        rv = calls->C_GetSlotList(CK_TRUE, slots, &n);
    if (rv != CKR_OK)
        return est_p11_fail(err, rv, "listing its slots");
    if (n > SLOTS_MAX)
        return est_fail(err, EST_KEY_TOKEN, "the PKCS#11 module names more slots than it was asked for");
    for (CK_ULONG i = 0; i < n; i++)
        look_at(uri, calls, slots[i], found);
    return ESTUARY_OK;
}

static estuary_status search(const est_p11_uri *uri, const est_p11_modules *modules, candidate *found,
                             estuary_error *err)
{
    const char *name = est_p11_kit_get()->uri_get_module_name(uri->parsed);
    for (size_t i = 0; modules->list[i] != NULL; i++) {
        if (name != NULL) {
            char *own = est_p11_kit_get()->module_get_name(modules->list[i]);
            bool other = own == NULL || strcmp(own, name) != 0;
            free(own); /* p11-kit's, made with malloc() */
            if (other)
                continue;
        }
        estuary_status status = search_module(uri, modules->list[i], found, err);
        if (status != ESTUARY_OK)
            return status;
    }
    if (found->count == 0)
        return est_fail(err, EST_KEY_TOKEN_MISSING, NULL);
    return found->count == 1 ? ESTUARY_OK : est_fail(err, EST_KEY_TOKEN_AMBIGUOUS, NULL);
}

static void free_token(est_p11_token *token)
{
    est_p11_modules_free(token->modules);
    est_free(token->module);
    estuary_secret_free(token->pin);
    estuary_secret_free(token->refused_pin);
    (void)pthread_mutex_destroy(&token->lock);
    est_free(token);
}

/* With the list's lock held. */
static est_p11_token *find_listed(const candidate *found, const char *module)
{
    for (est_p11_token *token = list; token != NULL; token = token->next) {
        if (token->slot == found->slot && strcmp(token->module, module) == 0 &&
            memcmp(token->info.label, found->info.label, sizeof(found->info.label)) == 0 &&
            memcmp(token->info.serialNumber, found->info.serialNumber, sizeof(found->info.serialNumber)) ==
                0 &&
            memcmp(token->info.model, found->info.model, sizeof(found->info.model)) == 0)
            return token;
    }
    return NULL;
}

/* On success it owns the modules. */
static est_p11_token *new_token(const candidate *found, const char *module, est_p11_modules *modules)
{
    est_p11_token *token = est_alloc(sizeof(*token));
    if (token == NULL)
        return NULL;
    token->module = est_strdup(module);
    if (token->module == NULL || pthread_mutex_init(&token->lock, NULL) != 0) {
        est_free(token->module);
        est_free(token);
        return NULL;
    }
    token->calls = found->calls;
    token->slot = found->slot;
    token->info = found->info;
    token->modules = modules;
    est_p11_text(found->info.label, sizeof(found->info.label), token->label);
    est_p11_text(found->info.serialNumber, sizeof(found->info.serialNumber), token->serial);
    token->next = list;
    list = token;
    return token;
}

/* A new PIN counts when there was none, or the last one did not serve. */
static void offer_pin(est_p11_token *token, const estuary_secret *pin)
{
    (void)pthread_mutex_lock(&token->lock);
    if (pin != NULL && (token->pin == NULL || !token->connected)) {
        estuary_secret_free(token->pin);
        token->pin = estuary_secret_up_ref((estuary_secret *)pin);
    }
    (void)pthread_mutex_unlock(&token->lock);
}

/* The listed one, or a new one, which takes the modules; referenced. NULL: memory is short. */
static est_p11_token *take_listed(const candidate *found, est_p11_modules **modules)
{
    char *module = est_p11_module_identity(found->calls);
    if (module == NULL)
        return NULL;
    (void)pthread_mutex_lock(&list_lock);
    est_p11_token *token = find_listed(found, module);
    if (token == NULL && (token = new_token(found, module, *modules)) != NULL)
        *modules = NULL;
    if (token != NULL)
        token->references++;
    (void)pthread_mutex_unlock(&list_lock);
    est_free(module);
    return token;
}

estuary_status est_p11_token_open(const est_p11_uri *uri, const estuary_secret *pin, est_p11_token **out,
                                  estuary_error *err)
{
    est_p11_modules *modules = NULL;
    candidate found = {0};
    *out = NULL;
    estuary_status status = est_p11_modules_open(uri, &modules, err);
    if (status == ESTUARY_OK)
        status = search(uri, modules, &found, err);
    if (status == ESTUARY_OK) {
        est_p11_token *token = take_listed(&found, &modules);
        if (token == NULL)
            status = est_fail_memory(err);
        else
            offer_pin(token, uri->pin != NULL ? uri->pin : pin);
        *out = token;
    }
    est_p11_modules_free(modules);
    return status;
}

est_p11_token *est_p11_token_up_ref(est_p11_token *token)
{
    (void)pthread_mutex_lock(&list_lock);
    token->references++;
    (void)pthread_mutex_unlock(&list_lock);
    return token;
}

static void close_session(const est_p11_token *token, CK_SESSION_HANDLE session)
{
    (void)token->calls->C_CloseSession(session);
    est_key_count("key_sessions_closed_total");
}

static CK_RV begin_session(const est_p11_token *token, CK_FLAGS flags, CK_SESSION_HANDLE *session)
{
    CK_RV rv = token->calls->C_OpenSession(token->slot, CKF_SERIAL_SESSION | flags, NULL, NULL, session);
    if (rv == CKR_OK)
        est_key_count("key_sessions_opened_total");
    return rv;
}

/* With the token's lock held. */
static void disconnect(est_p11_token *token)
{
    bool ours = token->pid == getpid(); /* a child must not touch its parent's sessions */
    for (size_t i = 0; ours && i < token->n_idle; i++)
        close_session(token, token->idle[i]);
    if (ours && token->connected)
        close_session(token, token->anchor);
    token->n_idle = 0;
    token->connected = false;
}

void est_p11_token_free(est_p11_token *token)
{
    if (token == NULL)
        return;
    (void)pthread_mutex_lock(&list_lock);
    bool last = --token->references == 0;
    for (est_p11_token **at = &list; last && *at != NULL; at = &(*at)->next) {
        if (*at == token) {
            *at = token->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&list_lock);
    if (!last)
        return;
    if (token->connected && token->logged_in && token->pid == getpid())
        (void)token->calls->C_Logout(token->anchor); /* K2: logout at close */
    disconnect(token);
    free_token(token);
}

static bool has_session_calls(const CK_FUNCTION_LIST *calls)
{
    return calls->C_OpenSession != NULL && calls->C_CloseSession != NULL && calls->C_Login != NULL &&
           calls->C_Logout != NULL && calls->C_FindObjectsInit != NULL && calls->C_FindObjects != NULL &&
           calls->C_FindObjectsFinal != NULL && calls->C_GetAttributeValue != NULL &&
           calls->C_SignInit != NULL && calls->C_Sign != NULL;
}

/* After fork() a module must be initialised again (PKCS#11 2.40 5.4), and the parent's handles are not ours.
 */
static estuary_status survive_fork(est_p11_token *token, estuary_error *err)
{
    const est_p11_kit *kit = est_p11_kit_get();
    CK_RV rv = CKR_OK;
    if (token->pid == getpid())
        return ESTUARY_OK;
    if (token->pid != 0) {
        disconnect(token);
        rv = token->modules->list == token->modules->single
                 ? kit->module_initialize(token->modules->single[0])
                 : kit->modules_initialize(token->modules->list, NULL);
    }
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return est_p11_fail(err, rv, "its initialisation after a fork");
    token->pid = getpid();
    return ESTUARY_OK;
}

/* With the token's lock held. */
static estuary_status connect_token(est_p11_token *token, estuary_error *err)
{
    if (token->connected)
        return ESTUARY_OK;
    if (!has_session_calls(token->calls))
        return est_fail(err, EST_KEY_TOKEN, "the PKCS#11 module lacks functions it must have");
    CK_RV rv = begin_session(token, 0, &token->anchor);
    if (rv != CKR_OK)
        return est_p11_fail(err, rv, "opening a session");
    estuary_status status = est_p11_login(token, token->anchor, err);
    if (status != ESTUARY_OK) {
        close_session(token, token->anchor);
        return status;
    }
    token->connected = true;
    token->generation++;
    return ESTUARY_OK;
}

static estuary_status open_session(est_p11_token *token, bool writes, est_p11_session *out,
                                   estuary_error *err)
{
    if (!writes && token->n_idle > 0) {
        out->handle = token->idle[--token->n_idle];
        return ESTUARY_OK;
    }
    CK_RV rv = begin_session(token, writes ? CKF_RW_SESSION : 0, &out->handle);
    if (rv == CKR_OK)
        return ESTUARY_OK;
    if (est_p11_is_lost(rv))
        disconnect(token);
    return est_p11_fail(err, rv, "opening a session");
}

estuary_status est_p11_session_take(est_p11_token *token, bool writes, est_p11_session *out,
                                    estuary_error *err)
{
    memset(out, 0, sizeof(*out));
    (void)pthread_mutex_lock(&token->lock);
    estuary_status status = survive_fork(token, err);
    if (status == ESTUARY_OK)
        status = connect_token(token, err);
    if (status == ESTUARY_OK)
        status = open_session(token, writes, out, err);
    if (status == ESTUARY_OK) {
        out->token = token;
        out->generation = token->generation;
        out->writes = writes;
    }
    (void)pthread_mutex_unlock(&token->lock);
    return status;
}

void est_p11_session_give(est_p11_session *session, CK_RV rv)
{
    est_p11_token *token = session->token;
    if (token == NULL)
        return;
    (void)pthread_mutex_lock(&token->lock);
    bool gone = session->generation != token->generation || !token->connected;
    if (!gone) {
        gone = est_p11_is_lost(rv);
        if (gone)
            disconnect(token);
        else if (rv == CKR_OK && !session->writes && token->n_idle < EST_P11_IDLE_MAX)
            token->idle[token->n_idle++] = session->handle;
        else
            close_session(token, session->handle);
    }
    if (gone)
        est_key_count("key_sessions_closed_total"); /* with the connection */
    (void)pthread_mutex_unlock(&token->lock);
    memset(session, 0, sizeof(*session));
}
