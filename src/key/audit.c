/* Records: who used which key, and how it ended (K7, O3, O6); never a PIN or a value. */
#include "key/key.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_LEN 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static estuary_log *shared_log;
static estuary_metrics *shared_metrics;
static atomic_bool wanted; /* spares the lock where nobody listens */

static const struct {
    const char *event, *message;
    const char *counter; /* of those that succeeded; NULL: not counted by itself */
} rows[] = {[EST_KEY_OP_LOGIN] = {"key.login", "logged in to a token", "key_logins_total"},
            [EST_KEY_OP_OPEN] = {"key.open", "a private key was opened", "keys_opened_total"},
            [EST_KEY_OP_FIND] = {"key.find", "a key was found in a token", NULL},
            [EST_KEY_OP_LIST] = {"key.list", "the keys of a token were listed", NULL},
            [EST_KEY_OP_SHOW] = {"key.show", "a key of a token was looked at", NULL},
            [EST_KEY_OP_GENERATE] = {"key.generate", "a key was made", "keys_generated_total"},
            [EST_KEY_OP_DELETE] = {"key.delete", "a key was destroyed", "keys_deleted_total"},
            [EST_KEY_OP_SIGN] = {"key.sign", "a key signed", "key_signatures_total"},
            [EST_KEY_OP_DECRYPT] = {"key.decrypt", "a key decrypted", "key_decryptions_total"},
            [EST_KEY_OP_DERIVE] = {"key.derive", "a key derived a shared secret", "key_derivations_total"},
            [EST_KEY_OP_ENCRYPT] = {"key.encrypt", "a key of a token encrypted", "key_encryptions_total"},
            [EST_KEY_OP_WRAP] = {"key.wrap", "a key was wrapped by another", "keys_wrapped_total"},
            [EST_KEY_OP_UNWRAP] = {"key.unwrap", "a key was unwrapped into a token", "keys_unwrapped_total"}};

/* Those with an alarm are there from the start: a rate of what appears with its first event is 0. */
static void begin_counters(estuary_metrics *metrics)
{
    static const char *const names[] = {"key_pin_failures_total", "key_sessions_closed_total",
                                        "key_sessions_opened_total", "keys_deleted_total",
                                        "keys_generated_total"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        est_count_add(metrics, names[i], 0);
}

void estuary_process_set_key_records(estuary_log *log, estuary_metrics *metrics)
{
    begin_counters(metrics);
    (void)pthread_mutex_lock(&lock);
    estuary_log *old_log = shared_log;
    estuary_metrics *old_metrics = shared_metrics;
    shared_log = estuary_log_up_ref(log);
    shared_metrics = estuary_metrics_up_ref(metrics);
    atomic_store(&wanted, log != NULL || metrics != NULL);
    (void)pthread_mutex_unlock(&lock);
    estuary_log_free(old_log);
    estuary_metrics_free(old_metrics);
}

/* References, so that a change meanwhile takes nothing away; false when nobody listens. */
static bool listeners(estuary_log **log, estuary_metrics **metrics)
{
    if (!atomic_load(&wanted))
        return false;
    (void)pthread_mutex_lock(&lock);
    *log = estuary_log_up_ref(shared_log);
    *metrics = estuary_metrics_up_ref(shared_metrics);
    (void)pthread_mutex_unlock(&lock);
    return true;
}

/* What may stand in a record of an RFC 7512 URI; a PIN or a secret may stand in whatever else there is. */
static bool is_harmless(const char *attribute, size_t len)
{
    static const char *const names[] = {
        "token=", "serial=", "manufacturer=", "model=", "slot-id=", "object=", "id=", "type="};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (len > strlen(names[i]) && strncmp(attribute, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

/* The name of a key as it may be written down. */
static void clean_name(const char *key, char out[NAME_MAX_LEN])
{
    static const char scheme[] = "pkcs11:";
    est_buf text = {.max = NAME_MAX_LEN - 1};
    *out = '\0';
    if (strncasecmp(key, scheme, sizeof(scheme) - 1) != 0) {
        est_text_sanitise(key, strlen(key), out, NAME_MAX_LEN);
        return;
    }
    bool ok = est_buf_append(&text, scheme, sizeof(scheme) - 1) == EST_APPEND_OK;
    for (const char *at = key + sizeof(scheme) - 1; ok && *at != '\0' && *at != '?';) {
        size_t len = strcspn(at, ";?");
        if (is_harmless(at, len))
            ok = (text.len == sizeof(scheme) - 1 || est_buf_append(&text, ";", 1) == EST_APPEND_OK) &&
                 est_buf_append(&text, at, len) == EST_APPEND_OK;
        at += len + (at[len] == ';' ? 1 : 0);
    }
    if (text.len > 0)
        est_text_sanitise(text.data, text.len, out, NAME_MAX_LEN);
    est_buf_free(&text);
}

estuary_status est_key_audit(est_key_operation operation, const char *key, const char *serial,
                             estuary_status status, const estuary_error *err)
{
    char name[NAME_MAX_LEN] = "";
    estuary_log *log = NULL;
    estuary_metrics *metrics = NULL;
    bool done = status == ESTUARY_OK;
    if (!listeners(&log, &metrics))
        return status;
    est_count(metrics, "key_operations_total");
    if (!done)
        est_count(metrics, "key_operations_failed_total");
    else if (rows[operation].counter != NULL)
        est_count(metrics, rows[operation].counter);
    if (log != NULL && key != NULL)
        clean_name(key, name);
    const char *why = err == NULL ? "the operation on the key failed" : estuary_error_message(err);
    est_log(log, ESTUARY_LOG_AUDIT, rows[operation].event, done ? rows[operation].message : why, "outcome",
            done ? "done" : "failed", "code", done || err == NULL ? NULL : estuary_error_code(err), "key",
            name, "serial", serial, NULL);
    estuary_log_free(log);
    estuary_metrics_free(metrics);
    return status;
}

void est_key_count(const char *name)
{
    estuary_log *log = NULL;
    estuary_metrics *metrics = NULL;
    if (!listeners(&log, &metrics))
        return;
    est_count(metrics, name);
    estuary_log_free(log);
    estuary_metrics_free(metrics);
}

void est_key_warn(const char *event, const char *message, const char *key)
{
    char name[NAME_MAX_LEN] = "";
    estuary_log *log = NULL;
    estuary_metrics *metrics = NULL;
    if (!listeners(&log, &metrics))
        return;
    clean_name(key, name);
    est_log(log, ESTUARY_LOG_WARNING, event, message, "key", name, NULL);
    estuary_log_free(log);
    estuary_metrics_free(metrics);
}
