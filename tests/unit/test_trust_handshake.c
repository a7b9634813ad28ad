/* Real handshakes in memory: one case per code, on TLS 1.2 and 1.3. */
#include "make_certs.h"
#include "trust/trust.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY    86400
#define CMC_RA "1.3.6.1.5.5.7.3.28"
#define BUFFER 65536

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
static int alert_seen; /* the last alert that the server got */

static void on_server_info(const SSL *ssl, int where, int value)
{
    (void)ssl;
    if (where == SSL_CB_READ_ALERT)
        alert_seen = value & 0xff;
}

static SSL_CTX *make_server_ctx(const made *leaf, const STACK_OF(X509) *chain, int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(ctx);
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_info_callback(ctx, on_server_info);
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
    assert_int_equal(SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1), 1);
    assert_int_equal(SSL_CTX_use_certificate(ctx, leaf->cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, leaf->key), 1);
    if (chain != NULL)
        assert_int_equal(SSL_CTX_set1_chain(ctx, chain), 1);
    return ctx;
}

static SSL *make_client_ssl(est_session *session, BIO *bio)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    assert_int_equal(est_trust_prepare(ctx, session, NULL), ESTUARY_OK);
    SSL *ssl = SSL_new(ctx);
    assert_non_null(ssl);
    SSL_set_bio(ssl, bio, bio);
    SSL_CTX_free(ctx);
    return ssl;
}

/* One step of either side; libcurl's habit of emptying the error queue included. */
static bool step(SSL *ssl, bool *failed)
{
    char byte;
    ERR_clear_error();
    int ret = SSL_is_init_finished(ssl) ? SSL_read(ssl, &byte, 1) : SSL_do_handshake(ssl);
    int why = SSL_get_error(ssl, ret);
    ERR_clear_error();
    *failed = ret <= 0 && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE;
    return !*failed;
}

typedef struct outcome {
    estuary_status status;
    estuary_error *err;
    bool client_sent_certificate;
} outcome;

static outcome shake(SSL_CTX *server_ctx, est_session *session)
{
    BIO *ours = NULL, *theirs = NULL;
    outcome out = {.err = estuary_error_new()};
    bool failed = false, server_failed = false;
    assert_int_equal(BIO_new_bio_pair(&ours, BUFFER, &theirs, BUFFER), 1);
    SSL *client = make_client_ssl(session, ours), *server = SSL_new(server_ctx);
    SSL_set_bio(server, theirs, theirs);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    alert_seen = 0;
    for (int i = 0; i < 20 && !failed; i++) {
        (void)step(client, &failed);
        if (!server_failed)
            (void)step(server, &server_failed);
    }
    if (failed)
        out.status = est_trust_explain_failure(session, ESTUARY_E_TLS, out.err);
    else if (!SSL_is_init_finished(client) || !SSL_is_init_finished(server))
        fail_msg("the handshake hangs");
    X509 *peer = SSL_get1_peer_certificate(server);
    out.client_sent_certificate = peer != NULL;
    X509_free(peer);
    SSL_free(client);
    SSL_free(server);
    return out;
}

/* Servers that are right, and servers with one thing wrong. */
typedef struct peer_row {
    const char *name, *code, *words;
    recipe leaf, middle;
    const char *host; /* "est.example" when NULL */
    bool no_middle, self_signed, send_root, other_anchor, system;
    int depth; /* 8 when 0 */
    int alert; /* 0: any */
} peer_row;

#define CA    .constraints = "critical,CA:TRUE", .usage = "keyCertSign"
#define PLAIN .cn = "est.example", .usage = "digitalSignature"
#define LEAF  PLAIN, .purposes = "serverAuth", .san = "DNS:est.example,IP:192.0.2.1"
#define RA    PLAIN, .purposes = "serverAuth," CMC_RA

