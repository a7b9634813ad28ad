#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERYWHERE (~0u)
#define SERVERS                                                                                              \
    (IN_BOOTSTRAP | IN_CACERTS | IN_CSRATTRS | IN_ENROLL | IN_REENROLL | IN_FULLCMC | IN_SERVERKEYGEN)
#define ENROLLING (IN_ENROLL | IN_REENROLL | IN_FULLCMC)
#define NAMES     (IN_CSR | IN_ENROLL | IN_FULLCMC | IN_SERVERKEYGEN)

#define FLAG       0x1u /* takes no value */
#define REPEATABLE 0x2u
#define SECRET     0x4u  /* the value is a SRC, and never shown */
#define NOT_FILE   0x8u  /* not in a configuration file */
#define NAMED      0x10u /* with SECRET: ID=SRC, or SRC alone */

typedef struct option {
    const char *name;
    char letter;
    const char *argument;
    unsigned flags;
    unsigned in;
    const char *help;
} option;

static const option table[OPT_COUNT] = {
    [OPT_JSON] = {"json", 0, NULL, FLAG, EVERYWHERE, "print one JSON object and nothing else"},
    [OPT_QUIET] = {"quiet", 'q', NULL, FLAG, EVERYWHERE, "print only what was asked for, and errors"},
    [OPT_VERBOSE] = {"verbose", 'v', NULL, FLAG | REPEATABLE, EVERYWHERE,
                     "log more on stderr; twice: even more"},
    [OPT_LOG_FORMAT] = {"log-format", 0, "text|json", 0, EVERYWHERE, "how log lines look (default: text)"},
    [OPT_CONFIG] = {"config", 0, "FILE", NOT_FILE, EVERYWHERE, "defaults for long options (INI)"},
    [OPT_FIPS] = {"fips", 0, NULL, FLAG, EVERYWHERE, "run only with OpenSSL's FIPS provider"},
    [OPT_CACHE] = {"cache", 0, "DIR", 0, EVERYWHERE, "folder for OCSP responses and CRLs"},
    [OPT_HELP] = {"help", 'h', NULL, FLAG | NOT_FILE, EVERYWHERE, "print this help"},
    [OPT_SERVER] = {"server", 0, "URL", 0, SERVERS, "the EST server, https://HOST[:PORT][/PREFIX]"},
    [OPT_LABEL] = {"label", 0, "NAME", 0, SERVERS, "additional path segment (RFC 7030 3.2.2)"},
    [OPT_TRUST] = {"trust", 0, "FILE|system", REPEATABLE, SERVERS | IN_VERIFY | IN_REVOCATION,
                   "trust anchors: a PEM or DER file, or the system's store"},
    [OPT_USER] = {"user", 0, "NAME", 0, SERVERS, "user name for HTTP authentication"},
    [OPT_PASSWORD] = {"password", 0, "SRC", SECRET, SERVERS, "its password"},
    [OPT_PREEMPTIVE_AUTH] = {"preemptive-auth", 0, NULL, FLAG, SERVERS,
                             "send the password before being asked"},
    [OPT_CERT] = {"cert", 0, "FILE", 0, SERVERS, "our TLS client certificate, with its chain if it has one"},
    [OPT_KEY] = {"key", 0, "KEY", 0, SERVERS | IN_CSR | IN_VERIFY,
                 "private key: that of --cert, else the one to certify"},
    [OPT_PIN] = {"pin", 0, "SRC", SECRET, SERVERS | IN_CSR | IN_VERIFY | IN_KEY,
                 "passphrase or PIN of the key"},
    [OPT_TPM_OWNER_AUTH] = {"tpm-owner-auth", 0, "SRC", SECRET, SERVERS | IN_CSR | IN_VERIFY | IN_KEY,
                            "authorisation of the TPM's owner hierarchy"},
    [OPT_TPM_PARENT_AUTH] = {"tpm-parent-auth", 0, "SRC", SECRET, SERVERS | IN_CSR | IN_VERIFY | IN_KEY,
                             "authorisation of the TPM key's persistent parent"},
    [OPT_INSECURE_KEY_PERMISSIONS] = {"insecure-key-permissions", 0, NULL, FLAG,
                                      SERVERS | IN_CSR | IN_VERIFY | IN_KEY,
                                      "use a private key that others can read"},
    [OPT_ALLOW_EXPIRED] = {"allow-expired", 0, NULL, FLAG, IN_REENROLL,
                           "renew with a certificate that has expired"},
    [OPT_TIMEOUT] = {"timeout", 0, "SECONDS", 0, SERVERS | IN_REVOCATION,
                     "for one request (default: 60; for OCSP 10)"},
    [OPT_PROXY] = {"proxy", 0, "URL", 0, SERVERS | IN_REVOCATION,
                   "http://, socks5:// or socks5h://HOST:PORT"},
    [OPT_PROXY_USER] = {"proxy-user", 0, "NAME", 0, SERVERS | IN_REVOCATION, "user name for the proxy"},
    [OPT_PROXY_PASSWORD] = {"proxy-password", 0, "SRC", SECRET, SERVERS | IN_REVOCATION, "its password"},
    [OPT_MAX_WAIT] = {"max-wait", 0, "SECONDS", 0, SERVERS,
                      "wait so long for a pending certificate (default: 0)"},
    [OPT_POP] = {"pop", 0, "auto|required|off", 0, SERVERS,
                 "bind the request to the TLS session (default: auto)"},
    [OPT_REVOCATION] = {"revocation", 0, "off|soft|hard", 0, SERVERS,
                        "of the server's chain (default: soft)"},
    [OPT_FINGERPRINT] = {"fingerprint", 0, "FP", REPEATABLE, IN_BOOTSTRAP | IN_FULLCMC,
                         "SHA-256 of a root, in hex, or file:PATH with one a line"},
    [OPT_CSR] = {"csr", 0, "FILE", 0, ENROLLING | IN_VERIFY, "a request made elsewhere (PEM or DER)"},
    [OPT_SUBJECT] = {"subject", 0, "DN", 0, NAMES, "subject as in RFC 4514: \"CN=device 1,O=Example\""},
    [OPT_SAN] = {"san", 0, "TYPE:VALUE", REPEATABLE, NAMES,
                 "subjectAltName: dns, ip, email, uri, upn, dirname, othername, rid"},
    [OPT_KEY_USAGE] = {"key-usage", 0, "NAMES", 0, NAMES, "key usages, separated by commas"},
    [OPT_EKU] = {"eku", 0, "PURPOSE", REPEATABLE, NAMES,
                 "extended key usage: clientAuth, serverAuth, or an OID"},
    [OPT_EXTENSION] = {"extension", 0, "OID[:critical]:HEX", REPEATABLE, NAMES,
                       "any other extension, as DER"},
    [OPT_CSRATTRS] = {"csrattrs", 0, NULL, FLAG, IN_ENROLL | IN_FULLCMC | IN_SERVERKEYGEN,
                      "ask the server what it wants in a request, and obey"},
    [OPT_NEW_KEY] = {"new-key", 0, "ALG", 0, ENROLLING | IN_CSR | IN_SERVERKEYGEN,
                     "make a key: ec:P-256, ec:P-384, ec:P-521, rsa:2048.., ed25519, ed448"},
    [OPT_KEY_OUT] = {"key-out", 0, "KEY", 0, ENROLLING | IN_CSR,
                     "where the new key goes: a new file, pkcs11: or tpm2: URI"},
    [OPT_SAME_KEY] = {"same-key", 0, NULL, FLAG, IN_REENROLL, "keep the key of the old certificate"},
    [OPT_OUT] = {"out", 0, "DIR", 0, ENROLLING | IN_SERVERKEYGEN, "folder for certificate, chain and key"},
    [OPT_OUTPUT] = {"output", 'o', "FILE", 0, IN_BOOTSTRAP | IN_CACERTS | IN_CSR | IN_FULLCMC,
                    "write to FILE"},
    [OPT_INSPECT] = {"inspect", 0, "FILE", 0, IN_CSR,
                     "report what a request holds and what is wrong with it"},
    [OPT_CHAIN] = {"chain", 0, "FILE", 0, IN_VERIFY | IN_REVOCATION,
                   "further CA certificates: to build the chain with, or that signed evidence"},
    [OPT_HOST] = {"host", 0, "NAME", 0, IN_VERIFY, "the certificate must be for this host or IP address"},
    [OPT_AT] = {"at", 0, "TIME", 0, IN_VERIFY | IN_REVOCATION, "judge as of this time (RFC 3339)"},
    [OPT_YES] = {"yes", 0, NULL, FLAG | NOT_FILE, IN_KEY, "delete without asking"},
    [OPT_CMC_IDENTITY] = {"cmc-identity", 0, "NAME", 0, IN_FULLCMC,
                          "the name the server finds the shared secret by"},
    [OPT_CMC_SECRET] = {"cmc-secret", 0, "SRC", SECRET, IN_FULLCMC,
                        "the shared secret that proves who we are"},
    [OPT_CMC_BODY] = {"cmc-body", 0, "pkcs10|crmf", 0, IN_FULLCMC,
                      "how the request is encoded (default: pkcs10)"},
    [OPT_DECRYPT_KEY] = {"decrypt-key", 0, "KEY", 0, IN_SERVERKEYGEN,
                         "have the private key encrypted to this RSA or EC key, which signs the request"},
    [OPT_DECRYPT_KEK] = {"decrypt-kek", 0, "ID=SRC", SECRET | NAMED, IN_SERVERKEYGEN,
                         "have it encrypted with this AES key, in hexadecimal or base64"},
    [OPT_DECRYPT_PASSWORD] = {"decrypt-password", 0, "[ID=]SRC", SECRET | NAMED, IN_SERVERKEYGEN,
                              "have it encrypted with this password"},
    [OPT_ISSUER] = {"issuer", 0, "FILE", 0, IN_REVOCATION, "the CA certificate that signed CERT"},
    [OPT_CRL] = {"crl", 0, "FILE|URL", REPEATABLE, IN_REVOCATION,
                 "a CRL: a file is looked at first, a URL before the certificate's own"},
    [OPT_OCSP_RESPONSE] = {"ocsp-response", 0, "FILE", 0, IN_REVOCATION,
                           "an OCSP response to look at first (PEM or DER)"},
    [OPT_POLICY] = {"policy", 0, "soft|hard", 0, IN_REVOCATION, "whether \"unknown\" passes (default: soft)"},
    [OPT_METHOD] = {"method", 0, "ocsp|crl|both", 0, IN_REVOCATION,
                    "what may be looked at (default: both, OCSP first)"},
    [OPT_MAX_AGE] = {"max-age", 0, "DAYS", 0, IN_REVOCATION,
                     "how old thisUpdate may be (default: 7 without nextUpdate)"},
    [OPT_OFFLINE] = {"offline", 0, NULL, FLAG, IN_REVOCATION,
                     "fetch nothing: given evidence and the cache only"},
};

