/* The lab's own record of what is revoked: one file each, so that the command and a running lab share it. */
#include "revocation.h"

#include <ctype.h>
#include <dirent.h>
#include <event2/buffer.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MAX_RECORD  (64 * 1024)
#define MAX_REVOKED 100000

/* RFC 5280 5.3.1 */
static const struct {
    const char *name;
    int number;
} reasons[] = {
    {"unspecified", 0},        {"keyCompromise", 1},        {"cACompromise", 2},    {"affiliationChanged", 3},
    {"superseded", 4},         {"cessationOfOperation", 5}, {"certificateHold", 6}, {"removeFromCRL", 8},
    {"privilegeWithdrawn", 9}, {"aACompromise", 10},
};

#define REASONS (sizeof reasons / sizeof *reasons)

static const char *reason_name(int number)
{
    for (size_t i = 0; i < REASONS; i++) {
        if (reasons[i].number == number)
            return reasons[i].name;
    }
    return reasons[0].name;
}

bool serial_text(const ASN1_INTEGER *serial, char out[SERIAL_TEXT])
{
    BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
    char *hex = number == NULL ? NULL : BN_bn2hex(number);
    const bool ok = hex != NULL && snprintf(out, SERIAL_TEXT, "%s", hex) < SERIAL_TEXT;
    OPENSSL_free(hex);
    BN_free(number);
    return ok;
}

/* DIR/FOLDER/SERIAL.pem */
static char *record_path(const char *dir, const char *folder, const char *serial)
{
    const size_t size = strlen(dir) + strlen(folder) + strlen(serial) + sizeof "//.pem";
    char *path = malloc(size);
    if (path != NULL)
        (void)snprintf(path, size, "%s/%s/%s.pem", dir, folder, serial);
    return path;
}

/* "TIME REASON", then the certificate. */
static bool record_read(const char *path, struct revoked *out, X509 **certificate)
{
    struct bytes file = {0};
    BIO *bio = NULL;
    long long at = 0;
    bool ok = false;
    if (!file_read(path, MAX_RECORD, &file) || !bytes_append(&file, "", 1) ||
        sscanf((const char *)file.data, "%lld %d", &at, &out->reason) != 2)
        goto cleanup;
    out->at = (time_t)at;
    bio = BIO_new_mem_buf(file.data, (int)file.len - 1);
    *certificate = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    ok = *certificate != NULL;
cleanup:
    BIO_free(bio);
    bytes_clear(&file);
    return ok;
}

static bool record_write(const char *dir, const char *serial, const struct revoked *entry, X509 *certificate)
{
    char head[64];
    char *data = NULL;
    char *folder = path_join(dir, "revoked");
    char *path = record_path(dir, "revoked", serial);
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = false;
    (void)snprintf(head, sizeof head, "%lld %d\n", (long long)entry->at, entry->reason);
    if (folder == NULL || path == NULL || bio == NULL || !dir_create(folder) || BIO_puts(bio, head) <= 0 ||
        PEM_write_bio_X509(bio, certificate) != 1)
        goto cleanup;
    const long len = BIO_get_mem_data(bio, &data);
    ok = len > 0 && file_write(path, data, (size_t)len);
cleanup:
    BIO_free(bio);
    free(path);
    free(folder);
    return ok;
}

static bool made_by(const struct issuer *issuer, X509 *certificate)
{
    return X509_check_issued(issuer->certificate, certificate) == X509_V_OK;
}

static bool list_add(struct revoked_list *list, const struct revoked *entry, const X509 *certificate)
{
    if (list->count == MAX_REVOKED)
        return false;
    if ((list->count & (list->count - 1)) == 0) { /* a power of two, or nothing yet: double */
        const size_t room = list->count == 0 ? 1 : 2 * list->count;
        struct revoked *grown = realloc(list->at, room * sizeof *grown);
        if (grown == NULL)
            return false;
        list->at = grown;
    }
    ASN1_INTEGER *serial = ASN1_INTEGER_dup(X509_get0_serialNumber(certificate));
    if (serial == NULL)
        return false;
    list->at[list->count++] = (struct revoked){serial, entry->at, entry->reason};
    return true;
}

static int is_record(const struct dirent *entry)
{
    const size_t len = strlen(entry->d_name);
    return len > 4 && strcmp(entry->d_name + len - 4, ".pem") == 0;
}

