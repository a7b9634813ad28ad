#include "base/base.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE 768
#define DETAIL_SIZE  2048

struct estuary_error {
    est_code code;
    int http_status;
    time_t retry_at;
    char message[MESSAGE_SIZE];
    char detail[DETAIL_SIZE];
};

struct row {
    const char *code;
    estuary_status category;
    int exit_code;
    bool retryable;
    const char *sentence;
    const char *remedy;
};

static const struct row table[EST_CODE_COUNT] = {
    [EST_OK_CODE] = {"", ESTUARY_OK, 0, false, "", ""},
#define EST_ERROR(name, code, category, exit_code, retryable, sentence, remedy)                              \
    [EST_##name] = {code, ESTUARY_##category##_STATUS, exit_code, (retryable) != 0, sentence, remedy},
#define ESTUARY_USAGE_STATUS       ESTUARY_E_USAGE
#define ESTUARY_CONFIG_STATUS      ESTUARY_E_CONFIG
#define ESTUARY_NETWORK_STATUS     ESTUARY_E_NETWORK
#define ESTUARY_TLS_STATUS         ESTUARY_E_TLS
#define ESTUARY_TRUST_STATUS       ESTUARY_E_TRUST
#define ESTUARY_AUTH_STATUS        ESTUARY_E_AUTH
#define ESTUARY_PENDING_STATUS     ESTUARY_E_PENDING
#define ESTUARY_SERVER_STATUS      ESTUARY_E_SERVER
#define ESTUARY_PROTOCOL_STATUS    ESTUARY_E_PROTOCOL
#define ESTUARY_CERTIFICATE_STATUS ESTUARY_E_CERTIFICATE
#define ESTUARY_REVOKED_STATUS     ESTUARY_E_REVOKED
#define ESTUARY_KEY_STATUS         ESTUARY_E_KEY
#define ESTUARY_CRYPTO_STATUS      ESTUARY_E_CRYPTO
#define ESTUARY_IO_STATUS          ESTUARY_E_IO
#define ESTUARY_MEMORY_STATUS      ESTUARY_E_MEMORY
#define ESTUARY_UNSUPPORTED_STATUS ESTUARY_E_UNSUPPORTED
#define ESTUARY_CANCELLED_STATUS   ESTUARY_E_CANCELLED
#include "base/error_table.h"
#undef EST_ERROR
};

static const char *const status_names[] = {
    [ESTUARY_OK] = "ok",
    [ESTUARY_E_USAGE] = "usage",
    [ESTUARY_E_CONFIG] = "config",
    [ESTUARY_E_NETWORK] = "network",
    [ESTUARY_E_TLS] = "tls",
    [ESTUARY_E_TRUST] = "trust",
    [ESTUARY_E_AUTH] = "auth",
    [ESTUARY_E_PENDING] = "pending",
    [ESTUARY_E_SERVER] = "server",
    [ESTUARY_E_PROTOCOL] = "protocol",
    [ESTUARY_E_CERTIFICATE] = "certificate",
    [ESTUARY_E_REVOKED] = "revoked",
    [ESTUARY_E_KEY] = "key",
    [ESTUARY_E_CRYPTO] = "crypto",
    [ESTUARY_E_IO] = "io",
    [ESTUARY_E_MEMORY] = "memory",
    [ESTUARY_E_UNSUPPORTED] = "unsupported",
    [ESTUARY_E_CANCELLED] = "cancelled",
};

estuary_error *estuary_error_new(void)
{
    return est_alloc(sizeof(estuary_error));
}

void estuary_error_free(estuary_error *err)
{
    est_free(err);
}

void estuary_error_clear(estuary_error *err)
{
    if (err != NULL)
        memset(err, 0, sizeof(*err));
}

estuary_status estuary_error_category(const estuary_error *err)
{
    return err == NULL ? ESTUARY_OK : table[err->code].category;
}

const char *estuary_error_code(const estuary_error *err)
{
    return err == NULL ? "" : table[err->code].code;
}

const char *estuary_error_message(const estuary_error *err)
{
    return err == NULL ? "" : err->message;
}

const char *estuary_error_detail(const estuary_error *err)
{
    return err == NULL ? "" : err->detail;
}

const char *estuary_error_remedy(const estuary_error *err)
{
    return err == NULL ? "" : table[err->code].remedy;
}

int estuary_error_http_status(const estuary_error *err)
{
    return err == NULL ? 0 : err->http_status;
}

bool estuary_error_retryable(const estuary_error *err)
{
    return err != NULL && table[err->code].retryable;
}

time_t estuary_error_retry_at(const estuary_error *err)
{
    return err == NULL ? 0 : err->retry_at;
}

int estuary_error_exit_code(const estuary_error *err)
{
    return err == NULL ? 0 : table[err->code].exit_code;
}

const char *estuary_status_name(estuary_status status)
{
    size_t index = (size_t)status;
    if (index >= sizeof(status_names) / sizeof(status_names[0]))
        return "unknown";
    return status_names[index];
}

bool estuary_error_table(size_t index, const char **code, estuary_status *category, const char **sentence,
                         int *exit_code)
{
    if (index >= EST_CODE_COUNT - 1)
        return false;
    const struct row *row = &table[index + 1];
    if (code != NULL)
        *code = row->code;
    if (category != NULL)
        *category = row->category;
    if (sentence != NULL)
        *sentence = row->sentence;
    if (exit_code != NULL)
        *exit_code = row->exit_code;
    return true;
}

const char *est_code_text(est_code code)
{
    return table[code].code;
}

const char *est_code_sentence(est_code code)
{
    return table[code].sentence;
}

est_code est_error_code_of(const estuary_error *err)
{
    return err == NULL ? EST_OK_CODE : err->code;
}

void est_error_copy(estuary_error *to, const estuary_error *from)
{
    if (to != NULL && from != NULL)
        *to = *from;
}

static void format_text(char *out, size_t size, const char *fmt, va_list args)
{
    int wanted = vsnprintf(out, size, fmt, args);
    if (wanted < 0)
        out[0] = '\0';
    if (wanted >= 0 && (size_t)wanted >= size) {
        size_t cut = size - 4;
        while (cut > 0 && ((unsigned char)out[cut] & 0xc0) == 0x80)
            cut--; /* never in the middle of a UTF-8 sequence */
        memcpy(out + cut, "...", 4);
    }
    /* arguments may come from a file name or an environment: JSON output needs valid UTF-8 */
    est_text_sanitise(out, strlen(out), out, size);
}

static estuary_status set(estuary_error *err, est_code code, const char *fmt, va_list args)
{
    /* what est_error_code_of() says of an error object that could not be made: no failure reads as success */
    if (code == EST_OK_CODE)
        code = EST_MEMORY;
    if (err != NULL) {
        estuary_error_clear(err);
        err->code = code;
        if (fmt != NULL)
            format_text(err->message, sizeof(err->message), fmt, args);
        else
            memcpy(err->message, table[code].sentence, strlen(table[code].sentence) + 1);
    }
    return table[code].category;
}

estuary_status est_fail(estuary_error *err, est_code code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    estuary_status status = set(err, code, fmt, args);
    va_end(args);
    return status;
}

estuary_status est_fail_memory(estuary_error *err)
{
    return est_fail(err, EST_MEMORY, NULL);
}

estuary_status est_fail_errno(estuary_error *err, est_code code, const char *fmt, ...)
{
    char buffer[128] = "";
    /* the GNU variant: it returns the text, which need not be in the buffer; strerror() is not thread-safe */
    const char *reason = strerror_r(errno, buffer, sizeof(buffer));
    va_list args;
    va_start(args, fmt);
    estuary_status status = set(err, code, fmt, args);
    va_end(args);
    if (err != NULL) {
        size_t used = strlen(err->message);
        snprintf(err->message + used, sizeof(err->message) - used, ": %s", reason);
    }
    return status;
}

/* An out-of-memory inside OpenSSL is out of memory, whatever the call was for. */
static bool queue_reports_memory(void)
{
    return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE ||
           ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE;
}

/* Our own number in OpenSSL's error codes. */
static int own_library;

static void take_library_number(void)
{
    own_library = ERR_get_next_error_library();
}

void est_openssl_raise(est_code code, const char *sentence)
{
    if (!est_process_once(EST_ONCE_OPENSSL_LIBRARY, take_library_number))
        return;
    ERR_new();
    ERR_set_debug(__FILE__, __LINE__, __func__);
    ERR_set_error(own_library, (int)code, "%s", sentence == NULL ? table[code].sentence : sentence);
}

bool est_openssl_says(const char *words)
{
    const char *data = NULL;
    int flags = 0;
    return ERR_peek_error_data(&data, &flags) != 0 && (flags & ERR_TXT_STRING) != 0 && data != NULL &&
           strstr(data, words) != NULL;
}

/* Into detail; what est_openssl_raise() put there comes back as *own and its sentence. */
static void take_openssl_queue(estuary_error *err, est_code *own, char sentence[MESSAGE_SIZE])
{
    unsigned long code;
    size_t used = 0;
    const char *data;
    int flags;
    *own = EST_OK_CODE;
    while ((code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
        char text[256];
        bool has_data = (flags & ERR_TXT_STRING) != 0 && data != NULL && *data != '\0';
        if (own_library != 0 && ERR_GET_LIB(code) == own_library && *own == EST_OK_CODE && has_data &&
            ERR_GET_REASON(code) > EST_OK_CODE && ERR_GET_REASON(code) < EST_CODE_COUNT) {
            *own = (est_code)ERR_GET_REASON(code);
            est_text_sanitise(data, strlen(data), sentence, MESSAGE_SIZE);
        }
        ERR_error_string_n(code, text, sizeof(text));
        if (err == NULL || used >= sizeof(err->detail))
            continue;
        int n = snprintf(err->detail + used, sizeof(err->detail) - used, "%s%s%s%s", used > 0 ? "; " : "",
                         text, has_data ? ": " : "", has_data ? data : "");
        if (n > 0)
            used += (size_t)n;
    }
    if (err != NULL)
        est_text_sanitise(err->detail, strlen(err->detail), err->detail, sizeof(err->detail));
}

estuary_status est_fail_openssl(estuary_error *err, est_code code, const char *fmt, ...)
{
    est_code own = EST_OK_CODE;
    char sentence[MESSAGE_SIZE];
    if (queue_reports_memory()) {
        ERR_clear_error();
        return est_fail_memory(err);
    }
    va_list args;
    va_start(args, fmt);
    estuary_status status = set(err, code, fmt, args);
    va_end(args);
    take_openssl_queue(err, &own, sentence);
    if (own == EST_OK_CODE)
        return status;
    if (err != NULL) {
        err->code = own;
        memcpy(err->message, sentence, strlen(sentence) + 1);
    }
    return table[own].category;
}

void est_error_set_detail(estuary_error *err, const char *fmt, ...)
{
    if (err == NULL)
        return;
    va_list args;
    va_start(args, fmt);
    format_text(err->detail, sizeof(err->detail), fmt, args);
    va_end(args);
}

void est_error_set_http_status(estuary_error *err, int status)
{
    if (err != NULL)
        err->http_status = status;
}

void est_error_set_retry_at(estuary_error *err, time_t at)
{
    if (err != NULL)
        err->retry_at = at;
}

unsigned long est_openssl_first_error(void)
{
    return ERR_peek_error();
}
