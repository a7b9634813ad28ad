#include "key_request.h"
#include "lab.h"
#include "misbehave.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum option_id {
    OPT_DIR = 1,
    OPT_LISTEN,
    OPT_USER,
    OPT_AUTH,
    OPT_PENDING,
    OPT_RETRY_AFTER,
    OPT_MISBEHAVE,
    OPT_ALSO,
    OPT_CSRATTRS,
    OPT_LIFETIME,
    OPT_TLS,
    OPT_KEY_TYPE,
    OPT_REQUIRE_POP,
    OPT_ROLLOVER,
    OPT_CMC_SIGNER,
    OPT_CMC_ANCHORS,
    OPT_KEK,
    OPT_KEY_PASSWORD,
    OPT_OCSP_SIGNER,
    OPT_OCSP_LIFETIME,
    OPT_CRL_LIFETIME,
    OPT_DELTA,
    OPT_STAPLE,
    OPT_MUST_STAPLE,
    OPT_REASON,
    OPT_LIST,
    OPT_HELP
};

static const struct option long_options[] = {
    {"dir", required_argument, NULL, OPT_DIR},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"user", required_argument, NULL, OPT_USER},
    {"auth", required_argument, NULL, OPT_AUTH},
    {"pending", required_argument, NULL, OPT_PENDING},
    {"retry-after", required_argument, NULL, OPT_RETRY_AFTER},
    {"misbehave", required_argument, NULL, OPT_MISBEHAVE},
    {"also", required_argument, NULL, OPT_ALSO},
    {"csrattrs", required_argument, NULL, OPT_CSRATTRS},
    {"lifetime", required_argument, NULL, OPT_LIFETIME},
    {"tls", required_argument, NULL, OPT_TLS},
    {"key-type", required_argument, NULL, OPT_KEY_TYPE},
    {"kek", required_argument, NULL, OPT_KEK},
    {"key-password", required_argument, NULL, OPT_KEY_PASSWORD},
    {"rollover", no_argument, NULL, OPT_ROLLOVER},
    {"require-pop", no_argument, NULL, OPT_REQUIRE_POP},
    {"cmc-signer", required_argument, NULL, OPT_CMC_SIGNER},
    {"cmc-anchors", no_argument, NULL, OPT_CMC_ANCHORS},
    {"ocsp-signer", required_argument, NULL, OPT_OCSP_SIGNER},
    {"ocsp-lifetime", required_argument, NULL, OPT_OCSP_LIFETIME},
    {"crl-lifetime", required_argument, NULL, OPT_CRL_LIFETIME},
    {"delta", no_argument, NULL, OPT_DELTA},
    {"staple", no_argument, NULL, OPT_STAPLE},
    {"must-staple", no_argument, NULL, OPT_MUST_STAPLE},
    {"reason", required_argument, NULL, OPT_REASON},
    {"list-misbehaviours", no_argument, NULL, OPT_LIST},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "estuary-lab --dir DIR [OPTION]...\n"
    "estuary-lab --dir DIR revoke SERIAL [--reason REASON]\n"
    "An EST server and certificate authority for trying and testing. Not for production keys.\n"
    "\n"
    "  --dir DIR              keeps the CA and what it issued; made when absent\n"
    "  --listen ADDRESS:PORT  a loopback address; port 0 takes a free one (default 127.0.0.1:0)\n"
    "  --user NAME:SRC        who may enrol by password; SRC = env:VAR, file:PATH or fd:N; repeatable\n"
    "  --auth SCHEME          basic, digest, digest-sha256, digest-unnamed (MD5 by default),\n"
    "                         digest-weak-first (MD5 before SHA-256, which alone is accepted), both "
    "(default) or none\n"
    "  --pending N            the first N requests for a key are answered 202\n"
    "  --retry-after SECONDS  what the 202 says (default 1)\n"
    "  --csrattrs FILE        what /csrattrs answers, DER or base64 (default: 204, nothing wanted)\n"
    "  --lifetime SECONDS     of issued certificates (default 90 days)\n"
    "  --tls 1.2|1.3          this version only (default: both)\n"
    "  --key-type ec|rsa      of a new CA (default ec)\n"
    "  --require-pop          requests must carry the channel binding of their TLS session (RFC 7030 3.5)\n"
    "  --kek ID=SRC           an AES key, hexadecimal or base64, that serverkeygen can encrypt keys with; "
    "repeatable\n"
    "  --key-password ID=SRC  a password that serverkeygen can encrypt keys with; repeatable\n"
    "  --cmc-signer ra|ca     who signs Full PKI Responses: an RA (default) or the issuing CA itself\n"
    "  --cmc-anchors          publish the root in Full PKI Responses (RFC 5272 6.15)\n"
    "  --rollover             a new root and issuing CA take over from those in DIR (RFC 7030 4.1.3)\n"
    "  --ocsp-signer delegate|ca  who signs OCSP responses: a delegated responder (default) or the CA "
    "itself\n"
    "  --ocsp-lifetime SECONDS  until nextUpdate (default 3600); 0 leaves nextUpdate out\n"
    "  --crl-lifetime SECONDS until nextUpdate (default 7 days); a new CRL is made at half of it\n"
    "  --delta                what is revoked while the lab runs stands in delta CRLs only\n"
    "  --staple               the TLS server sends an OCSP response when asked for one\n"
    "  --must-staple          so it does, and its certificate says that it must (RFC 7633)\n"
    "  --misbehave NAME[@OPERATION]  go wrong in this way, for one operation only if given; repeatable\n"
    "  --also NAME[@OPERATION]       listen on one more port and go wrong there in this way only; "
    "repeatable\n"
    "  --list-misbehaviours   their names, each with a tab and a sentence\n"
    "\n"
    "When ready, one line of JSON on stdout says the URL, the root's fingerprint and the anchors' file.\n"
    "\n"
    "revoke marks a certificate that the lab of DIR issued; a lab that runs there tells it at the next "
    "request.\n"
    "  --reason REASON        as in RFC 5280 5.3.1, for example keyCompromise; certificateHold ends with\n"
    "                         removeFromCRL\n"
    "\n"
    "Names of misbehaviours of OCSP, CRLs and staples in DIR/misbehave, one a line, count from the next\n"
    "request on, for as long as they stand there.\n";