bool revoked_load(const struct ca *ca, const struct issuer *issuer, struct revoked_list *out)
{
    struct dirent **names = NULL;
    bool ok = true;
    char *folder = path_join(ca->dir, "revoked");
    const int count =
        folder == NULL || !file_exists(folder) ? 0 : scandir(folder, &names, is_record, alphasort);
    if (folder == NULL || count < 0)
        ok = false;
    for (int i = 0; i < count; i++) {
        struct revoked entry = {0};
        X509 *certificate = NULL;
        char *path = path_join(folder, names[i]->d_name);
        /* a record that went away in the meantime is not revoked any more */
        if (path != NULL && record_read(path, &entry, &certificate) && made_by(issuer, certificate))
            ok = list_add(out, &entry, certificate) && ok;
        X509_free(certificate);
        free(path);
        free(names[i]);
    }
    free(names);
    free(folder);
    return ok;
}

void revoked_clear(struct revoked_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ASN1_INTEGER_free(list->at[i].serial);
    free(list->at);
    *list = (struct revoked_list){0};
}

/* What the lab made for itself lies beside the folder of issued certificates. */
static X509 *find_own(const char *dir, const char *serial)
{
    static const char *const names[] = {"issuing.pem",       "issuing-new.pem",     "server.pem",
                                        "ocsp-root.pem",     "ocsp-issuing.pem",    "ocsp-signer.pem",
                                        "ocsp-root-new.pem", "ocsp-issuing-new.pem"};
    char text[SERIAL_TEXT];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_join(dir, names[i]);
        X509 *certificate = path == NULL || !file_exists(path) ? NULL : file_read_certificate(path);
        free(path);
        if (certificate != NULL && serial_text(X509_get0_serialNumber(certificate), text) &&
            strcmp(text, serial) == 0)
            return certificate;
        X509_free(certificate);
    }
    return NULL;
}

static X509 *find_issued(const char *dir, const char *serial)
{
    char *path = record_path(dir, "issued", serial);
    X509 *certificate = path == NULL || !file_exists(path) ? NULL : file_read_certificate(path);
    free(path);
    return certificate != NULL ? certificate : find_own(dir, serial);
}

int revocation_status(const struct ca *ca, const struct issuer *issuer, const ASN1_INTEGER *serial,
                      struct revoked *out)
{
    char text[SERIAL_TEXT];
    X509 *certificate = NULL;
    char *path = NULL;
    int status = V_OCSP_CERTSTATUS_UNKNOWN;
    if (!serial_text(serial, text) || (path = record_path(ca->dir, "revoked", text)) == NULL)
        return status;
    if (file_exists(path) && record_read(path, out, &certificate))
        status = V_OCSP_CERTSTATUS_REVOKED;
    else if ((certificate = find_issued(ca->dir, text)) != NULL)
        status = V_OCSP_CERTSTATUS_GOOD;
    if (certificate != NULL && !made_by(issuer, certificate))
        status = V_OCSP_CERTSTATUS_UNKNOWN;
    X509_free(certificate);
    free(path);
    return status;
}

/* ---- the command ---- */

static bool parse_reason(const char *text, int *out)
{
    *out = NO_REASON;
    if (text == NULL)
        return true;
    for (size_t i = 0; i < REASONS; i++) {
        if (strcasecmp(reasons[i].name, text) == 0) {
            /* RFC 5280 5.3.1: instead of unspecified there should be no reason */
            *out = reasons[i].number == 0 ? NO_REASON : reasons[i].number;
            return true;
        }
    }
    (void)fprintf(stderr, "estuary-lab: unknown --reason: %s; it is one of", text);
    for (size_t i = 0; i < REASONS; i++)
        (void)fprintf(stderr, "%s %s", i == 0 ? "" : ",", reasons[i].name);
    (void)fputc('\n', stderr);
    return false;
}

/* As openssl and the access log print it; colons and lower case are welcome. */
static bool parse_serial(const char *text, char out[SERIAL_TEXT])
{
    char digits[SERIAL_TEXT];
    size_t len = 0;
    BIGNUM *number = NULL;
    char *hex = NULL;
    bool ok = false;
    if (strncasecmp(text, "0x", 2) == 0)
        text += 2;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == ':' && p != text)
            continue;
        if (len + 1 == sizeof digits || (!isxdigit((unsigned char)*p) && !(*p == '-' && p == text)))
            return false;
        digits[len++] = *p;
    }
    digits[len] = '\0';
    if (len == 0 || BN_hex2bn(&number, digits) != (int)len)
        goto cleanup;
    hex = BN_bn2hex(number);
    ok = hex != NULL && snprintf(out, SERIAL_TEXT, "%s", hex) < SERIAL_TEXT;