bool option_given(const context *ctx, option_id id)
{
    return ctx->options[id].count > 0;
}

const char *option_text(const context *ctx, option_id id)
{
    return ctx->options[id].count > 0 && ctx->options[id].items != NULL ? ctx->options[id].items[0] : NULL;
}

const char *option_name(option_id id)
{
    /* for messages; two in one message at most */
    static char names[2][40];
    static unsigned next;
    char *name = names[next++ % 2];
    snprintf(name, sizeof(names[0]), "--%s", table[id].name);
    return name;
}

static option_id find_long(const char *name, size_t len)
{
    option_id id = OPT_JSON;
    while (id < OPT_COUNT && (strlen(table[id].name) != len || strncmp(table[id].name, name, len) != 0))
        id++;
    return id;
}

static option_id find_short(char letter)
{
    option_id id = OPT_JSON;
    while (id < OPT_COUNT && (table[id].letter == 0 || table[id].letter != letter))
        id++;
    return id;
}

bool option_is_secret_source(const char *text)
{
    static const char *const schemes[] = {"env:", "file:", "fd:", "credential:"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);
        if (strncmp(text, schemes[i], len) == 0)
            return text[len] != '\0';
    }
    return strcmp(text, "prompt") == 0;
}

/* The identifier in front is no secret; what stands behind it must say where the secret is. */
static bool names_a_source(option_id id, const char *text)
{
    const char *equals = strchr(text, '=');
    return option_is_secret_source(text) || ((table[id].flags & NAMED) != 0 && equals != NULL &&
                                             equals != text && option_is_secret_source(equals + 1));
}