static const peer_row rows[] = {
    {.name = "good", .code = "", .leaf = {LEAF}, .middle = {CA}},
    {.name = "good IP", .code = "", .leaf = {LEAF}, .middle = {CA}, .host = "192.0.2.1"},
    {.name = "good, root sent", .code = "", .leaf = {LEAF}, .middle = {CA}, .send_root = true},
    {.name = "no EKU", .code = "", .leaf = {PLAIN, .san = "DNS:est.example"}, .middle = {CA}},
    {.name = "system", .code = "", .leaf = {LEAF}, .middle = {CA}, .system = true},
    /* RFC 7030 3.6.1 */
    {.name = "RA, other name", .code = "", .leaf = {RA, .san = "DNS:ra.example"}, .middle = {CA}},
    {.name = "RA, no name", .code = "", .leaf = {RA}, .middle = {CA}},
    {.name = "RA, expired",
     .code = "trust.expired",
     .leaf = {RA, .from = -3 * DAY, .to = -DAY},
     .middle = {CA}},
    {.name = "RA, unknown root",
     .code = "trust.unknown-root",
     .leaf = {RA},
     .middle = {CA},
     .send_root = true,
     .other_anchor = true},
    {.name = "RA alone",
     .code = "trust.wrong-eku",
     .leaf = {PLAIN, .purposes = CMC_RA, .san = "DNS:est.example"},
     .middle = {CA}},
    {.name = "any purpose is not RA",
     .code = "trust.host-mismatch",
     .leaf = {PLAIN, .purposes = "serverAuth,anyExtendedKeyUsage", .san = "DNS:ra.example"},
     .middle = {CA}},
    /* RFC 7030 3.6.2 */
    {.name = "RA, other name, system",
     .code = "trust.host-mismatch",
     .leaf = {RA, .san = "DNS:ra.example"},
     .middle = {CA},
     .system = true},
    {.name = "RA, no name, system",
     .code = "trust.no-subject-alt-name",
     .leaf = {RA},
     .middle = {CA},
     .system = true},
    {.name = "other host",
     .code = "trust.host-mismatch",
     .words = "dns:est.example, ip:192.0.2.1, not for \"evil.example\"",
     .leaf = {LEAF},
     .middle = {CA},
     .host = "evil.example",
     .alert = SSL_AD_BAD_CERTIFICATE},
    {.name = "other IP", .code = "trust.host-mismatch", .leaf = {LEAF}, .middle = {CA}, .host = "192.0.2.2"},
    {.name = "CN only",
     .code = "trust.no-subject-alt-name",
     .words = "its CN does not count",
     .leaf = {PLAIN, .purposes = "serverAuth"},
     .middle = {CA}},
    {.name = "expired",
     .code = "trust.expired",
     .words = "the server's certificate expired on 20",
     .leaf = {LEAF, .from = -3 * DAY, .to = -DAY},
     .middle = {CA},
     .alert = SSL_AD_CERTIFICATE_EXPIRED},
    {.name = "early",
     .code = "trust.not-yet-valid",
     .words = "is not valid before 20",
     .leaf = {LEAF, .from = DAY, .to = 3 * DAY},
     .middle = {CA}},
    {.name = "CA expired",
     .code = "trust.ca-expired",
     .words = "\"CN=middle\"",
     .leaf = {LEAF},
     .middle = {CA, .from = -3 * DAY, .to = -DAY}},
    {.name = "CA early",
     .code = "trust.ca-not-yet-valid",
     .leaf = {LEAF},
     .middle = {CA, .from = DAY, .to = 3 * DAY}},
    {.name = "missing intermediate",
     .code = "trust.unknown-issuer",
     .words = "\"CN=middle\", is neither among",
     .leaf = {LEAF},
     .middle = {CA},
     .no_middle = true,
     .alert = SSL_AD_UNKNOWN_CA},
    {.name = "other CA",
     .code = "trust.unknown-issuer",
     .words = "\"CN=root\", is neither among",
     .leaf = {LEAF},
     .middle = {CA},
     .other_anchor = true,
     .alert = SSL_AD_UNKNOWN_CA},
    {.name = "unknown root",
     .code = "trust.unknown-root",
     .words = "\"CN=root\"",
     .leaf = {LEAF},
     .middle = {CA},
     .send_root = true,
     .other_anchor = true},
    {.name = "self-signed", .code = "trust.self-signed", .leaf = {LEAF}, .middle = {CA}, .self_signed = true},
    {.name = "clientAuth",
     .code = "trust.wrong-eku",
     .leaf = {PLAIN, .purposes = "clientAuth", .san = "DNS:est.example"},
     .middle = {CA},
     .alert = SSL_AD_UNSUPPORTED_CERTIFICATE},
    {.name = "CA for mail",
     .code = "trust.ca-wrong-eku",
     .leaf = {LEAF},
     .middle = {CA, .purposes = "emailProtection"}},
    {.name = "key usage",
     .code = "trust.wrong-key-usage",
     .leaf = {.cn = "x", .kind = "rsa:2048", .usage = "keyEncipherment", .san = "DNS:est.example"},
     .middle = {CA}},
    {.name = "weak key", .code = "trust.weak-key", .leaf = {LEAF, .kind = "rsa:1024"}, .middle = {CA}},
    {.name = "weak CA key",
     .code = "trust.weak-key",
     .words = "the CA \"CN=middle\"",
     .leaf = {LEAF},
     .middle = {CA, .kind = "rsa:1024"}},
    {.name = "SHA-1", .code = "trust.weak-signature", .leaf = {LEAF, .digest = "SHA1"}, .middle = {CA}},
    {.name = "bad signature",
     .code = "trust.bad-signature",
     .leaf = {LEAF, .broken_signature = true},
     .middle = {CA}},
    {.name = "not a CA",
     .code = "trust.invalid-ca",
     .words = "\"CN=middle\"",
     .leaf = {LEAF},
     .middle = {.constraints = "CA:FALSE"}},
    {.name = "path length",
     .code = "trust.path-length",
     .leaf = {LEAF},
     .middle = {CA},
     .depth = 8,
     .host = NULL,
     .words = "\"CN=root\""},
    {.name = "too long", .code = "trust.chain-too-long", .leaf = {LEAF}, .middle = {CA}, .depth = -1},
    {.name = "names",
     .code = "trust.name-constraints",
     .leaf = {LEAF},
     .middle = {CA, .names = "permitted;DNS:other.example"}},
    {.name = "critical",
     .code = "trust.critical-extension",
     .leaf = {LEAF, .unknown_critical = true},
     .middle = {CA}},
};