static bool complain(const char *what, const char *value)
{
    (void)fprintf(stderr, "estuary-lab: %s: %s\n", what, value);
    return false;
}

static bool parse_number(const char *text, long min, long max, long *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *out < min || *out > max)
        return complain("not a number in range", text);
    return true;
}

static bool loopback4(struct options *o, const char *host, long port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&o->listen;
    if (inet_pton(AF_INET, host, &in->sin_addr) != 1 || ntohl(in->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
        return false;
    /* localhost need not lead to the other addresses of 127.0.0.0/8, nor to ::1 */
    const bool usual = in->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
    (void)snprintf(o->host, sizeof o->host, "%s", usual ? "localhost" : host);
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    o->listen_len = sizeof *in;
    return true;
}

static bool loopback6(struct options *o, const char *host, long port)
{
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&o->listen;
    if (strcmp(host, "[::1]") != 0 || inet_pton(AF_INET6, "::1", &in->sin6_addr) != 1)
        return false;
    (void)snprintf(o->host, sizeof o->host, "%s", host);
    in->sin6_family = AF_INET6;
    in->sin6_port = htons((uint16_t)port);
    o->listen_len = sizeof *in;
    return true;
}

/* The lab's keys lie about in the open and some of its answers are hostile: it stays on this machine. */
static bool parse_listen(struct options *o, const char *value)
{
    char host[64];
    long port = 0;
    const char *colon = strrchr(value, ':');
    memset(&o->listen, 0, sizeof o->listen);
    if (colon == NULL || (size_t)(colon - value) >= sizeof host)
        return complain("--listen wants ADDRESS:PORT", value);
    memcpy(host, value, (size_t)(colon - value));
    host[colon - value] = '\0';
    if (!parse_number(colon + 1, 0, UINT16_MAX, &port))
        return false;
    if (!loopback4(o, host, port) && !loopback6(o, host, port))
        return complain("--listen wants a loopback address (127.0.0.0/8 or [::1])", value);
    return true;
}

static bool parse_user(struct options *o, const char *value)
{
    const char *colon = strchr(value, ':');
    if (colon == NULL || colon == value)
        return complain("--user", "wants NAME:SRC"); /* the value may hold a secret: not repeated */
    if (o->user_count == LAB_MAX_USERS)
        return complain("--user", "too many");
    struct user *user = &o->users[o->user_count];
    user->password = source_read(colon + 1);
    if (user->password == NULL)
        return false;
    user->name = strndup(value, (size_t)(colon - value));
    o->user_count++;
    return user->name != NULL;
}

/* Checked here, so that the first request for it finds a key and not an excuse. */
static bool parse_kek(struct options *o, const char *value, bool password)
{
    const char *name = password ? "--key-password" : "--kek";
    const char *equals = strchr(value, '=');
    struct bytes octets = {0};
    if (equals == NULL || equals == value)
        return complain(name, "wants ID=SRC"); /* the value may hold a secret: not repeated */
    if (o->kek_count == LAB_MAX_KEKS)
        return complain(name, "too many");
    struct kek *kek = &o->keks[o->kek_count];
    kek->secret = source_read(equals + 1);
    if (kek->secret == NULL)
        return false;
    kek->password = password;
    kek->id = strndup(value, (size_t)(equals - value));
    o->kek_count++;
    const bool usable = password ? *kek->secret != '\0' : kek_octets(kek->secret, &octets);
    OPENSSL_cleanse(octets.data, octets.len);
    bytes_clear(&octets);
    if (!usable)
        return complain(name, password ? "the password is empty" : "an AES key has 16, 24 or 32 octets");
    return kek->id != NULL;
}

static bool parse_auth(struct options *o, const char *value)
{
    static const struct {
        const char *name;
        unsigned schemes;
    } known[] = {
        {"basic", AUTH_BASIC},
        {"digest", AUTH_DIGEST_MD5},
        {"digest-sha256", AUTH_DIGEST_SHA256},
        {"digest-unnamed", AUTH_DIGEST_MD5 | AUTH_DIGEST_UNNAMED},
        {"digest-weak-first", AUTH_DIGEST_MD5 | AUTH_DIGEST_SHA256 | AUTH_DIGEST_WEAK_FIRST},
        {"both", AUTH_BASIC | AUTH_DIGEST_MD5 | AUTH_DIGEST_SHA256},
        {"none", 0},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, value) == 0) {
            o->auth = known[i].schemes;
            return true;
        }
    }
    return complain("unknown --auth", value);
}