static void forget(option_value *value)
{
    free(value->items);
    *value = (option_value){0};
}

void option_forget(context *ctx, option_id id)
{
    forget(&ctx->options[id]);
}

/* A value from nearer to the user replaces all from farther away. */
static int add(context *ctx, option_id id, const char *text, option_origin origin, const char *where)
{
    option_value *value = &ctx->options[id];
    if (value->origin > origin)
        return EXIT_DONE;
    if (value->origin < origin)
        forget(value);
    if (value->count > 0 && (table[id].flags & REPEATABLE) == 0)
        return fail(ctx, "usage.option", NULL, "%s%s is given twice", where, option_name(id));
    if (value->count >= OPTION_VALUES_MAX)
        return fail(ctx, "usage.option", NULL, "%s%s is given too often", where, option_name(id));
    if ((table[id].flags & SECRET) != 0 && (text == NULL || !names_a_source(id, text)))
        return fail(ctx, "usage.secret-literal", NULL,
                    "%s%s wants env:VAR, file:PATH, fd:N, credential:NAME or prompt, never the secret itself",
                    where, option_name(id));
    if (text != NULL) {
        const char **items = realloc(value->items, (value->count + 1) * sizeof(*items));
        if (items == NULL)
            return fail_memory(ctx);
        items[value->count] = text;
        value->items = items;
    }
    value->origin = origin;
    value->count++;
    return EXIT_DONE;
}

