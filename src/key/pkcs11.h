/* PKCS#11 from within: modules, tokens, sessions, keys (K2, K3). For this room only. */
#ifndef EST_PKCS11_H
#define EST_PKCS11_H

#include "key/key.h"

#include <estuary/signer.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>
#include <pthread.h>
#include <unistd.h>

#define EST_P11_TEXT_SIZE 80 /* a token's label or serial number, cleaned */

/* pkcs11_kit.c: p11-kit, loaded on first use */

typedef struct est_p11_kit {
    P11KitUri *(*uri_new)(void);
    void (*uri_free)(P11KitUri *uri);
    int (*uri_parse)(const char *text, P11KitUriType type, P11KitUri *uri);
    int (*uri_any_unrecognized)(P11KitUri *uri);
    int (*uri_match_module_info)(const P11KitUri *uri, const CK_INFO *info);
    int (*uri_match_slot_info)(const P11KitUri *uri, const CK_SLOT_INFO *info);
    int (*uri_match_token_info)(const P11KitUri *uri, const CK_TOKEN_INFO *info);
    CK_SLOT_ID (*uri_get_slot_id)(P11KitUri *uri);
    CK_ATTRIBUTE_PTR (*uri_get_attribute)(P11KitUri *uri, CK_ATTRIBUTE_TYPE type);
    const char *(*uri_get_pin_value)(const P11KitUri *uri);
    const char *(*uri_get_pin_source)(const P11KitUri *uri);
    const char *(*uri_get_module_path)(const P11KitUri *uri);
    const char *(*uri_get_module_name)(const P11KitUri *uri);
    CK_FUNCTION_LIST **(*modules_load)(const char *reserved, int flags);
    CK_RV (*modules_initialize)(CK_FUNCTION_LIST **modules, p11_kit_destroyer failure);
    void (*modules_finalize_and_release)(CK_FUNCTION_LIST **modules);
    char *(*module_get_name)(CK_FUNCTION_LIST *module);
    char *(*module_get_filename)(CK_FUNCTION_LIST *module);
    CK_FUNCTION_LIST *(*module_load)(const char *path, int flags);
    CK_RV (*module_initialize)(CK_FUNCTION_LIST *module);
    CK_RV (*module_finalize)(CK_FUNCTION_LIST *module);
    void (*module_release)(CK_FUNCTION_LIST *module);
} est_p11_kit;

/* NULL when p11-kit is not installed. */
const est_p11_kit *est_p11_kit_get(void);

/* pkcs11_error.c */

/* What a return value of the token means, in a sentence: `what` is the step ("signing"). */
estuary_status est_p11_fail(estuary_error *err, CK_RV rv, const char *what);
/* Whether the session, or the whole connection to the token, is gone: found again by the next call. */
bool est_p11_is_lost(CK_RV rv);

/* pkcs11_uri.c */

typedef struct est_p11_uri {
    P11KitUri *parsed;
    estuary_secret *pin; /* of a pin-source file; NULL: none was named */
} est_p11_uri;

estuary_status est_p11_uri_parse(const char *text, est_p11_uri *out, estuary_error *err);
void est_p11_uri_clear(est_p11_uri *uri);

/* pkcs11_module.c */

/* Loaded and initialised modules; the list is NULL-terminated. */
typedef struct est_p11_modules {
    CK_FUNCTION_LIST **list;
    CK_FUNCTION_LIST *single[2]; /* of module-path: list points here */
} est_p11_modules;

estuary_status est_p11_modules_open(const est_p11_uri *uri, est_p11_modules **out, estuary_error *err);
void est_p11_modules_free(est_p11_modules *modules);
/* What tells a module from others in this process: its file, or else its name. Ours; NULL: short memory. */
char *est_p11_module_identity(CK_FUNCTION_LIST *module);

/* pkcs11_text.c: PKCS#11 pads its texts with blanks */

size_t est_p11_trim(const unsigned char *text, size_t len);
void est_p11_text(const unsigned char *text, size_t len, char out[EST_P11_TEXT_SIZE]);

/* pkcs11_token.c */

#define EST_P11_IDLE_MAX 16

typedef struct est_p11_token {
    size_t references; /* guarded by the list's lock */
    struct est_p11_token *next;
    est_p11_modules *modules;
    CK_FUNCTION_LIST *calls;
    char *module; /* its identity: what a token says of itself, another module can say too */
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
    char label[EST_P11_TEXT_SIZE];
    char serial[EST_P11_TEXT_SIZE];
    pthread_mutex_t lock; /* guards what follows */
    estuary_secret *pin;
    estuary_secret *refused_pin; /* never tried a second time (K3) */
    pid_t pid;                   /* who opened the sessions; a child of fork() starts anew */
    bool connected;
    bool logged_in;           /* by us: a login is the whole process's, and another's is not ours to end */
    unsigned generation;      /* counts connections: handles of an older one mean nothing */
    CK_SESSION_HANDLE anchor; /* keeps the login while no other session is open */
    CK_SESSION_HANDLE idle[EST_P11_IDLE_MAX];
    size_t n_idle;
} est_p11_token;