static bool parse_tls(struct options *o, const char *value)
{
    if (strcmp(value, "1.2") == 0)
        o->tls_version = TLS1_2_VERSION;
    else if (strcmp(value, "1.3") == 0)
        o->tls_version = TLS1_3_VERSION;
    else
        return complain("--tls wants 1.2 or 1.3", value);
    return true;
}

static bool parse_key_type(struct options *o, const char *value)
{
    if (strcmp(value, "ec") != 0 && strcmp(value, "rsa") != 0)
        return complain("--key-type wants ec or rsa", value);
    o->key_type = value;
    return true;
}

static bool parse_cmc_signer(struct options *o, const char *value)
{
    o->cmc_signed_by_ca = strcmp(value, "ca") == 0;
    return o->cmc_signed_by_ca || strcmp(value, "ra") == 0 || complain("--cmc-signer wants ra or ca", value);
}

static bool parse_ocsp_signer(struct options *o, const char *value)
{
    o->ocsp_signed_by_ca = strcmp(value, "ca") == 0;
    return o->ocsp_signed_by_ca || strcmp(value, "delegate") == 0 ||
           complain("--ocsp-signer wants delegate or ca", value);
}

/* The options about revocation; false also for those that are not. */
static bool parse_revocation(struct options *o, int id, const char *value)
{
    switch (id) {
    case OPT_OCSP_SIGNER:
        return parse_ocsp_signer(o, value);
    case OPT_OCSP_LIFETIME:
        return parse_number(value, 0, 10 * LAB_YEAR, &o->ocsp_lifetime);
    case OPT_CRL_LIFETIME:
        return parse_number(value, 1, 10 * LAB_YEAR, &o->crl_lifetime);
    case OPT_DELTA:
        o->delta = true;
        return true;
    case OPT_MUST_STAPLE:
        o->must_staple = true;
        o->staple = true;
        return true;
    case OPT_STAPLE:
        o->staple = true;
        return true;
    case OPT_REASON:
        o->reason = value;
        return true;
    default: /* getopt has said what is wrong */
        return false;
    }
}