int option_default(context *ctx, option_id id, const char *text)
{
    return option_given(ctx, id) ? EXIT_DONE : add(ctx, id, text, ORIGIN_ARGUMENT, "");
}

static int not_for_command(context *ctx, option_id id)
{
    return fail(ctx, "usage.option", "see estuary COMMAND --help", "%s does not belong to this command",
                option_name(id));
}

/* Somebody may have run the option and its secret together: then the rest is not shown. */
static int unknown(context *ctx, const char *name, size_t len)
{
    for (option_id id = OPT_JSON; id < OPT_COUNT; id++) {
        size_t known = strlen(table[id].name);
        if ((table[id].flags & SECRET) != 0 && len > known && strncmp(name, table[id].name, known) == 0)
            return fail(ctx, "usage.option", NULL, "unknown option that begins with %s", option_name(id));
    }
    return fail(ctx, "usage.option", "options cannot be abbreviated; see estuary COMMAND --help",
                "unknown option --%.*s", len > 64 ? 64 : (int)len, name);
}

static int parse_long(context *ctx, int argc, char **argv, int *index)
{
    const char *name = argv[*index] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals == NULL ? strlen(name) : (size_t)(equals - name);
    option_id id = find_long(name, len);
    if (id == OPT_COUNT)
        return unknown(ctx, name, len);
    if (ctx->command != NULL && (table[id].in & ctx->command->mask) == 0)
        return not_for_command(ctx, id);
    if ((table[id].flags & FLAG) != 0) {
        if (equals != NULL)
            return fail(ctx, "usage.option", NULL, "%s takes no value", option_name(id));
        return add(ctx, id, NULL, ORIGIN_ARGUMENT, "");
    }
    const char *value = equals == NULL ? NULL : equals + 1;
    if (value == NULL && *index + 1 < argc && strncmp(argv[*index + 1], "--", 2) != 0)
        value = argv[++*index];
    if (value == NULL || *value == '\0')
        return fail(ctx, "usage.option", NULL, "%s wants a value: %s", option_name(id), table[id].argument);
    return add(ctx, id, value, ORIGIN_ARGUMENT, "");
}

static int parse_short(context *ctx, int argc, char **argv, int *index)
{
    for (const char *letter = argv[*index] + 1; *letter != '\0'; letter++) {
        option_id id = find_short(*letter);
        if (id == OPT_COUNT)
            return fail(ctx, "usage.option", NULL, "unknown option -%c",
                        *letter > 0x20 && *letter < 0x7f ? *letter : '?');
        if (ctx->command != NULL && (table[id].in & ctx->command->mask) == 0)
            return not_for_command(ctx, id);
        const char *value = NULL;
        if ((table[id].flags & FLAG) == 0) {
            value = letter[1] != '\0' ? letter + 1 : *index + 1 < argc ? argv[++*index] : NULL;
            if (value == NULL || *value == '\0')
                return fail(ctx, "usage.option", NULL, "-%c wants a value: %s", *letter, table[id].argument);
        }
        int result = add(ctx, id, value, ORIGIN_ARGUMENT, "");
        if (result != EXIT_DONE || value != NULL)
            return result;
    }
    return EXIT_DONE;
}