/* The one token the URI means; an error when it is none or several. pin may be NULL. */
estuary_status est_p11_token_open(const est_p11_uri *uri, const estuary_secret *pin, est_p11_token **out,
                                  estuary_error *err);
est_p11_token *est_p11_token_up_ref(est_p11_token *token);
void est_p11_token_free(est_p11_token *token);

typedef struct est_p11_session {
    est_p11_token *token;
    CK_SESSION_HANDLE handle;
    unsigned generation;
    bool writes; /* opened read-write; not kept */
} est_p11_session;

estuary_status est_p11_session_take(est_p11_token *token, bool writes, est_p11_session *out,
                                    estuary_error *err);
/* rv is the last call's: after a failure that the session does not survive it is not kept. */
void est_p11_session_give(est_p11_session *session, CK_RV rv);
/* For keys that want the PIN for each operation (CKA_ALWAYS_AUTHENTICATE). */
estuary_status est_p11_session_authenticate(const est_p11_session *session, estuary_error *err);

/* pkcs11_login.c: called with the token's lock held */
estuary_status est_p11_login(est_p11_token *token, CK_SESSION_HANDLE session, estuary_error *err);

/* pkcs11_object.c */

#define EST_P11_NAME_MAX 256

/* What finds an object again after the token was reset. */
typedef struct est_p11_name {
    uint8_t id[EST_P11_NAME_MAX];
    size_t id_len;
    uint8_t label[EST_P11_NAME_MAX];
    size_t label_len;
} est_p11_name;

/* Begins a search; C_FindObjects and C_FindObjectsFinal are the caller's. */
CK_RV est_p11_find_begin(const est_p11_session *session, CK_OBJECT_CLASS of, const est_p11_name *name);
/* Of class `of`; the one object whose id and label (as far as given) match, or an error. */
estuary_status est_p11_find(const est_p11_session *session, CK_OBJECT_CLASS of, const est_p11_name *name,
                            CK_OBJECT_HANDLE *out, estuary_error *err);
estuary_status est_p11_name_from_uri(const est_p11_uri *uri, est_p11_name *out, estuary_error *err);
/* Up to size bytes; *len is the value's length. */
estuary_status est_p11_attribute(const est_p11_session *session, CK_OBJECT_HANDLE object,
                                 CK_ATTRIBUTE_TYPE type, void *out, size_t size, size_t *len,
                                 estuary_error *err);
bool est_p11_flag(const est_p11_session *session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                  bool absent);
/* The public half of a private key, from its own attributes or those of its public key object. */
estuary_status est_p11_public_key(const est_p11_session *session, CK_OBJECT_HANDLE key,
                                  const est_p11_name *name, EVP_PKEY **out, estuary_error *err);

/* pkcs11_place.c: a URI, its token and a session there, and what the URI names */

typedef struct est_p11_place {
    est_p11_uri uri;
    est_p11_name name;
    est_p11_token *token;
    est_p11_session session;
} est_p11_place;

/* Zero-initialise; closed by the caller also after a failure. */
estuary_status est_p11_place_open(const char *uri, const estuary_secret *pin, bool writes, est_p11_place *out,
                                  estuary_error *err);
void est_p11_place_close(est_p11_place *at, CK_RV rv); /* rv is the last call's */
const char *est_p11_place_module_path(const est_p11_place *at);

/* pkcs11_object.c, too: the key's own id and label, whatever the URI said */
estuary_status est_p11_name_of(const est_p11_session *session, CK_OBJECT_HANDLE object, est_p11_name *out,
                               estuary_error *err);

/* pkcs11_format.c */

/* The URI that names exactly this key; module_path may be NULL. *out is freed with est_free(). */
estuary_status est_p11_uri_format(const est_p11_token *token, const est_p11_name *name,
                                  const char *module_path, char **out, estuary_error *err);
/* Hex digits without separators. */
void est_p11_hex(const uint8_t *bytes, size_t len, char out[2 * EST_P11_NAME_MAX + 1]);

/* pkcs11_mechanism.c: from digest names to PKCS#11's numbers; false for what has none */
bool est_p11_hash(const char *digest, CK_MECHANISM_TYPE *hash, CK_RSA_PKCS_MGF_TYPE *mgf);

#endif