static estuary_anchors *system_with(X509 *root)
{
    char path[] = "/tmp/estuary-roots-XXXXXX";
    int fd = mkstemp(path);
    char *pem = make_pem(root, NULL);
    estuary_anchors *anchors = NULL;
    assert_true(fd >= 0 && write(fd, pem, strlen(pem)) == (ssize_t)strlen(pem));
    close(fd);
    assert_int_equal(setenv("SSL_CERT_FILE", path, 1), 0);
    assert_int_equal(estuary_anchors_system(&anchors, NULL), ESTUARY_OK);
    unlink(path);
    OPENSSL_free(pem);
    return anchors;
}

static estuary_anchors *explicit_with(X509 *root)
{
    estuary_anchors *anchors = NULL;
    STACK_OF(X509) *certs = make_stack(root, NULL);
    assert_int_equal(estuary_anchors_from_certs(certs, &anchors, NULL), ESTUARY_OK);
    sk_X509_pop_free(certs, X509_free);
    return anchors;
}

static void judge(const peer_row *row, const est_session *session, const outcome *out, int version)
{
    if (strcmp(estuary_error_code(out->err), row->code) != 0)
        fail_msg("%s: \"%s\" %s", row->name, estuary_error_code(out->err), estuary_error_message(out->err));
    if (row->words != NULL && strstr(estuary_error_message(out->err), row->words) == NULL)
        fail_msg("%s: %s", row->name, estuary_error_message(out->err));
    if (row->alert != 0 && alert_seen != row->alert)
        fail_msg("%s: the server got alert %d", row->name, alert_seen);
    bool good = row->code[0] == '\0';
    assert_int_equal(out->status, good ? ESTUARY_OK : ESTUARY_E_TRUST);
    assert_int_equal(session->accepted, good);
    assert_int_equal(session->refusal == NULL, good);
    assert_int_equal(session->finished, good);
    assert_string_equal(session->version, !good ? "" : version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2");
    assert_int_equal(session->cipher[0] != '\0', good);
}

static void run_peer(const peer_row *row, int version)
{
    bool short_path = strcmp(row->name, "path length") == 0;
    made root =
        make_cert(&(recipe){.cn = "root",
                            .usage = "keyCertSign",
                            .constraints = short_path ? "critical,CA:TRUE,pathlen:0" : "critical,CA:TRUE"});
    made other = make_ca("other root", NULL);
    recipe middle_how = row->middle, leaf_how = row->leaf;
    middle_how.cn = "middle";
    middle_how.issuer = &root;
    made middle = make_cert(&middle_how);
    leaf_how.issuer = row->self_signed ? NULL : &middle;
    made leaf = make_cert(&leaf_how);
    STACK_OF(X509) *chain =
        row->no_middle ? NULL : make_stack(middle.cert, row->send_root ? root.cert : NULL, NULL);
    X509 *anchor = row->other_anchor ? other.cert : root.cert;
    estuary_anchors *anchors = row->system ? system_with(anchor) : explicit_with(anchor);
    est_trust trust = {.anchors = anchors,
                       .host = row->host == NULL ? "est.example" : row->host,
                       .max_depth = row->depth == 0 ? 8 : row->depth};
    est_session session = {.trust = &trust};
    SSL_CTX *ctx = make_server_ctx(&leaf, chain, version);
    outcome out = shake(ctx, &session);
    judge(row, &session, &out, version);
    estuary_error_free(out.err);
    est_session_reset(&session);
    SSL_CTX_free(ctx);
    estuary_anchors_free(anchors);
    sk_X509_pop_free(chain, X509_free);
    made *all[] = {&root, &other, &middle, &leaf};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free_made(all[i]);
}

/* T3 */
/* 7030-3.3-1, 7030-3.3.1-1, 7030-3.3.1-2, 7030-3.3.1-3, 7030-3.3.1-4, 7030-3.6.1-1, 7030-3.6.2-1,
 * 7030-4.2-2, 7030-4.2-3, 7030-4.4-1 */
static void test_peers(void **state)
{
    (void)state;
    const bool slow = getenv("ESTUARY_VALGRIND") != NULL; /* each row with one of the two then */
    for (size_t v = 0; v < 2; v++)
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            if (!slow || i % 2 == v)
                run_peer(&rows[i], versions[v]);
}

typedef struct identity_row {
    const char *name, *code;
    bool send, accept_any, demanded, known_ca;
    bool arrives;
} identity_row;

/* T4, T5: RFC 7030 4.1.1 */
/* 7030-3.3.2-1 */
static void test_identities(void **state)
{
    static const identity_row cases[] = {
        {"sent", "", true, false, true, true, true},
        {"nothing to send", "", false, false, false, true, false},
        {"demanded, nothing to send", "tls.client-certificate-required", false, false, true, true, false},
        {"unknown CA", "tls.client-certificate-refused", true, false, true, false, false},
        {"never to an unverified server", "", true, true, false, true, false},
        {"not even when demanded", "tls.client-certificate-required", true, true, true, true, false},
    };
    made root = make_ca("root", NULL), other = make_ca("other root", NULL);
    made leaf = make_server("DNS:est.example", &root), client = make_client("device", &root);
    estuary_anchors *anchors = explicit_with(root.cert);
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        const identity_row *row = &cases[i / 2];
        est_trust trust = {.anchors = anchors,
                           .host = "est.example",
                           .accept_any = row->accept_any,
                           .identity = row->send ? client.cert : NULL,
                           .identity_key = row->send ? client.key : NULL};
        est_session session = {.trust = &trust};
        SSL_CTX *ctx = make_server_ctx(&leaf, NULL, versions[i % 2]);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (row->demanded ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                           NULL);
        assert_int_equal(
            X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), row->known_ca ? root.cert : other.cert), 1);
        outcome out = shake(ctx, &session);
        if (strcmp(estuary_error_code(out.err), row->code) != 0)
            fail_msg("%s: \"%s\"", row->name, estuary_error_code(out.err));
        assert_true(session.client_certificate_wanted);
        assert_true(session.accepted);
        if (row->code[0] == '\0')
            assert_int_equal(out.client_sent_certificate, row->arrives);
        estuary_error_free(out.err);
        est_session_reset(&session);
        SSL_CTX_free(ctx);
    }
    estuary_anchors_free(anchors);
    made *all[] = {&root, &other, &leaf, &client};
    for (size_t i = 0; i < 4; i++)
        free_made(all[i]);
}