static int parse_plain(context *ctx, const char *text)
{
    if (ctx->command == NULL) {
        ctx->command = command_find(text);
        /* not repeated: it may be the second half of a secret with a blank in it */
        if (ctx->command == NULL)
            return fail(ctx, "usage.option", "estuary --help lists the commands", "there is no such command");
        return EXIT_DONE;
    }
    const char **slots[] = {&ctx->positional, &ctx->more[0], &ctx->more[1]};
    size_t allowed = ctx->command->positional == NULL ? 0 : ctx->command->mask == IN_KEY ? 3 : 1;
    for (size_t i = 0; i < allowed; i++) {
        if (*slots[i] == NULL) {
            *slots[i] = text;
            return EXIT_DONE;
        }
    }
    return fail(ctx, "usage.option", NULL, "there is an argument too many");
}

/* So that even an error in the options is told as the caller wants it. */
static void look_for_json(context *ctx, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0)
            ctx->json = true;
    }
}

int options_parse(context *ctx, int argc, char **argv)
{
    bool only_plain = false;
    look_for_json(ctx, argc, argv);
    for (int i = 1; i < argc; i++) {
        int result;
        if (!only_plain && strcmp(argv[i], "--") == 0) {
            only_plain = true;
            continue;
        }
        if (!only_plain && strncmp(argv[i], "--", 2) == 0)
            result = parse_long(ctx, argc, argv, &i);
        else if (!only_plain && argv[i][0] == '-' && argv[i][1] != '\0')
            result = parse_short(ctx, argc, argv, &i);
        else
            result = parse_plain(ctx, argv[i]);
        if (result != EXIT_DONE)
            return result;
    }
    return EXIT_DONE;
}

/* Options that stood before the command's name. */
static int check_command(context *ctx)
{
    for (option_id id = OPT_JSON; id < OPT_COUNT; id++) {
        if (ctx->options[id].origin == ORIGIN_ARGUMENT && (table[id].in & ctx->command->mask) == 0)
            return not_for_command(ctx, id);
    }
    return EXIT_DONE;
}

/* The argument's text "a|b|c" is also the list of what is allowed. */
static int check_choice(context *ctx, option_id id)
{
    const char *value = option_text(ctx, id);
    const char *choice = table[id].argument;
    if (value == NULL)
        return EXIT_DONE;
    while (choice != NULL) {
        size_t len = strcspn(choice, "|");
        if (strlen(value) == len && strncmp(choice, value, len) == 0)
            return EXIT_DONE;
        choice = choice[len] == '|' ? choice + len + 1 : NULL;
    }
    return fail(ctx, "usage.option", NULL, "%s wants one of %s", option_name(id), table[id].argument);
}

int options_finish(context *ctx)
{
    static const option_id choices[] = {OPT_LOG_FORMAT, OPT_POP,    OPT_REVOCATION,
                                        OPT_CMC_BODY,   OPT_POLICY, OPT_METHOD};
    int result = EXIT_DONE;
    TRY(check_command(ctx));
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
        TRY(check_choice(ctx, choices[i]));
    TRY(option_exclude(ctx, OPT_QUIET, OPT_VERBOSE));
    TRY(key_out_as_path(ctx));
    if (option_given(ctx, OPT_JSON))
        ctx->json = true;
    ctx->verbosity = option_given(ctx, OPT_QUIET) ? -1 : (int)ctx->options[OPT_VERBOSE].count;
    if (ctx->command->positional != NULL && ctx->positional == NULL)
        result = fail(ctx, "usage.option", NULL, "%s is missing", ctx->command->positional);
cleanup:
    return result;
}