cleanup:
    OPENSSL_free(hex);
    BN_free(number);
    return ok;
}

static void tell(const char *what, const char *serial, const X509 *certificate, const struct revoked *entry)
{
    char when[32] = "";
    struct tm tm;
    char *subject = X509_NAME_oneline(X509_get_subject_name(certificate), NULL, 0);
    if (gmtime_r(&entry->at, &tm) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    (void)printf("%s %s (%s), %s, reason %s\n", what, serial, subject == NULL ? "?" : subject, when,
                 entry->reason == NO_REASON ? "not given" : reason_name(entry->reason));
    OPENSSL_free(subject);
}

/* The serial database is a log: the last line about a serial number counts. */
static bool note(const char *dir, const char *serial, const char *status)
{
    struct evbuffer *line = evbuffer_new();
    char *path = path_join(dir, "serials.jsonl");
    bool ok = false;
    if (line == NULL || path == NULL)
        goto cleanup;
    json_string(line, "serial", serial);
    json_string(line, "status", status);
    (void)evbuffer_add(line, "}\n", 2);
    ok = file_append_line(path, evbuffer_pullup(line, -1), evbuffer_get_length(line));
cleanup:
    free(path);
    if (line != NULL)
        evbuffer_free(line);
    return ok;
}

/* certificateHold is the one revocation that ends. RFC 5280 5.3.1 */
static int release(const char *dir, const char *serial, const X509 *certificate, const struct revoked *old)
{
    const struct revoked now = {NULL, time(NULL), 8};
    char *path = record_path(dir, "revoked", serial);
    int code = EXIT_FAILURE;
    if (old->reason != 6)
        (void)fprintf(stderr, "estuary-lab: %s is not on hold, so it cannot be released\n", serial);
    else if (path == NULL || unlink(path) != 0 || !note(dir, serial, "valid"))
        (void)fputs("estuary-lab: the record cannot be removed\n", stderr);
    else
        code = EXIT_SUCCESS;
    if (code == EXIT_SUCCESS)
        tell("released", serial, certificate, &now);
    free(path);
    return code;
}

static int revoke_serial(const char *dir, const char *serial, int reason)
{
    struct revoked entry = {NULL, time(NULL), reason};
    struct revoked old = {NULL, 0, NO_REASON};
    X509 *certificate = NULL;
    int code = EXIT_FAILURE;
    char *path = record_path(dir, "revoked", serial);
    const bool before = path != NULL && file_exists(path) && record_read(path, &old, &certificate);
    if (!before && (certificate = find_issued(dir, serial)) == NULL) {
        (void)fprintf(stderr, "estuary-lab: no certificate with the serial number %s was issued here\n",
                      serial);
    } else if (reason == 8) {
        code = release(dir, serial, certificate, &old);
    } else if (before && old.reason != 6) { /* it stays as it was: a date already told is not changed */
        tell("was revoked already:", serial, certificate, &old);
        code = EXIT_SUCCESS;
    } else if (!record_write(dir, serial, &entry, certificate) || !note(dir, serial, "revoked")) {
        (void)fputs("estuary-lab: the record cannot be written\n", stderr);
    } else {
        tell("revoked", serial, certificate, &entry);
        code = EXIT_SUCCESS;
    }
    X509_free(certificate);
    free(path);
    return code;
}

bool revoke_certificate(const char *dir, X509 *certificate, int reason)
{
    char serial[SERIAL_TEXT];
    const struct revoked entry = {NULL, time(NULL), reason};
    return serial_text(X509_get0_serialNumber(certificate), serial) &&
           record_write(dir, serial, &entry, certificate);
}

int revoke_command(const struct options *o)
{
    char serial[SERIAL_TEXT];
    int reason = NO_REASON;
    if (!parse_reason(o->reason, &reason))
        return 2;
    if (!parse_serial(o->revoke, serial)) {
        (void)fprintf(stderr, "estuary-lab: revoke wants a serial number in hexadecimal digits\n");
        return 2;
    }
    return revoke_serial(o->dir, serial, reason);
}