/* T4: anything goes, and is marked as checked by nobody's wish but the caller's. */
static void test_accept_any(void **state)
{
    made own = make_cert(&(recipe){.cn = "anybody", .from = -3 * DAY, .to = -DAY});
    est_trust trust = {.accept_any = true};
    est_session session = {.trust = &trust};
    SSL_CTX *ctx = make_server_ctx(&own, NULL, TLS1_3_VERSION);
    (void)state;
    outcome out = shake(ctx, &session);
    assert_int_equal(out.status, ESTUARY_OK);
    assert_true(session.accepted);
    assert_false(session.client_certificate_wanted);
    estuary_error_free(out.err);
    SSL_CTX_free(ctx);
    free_made(&own);
}

/* T1 */
/* 7030-3.2.3-2, 7030-3.3-3 */
static void test_no_agreement(void **state)
{
    made root = make_ca("root", NULL);
    made leaf =
        make_cert(&(recipe){.cn = "x", .issuer = &root, .kind = "rsa:2048", .san = "DNS:est.example"});
    estuary_anchors *anchors = explicit_with(root.cert);
    static const struct {
        int version;
        const char *ciphers, *code;
    } cases[] = {
        {TLS1_VERSION, "ALL", "tls.version-too-old"},
        {TLS1_1_VERSION, "ALL", "tls.version-too-old"},
        {TLS1_2_VERSION, "eNULL", "tls.no-shared-cipher"},
        {TLS1_2_VERSION, "aNULL", "tls.no-shared-cipher"},
        {TLS1_2_VERSION, "AES128-SHA", "tls.no-shared-cipher"},
        {TLS1_2_VERSION, "AES256-GCM-SHA384", "tls.no-shared-cipher"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        est_trust trust = {.anchors = anchors, .host = "est.example"};
        est_session session = {.trust = &trust};
        SSL_CTX *ctx = make_server_ctx(&leaf, NULL, cases[i].version);
        assert_int_equal(SSL_CTX_set_cipher_list(ctx, cases[i].ciphers), 1);
        SSL_CTX_set_dh_auto(ctx, 1);
        outcome out = shake(ctx, &session);
        if (strcmp(estuary_error_code(out.err), cases[i].code) != 0)
            fail_msg("%s: \"%s\" %s", cases[i].ciphers, estuary_error_code(out.err),
                     estuary_error_detail(out.err));
        assert_int_equal(out.status, ESTUARY_E_TLS);
        assert_false(session.accepted);
        estuary_error_free(out.err);
        SSL_CTX_free(ctx);
    }
    estuary_anchors_free(anchors);
    free_made(&leaf);
    free_made(&root);
}

#define OLD_HELLO                                                                                            \
    "\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01"                                                           \
    "01234567890123456789012345678901\x00\xc0\x13\x00"
#define BYTES(text) text, sizeof(text) - 1

/* What comes back when the other side is no TLS server of our time. */
static void test_raw(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *code;
    } cases[] = {
        {BYTES("HTTP/1.0 400 Bad Request\r\n\r\n"), "tls.not-tls"},
        {BYTES("SSH-2.0-OpenSSH_9.2\r\n"), "tls.not-tls"},
        {BYTES("220 mail.example ESMTP\r\n"), "tls.not-tls"},
        {BYTES(""), "tls.closed-in-handshake"},
        {BYTES("\x16\x03\x03"), "tls.closed-in-handshake"},
        {BYTES(OLD_HELLO), "tls.version-too-old"},
        {BYTES("\x15\x03\x01\x00\x02\x02\x46"), "tls.version-too-old"},
        {BYTES("\x15\x03\x03\x00\x02\x02\x28"), "tls.no-shared-cipher"},
        {BYTES("\x15\x03\x03\x00\x02\x02\x47"), "tls.no-shared-cipher"},
        {BYTES("\x15\x03\x03\x00\x02\x02\x70"), "tls.alert"},
        {BYTES("\x15\x03\x03\x00\x02\x02\x50"), "tls.alert"},
        {BYTES("\x16\x03\x03\x00\x05\x02\x00\x00\x01\x00"), "tls.handshake"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        est_trust trust = {.accept_any = true};
        est_session session = {.trust = &trust};
        estuary_error *err = estuary_error_new();
        BIO *ours = NULL, *theirs = NULL;
        bool failed = false;
        assert_int_equal(BIO_new_bio_pair(&ours, BUFFER, &theirs, BUFFER), 1);
        SSL *client = make_client_ssl(&session, ours);
        SSL_set_connect_state(client);
        if (cases[i].len > 0)
            assert_int_equal(BIO_write(theirs, cases[i].bytes, (int)cases[i].len), cases[i].len);
        BIO_shutdown_wr(theirs);
        for (int k = 0; k < 5 && !failed; k++)
            (void)step(client, &failed);
        assert_true(failed);
        assert_int_equal(est_trust_explain_failure(&session, ESTUARY_E_TLS, err), ESTUARY_E_TLS);
        if (strcmp(estuary_error_code(err), cases[i].code) != 0)
            fail_msg("case %zu: \"%s\" %s", i, estuary_error_code(err), estuary_error_detail(err));
        estuary_error_free(err);
        SSL_free(client);
        BIO_free(theirs);
    }
}

/* What libcurl's own error would hide, and what is none of our business. */
static void test_codes(void **state)
{
    est_trust trust = {.accept_any = true};
    est_session done = {.trust = &trust, .accepted = true, .finished = true};
    estuary_error *err = estuary_error_new();
    (void)state;
    assert_int_equal(est_trust_explain_failure(&done, ESTUARY_OK, err), ESTUARY_OK);
    assert_int_equal(est_trust_explain_failure(NULL, ESTUARY_E_TLS, err), ESTUARY_E_TLS);
    assert_int_equal(est_trust_explain_failure(&done, ESTUARY_E_NETWORK, err), ESTUARY_E_NETWORK);
    assert_string_equal(estuary_error_code(err), "");
    done.alert = SSL_AD_CERTIFICATE_REQUIRED;
    assert_int_equal(est_trust_explain_failure(&done, ESTUARY_E_NETWORK, err), ESTUARY_E_TLS);
    assert_string_equal(estuary_error_code(err), "tls.client-certificate-required");
    /* refused, but no memory for the reason: it must not read as a mere TLS failure */
    assert_int_equal(
        est_trust_handshake_error(NULL, ERR_PACK(ERR_LIB_SSL, 0, SSL_R_CERTIFICATE_VERIFY_FAILED), err),
        ESTUARY_E_TRUST);
    assert_int_equal(est_trust_handshake_error(NULL, ERR_PACK(ERR_LIB_SSL, 0, ERR_R_MALLOC_FAILURE), err),
                     ESTUARY_E_MEMORY);
    assert_int_equal(est_trust_handshake_error(NULL, 0, err), ESTUARY_E_TLS);
    assert_string_equal(estuary_error_code(err), "tls.closed-in-handshake");
    assert_int_equal(est_trust_handshake_error(NULL, ERR_PACK(ERR_LIB_SSL, 0, SSL_R_DH_KEY_TOO_SMALL), err),
                     ESTUARY_E_TLS);
    assert_string_equal(estuary_error_code(err), "tls.handshake");
    assert_non_null(strstr(estuary_error_message(err), "Diffie-Hellman"));
    estuary_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peers), cmocka_unit_test(test_identities),   cmocka_unit_test(test_accept_any),
        cmocka_unit_test(test_raw),   cmocka_unit_test(test_no_agreement), cmocka_unit_test(test_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