int option_set(context *ctx, const char *name, const char *value, option_origin origin, const char *where)
{
    option_id id = find_long(name, strlen(name));
    if (id == OPT_COUNT || (table[id].flags & NOT_FILE) != 0)
        return fail(ctx, "config.file", NULL, "%sthere is no setting of this name", where);
    if ((table[id].in & ctx->command->mask) == 0) {
        if (origin == ORIGIN_GLOBAL)
            return EXIT_DONE; /* for another command */
        return fail(ctx, "config.file", NULL, "%s%s does not belong to this command", where, option_name(id));
    }
    if (*value == '\0')
        return fail(ctx, "config.file", NULL, "%s%s wants a value", where, option_name(id));
    if ((table[id].flags & FLAG) == 0)
        return add(ctx, id, value, origin, where);
    if (strcmp(value, "yes") == 0 || strcmp(value, "true") == 0)
        return add(ctx, id, NULL, origin, where);
    if (strcmp(value, "no") == 0 || strcmp(value, "false") == 0)
        return EXIT_DONE;
    return fail(ctx, "config.file", NULL, "%s%s is either yes or no", where, option_name(id));
}

int option_need(context *ctx, option_id id, const char *why)
{
    if (option_given(ctx, id))
        return EXIT_DONE;
    return fail(ctx, "usage.option", NULL, "%s is needed%s%s", option_name(id), *why == '\0' ? "" : " ", why);
}

int option_exclude(context *ctx, option_id a, option_id b)
{
    option_value *first = &ctx->options[a], *second = &ctx->options[b];
    if (first->count == 0 || second->count == 0)
        return EXIT_DONE;
    if (first->origin == second->origin)
        return fail(ctx, "usage.option", NULL, "%s and %s exclude each other", option_name(a),
                    option_name(b));
    forget(first->origin > second->origin ? second : first);
    return EXIT_DONE;
}

int option_number(context *ctx, option_id id, long min, long max, long *out)
{
    const char *text = option_text(ctx, id);
    if (text == NULL)
        return EXIT_DONE;
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < min || value > max)
        return fail(ctx, "usage.option", NULL, "%s wants a number from %ld to %ld", option_name(id), min,
                    max);
    *out = value;
    return EXIT_DONE;
}

void options_free(context *ctx)
{
    for (option_id id = OPT_JSON; id < OPT_COUNT; id++)
        forget(&ctx->options[id]);
    for (size_t i = 0; i < ctx->n_owned; i++)
        free(ctx->owned[i]);
    free(ctx->owned);
}

static void help_option(const option *o)
{
    char left[64];
    snprintf(left, sizeof(left), "%c%c%c --%s%s%s", o->letter != 0 ? '-' : ' ',
             o->letter != 0 ? o->letter : ' ', o->letter != 0 ? ',' : ' ', o->name,
             o->argument == NULL ? "" : " ", o->argument == NULL ? "" : o->argument);
    if (strlen(left) > 32)
        printf("  %s\n  %-32s  %s\n", left, "", o->help);
    else
        printf("  %-32s  %s\n", left, o->help);
}

static void help_usage(const subcommand *command)
{
    for (const char *line = command->usage; *line != '\0'; line = strchr(line, '\n') + 1) {
        int len = (int)strcspn(line, "\n");
        printf("%s estuary %s%s%.*s\n", line == command->usage ? "usage:" : "      ", command->name,
               len > 0 ? " " : "", len, line);
    }
}

void options_help(const subcommand *command)
{
    if (command == NULL) {
        printf("usage: estuary COMMAND [OPTION]...\n\nEST (RFC 7030) client: certificates over secure "
               "transport.\n\n");
        for (const subcommand *c = commands; c->name != NULL; c++)
            printf("  %-10s  %s\n", c->name, c->summary);
        printf("\nestuary COMMAND --help lists a command's options; estuary(1) tells everything.\n");
        return;
    }
    help_usage(command);
    printf("\n%s%s.\n\n", "To ", command->summary);
    bool secret = false;
    for (option_id id = OPT_COUNT; id-- > OPT_JSON;)
        secret = secret || ((table[id].flags & SECRET) != 0 && (table[id].in & command->mask) != 0);
    for (option_id id = OPT_SERVER; id < OPT_COUNT; id++) {
        if ((table[id].in & command->mask) != 0)
            help_option(&table[id]);
    }
    for (option_id id = OPT_JSON; id < OPT_SERVER; id++)
        help_option(&table[id]);
    if (secret)
        printf("\nSRC is env:VAR, file:PATH, fd:N, credential:NAME or prompt. KEY is a path, file:, pkcs11:, "
               "tpm2: or handle: URI.\n");
}