/* revoke SERIAL, the one command. */
static enum options_verdict parse_arguments(struct options *o, char **arguments, int count)
{
    if (o->dir == NULL || *o->dir == '\0') {
        (void)complain("--dir DIR is needed", "see --help");
        return OPTIONS_WRONG;
    }
    if (count == 2 && strcmp(arguments[0], "revoke") == 0) {
        o->revoke = arguments[1];
        return OPTIONS_REVOKE;
    }
    if (count > 0)
        (void)complain(strcmp(arguments[0], "revoke") == 0 ? "revoke wants one serial number"
                                                           : "unexpected argument",
                       arguments[0]);
    else if (o->reason != NULL)
        (void)complain("--reason belongs to revoke", "see --help");
    else
        return OPTIONS_RUN;
    return OPTIONS_WRONG;
}

static bool parse_one(struct options *o, int id, const char *value)
{
    switch (id) {
    case OPT_DIR:
        o->dir = value;
        return true;
    case OPT_LISTEN:
        return parse_listen(o, value);
    case OPT_USER:
        return parse_user(o, value);
    case OPT_AUTH:
        return parse_auth(o, value);
    case OPT_PENDING:
        return parse_number(value, 0, 1000000, &o->pending);
    case OPT_RETRY_AFTER:
        return parse_number(value, 0, 10 * LAB_YEAR, &o->retry_after);
    case OPT_MISBEHAVE:
        return misbehave_choose(o, value);
    case OPT_ALSO:
        return misbehave_choose_also(o, value);
    case OPT_CSRATTRS:
        o->csrattrs = value;
        return true;
    case OPT_LIFETIME:
        return parse_number(value, 1, 10 * LAB_YEAR, &o->lifetime);
    case OPT_TLS:
        return parse_tls(o, value);
    case OPT_KEY_TYPE:
        return parse_key_type(o, value);
    case OPT_KEK:
        return parse_kek(o, value, false);
    case OPT_KEY_PASSWORD:
        return parse_kek(o, value, true);
    case OPT_CMC_SIGNER:
        return parse_cmc_signer(o, value);
    case OPT_CMC_ANCHORS:
        o->cmc_anchors = true;
        return true;
    case OPT_ROLLOVER:
        o->rollover = true;
        return true;
    case OPT_REQUIRE_POP:
        o->require_pop = true;
        return true;
    default:
        return parse_revocation(o, id, value);
    }
}

enum options_verdict options_parse(struct options *o, int argc, char **argv)
{
    int id = 0;
    *o = (struct options){.retry_after = 1,
                          .lifetime = 90 * LAB_DAY,
                          .ocsp_lifetime = 3600,
                          .crl_lifetime = 7 * LAB_DAY,
                          .key_type = "ec"};
    (void)parse_auth(o, "both");
    (void)loopback4(o, "127.0.0.1", 0);
    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (id == OPT_HELP)
            return fputs(help, stdout) < 0 ? OPTIONS_WRONG : OPTIONS_DONE;
        if (id == OPT_LIST) {
            misbehave_list(stdout);
            return OPTIONS_DONE;
        }
        if (!parse_one(o, id, optarg))
            return OPTIONS_WRONG;
    }
    return parse_arguments(o, argv + optind, argc - optind);
}

void options_clear(struct options *o)
{
    for (size_t i = 0; i < o->user_count; i++) {
        free(o->users[i].name);
        secret_free(o->users[i].password);
    }
    o->user_count = 0;
    for (size_t i = 0; i < o->kek_count; i++) {
        free(o->keks[i].id);
        secret_free(o->keks[i].secret);
    }
    o->kek_count = 0;
}
