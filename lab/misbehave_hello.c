/* Misbehaviours of the handshake: versions, suites, client certificates, and no TLS at all. */
#include "misbehave.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool only_tls11(const struct lab *lab, SSL_CTX *ctx, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    return SSL_CTX_set_min_proto_version(ctx, TLS1_1_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, "ALL@SECLEVEL=0") == 1;
}

/* TLS 1.3 has no such suites. */
static bool only_suites(const struct lab *lab, SSL_CTX *ctx, const struct misbehaviour *row)
{
    (void)lab;
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1 && SSL_CTX_set_dh_auto(ctx, 1) == 1 &&
           SSL_CTX_set_cipher_list(ctx, row->text) == 1;
}

static bool require_client(const struct lab *lab, SSL_CTX *ctx, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return true;
}

static bool wrong_client_ca(const struct lab *lab, SSL_CTX *ctx, const struct misbehaviour *row)
{
    bool ok = false;
    EVP_PKEY *key = NULL;
    X509 *root = rogue_root(row->text, time(NULL) + LAB_YEAR - LAB_DAY, &key);
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    (void)lab;
    if (root == NULL || store == NULL || names == NULL || X509_STORE_add_cert(store, root) != 1)
        goto cleanup;
    SSL_CTX_set_client_CA_list(ctx, names); /* takes it, replacing the lab's own */
    names = NULL;
    SSL_CTX_set1_verify_cert_store(ctx, store);
    ok = SSL_CTX_add_client_CA(ctx, root) == 1;
cleanup:
    sk_X509_NAME_free(names);
    X509_STORE_free(store);
    X509_free(root);
    EVP_PKEY_free(key);
    return ok;
}

/* The client has spoken: answer with the row's bytes and end as it says. */
static void heard(struct bufferevent *bev, void *arg)
{
    const struct misbehaviour *row = NULL;
    const struct door *door = arg;
    struct raw_plan plan = {.end = RAW_CLOSE};
    row = misbehave_greeting(door);
    if (row->text != NULL) {
        plan.first = evbuffer_new();
        if (plan.first != NULL)
            (void)evbuffer_add(plan.first, row->text, (size_t)row->number);
    }
    (void)raw_take_connection(door->lab, bev, &plan);
}

static void gone(struct bufferevent *bev, short events, void *arg)
{
    (void)events;
    (void)arg;
    bufferevent_free(bev);
}

static void greet_after_hello(struct door *door, struct bufferevent *bev, const struct misbehaviour *row)
{
    (void)row;
    bufferevent_setcb(bev, heard, NULL, gone, door);
    (void)bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void greet_silently(struct door *door, struct bufferevent *bev, const struct misbehaviour *row)
{
    struct raw_plan plan = {.end = RAW_HANG};
    (void)row;
    (void)raw_take_connection(door->lab, bev, &plan);
}

#define CLEARTEXT                                                                                            \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 8\r\nConnection: close\r\n\r\nno "       \
    "TLS\r\n"

static const char handshake_failure[] = "\x15\x03\x03\x00\x02\x02\x28"; /* RFC 8446 6: fatal, 40 */

static const struct misbehaviour rows[] = {
    {.name = "tls-1.1-only", .about = "the server speaks TLS 1.1 only", .context = only_tls11},
    {.name = "tls-null-cipher",
     .about = "the server offers only suites without encryption",
     .context = only_suites,
     .text = "eNULL:!aNULL@SECLEVEL=0"},
    {.name = "tls-anon-only",
     .about = "the server offers only suites without authentication",
     .context = only_suites,
     .text = "aNULL:!eNULL@SECLEVEL=0"},
    {.name = "tls-require-client-cert",
     .about = "the handshake fails without a client certificate",
     .context = require_client},
    {.name = "tls-wrong-client-ca",
     .about = "the server asks for, and accepts, client certificates of another CA only",
     .context = wrong_client_ca,
     .text = "Somebody's Client CA"},
    {.name = "tls-plain-http",
     .about = "the TLS port answers cleartext HTTP",
     .greet = greet_after_hello,
     .text = CLEARTEXT,
     .number = sizeof CLEARTEXT - 1},
    {.name = "tls-alert",
     .about = "the handshake ends with a fatal alert (handshake_failure)",
     .greet = greet_after_hello,
     .text = handshake_failure,
     .number = sizeof handshake_failure - 1},
    {.name = "tls-close-in-handshake",
     .about = "the connection is closed after the ClientHello",
     .greet = greet_after_hello},
    {.name = "tls-stall-in-handshake",
     .about = "the connection is accepted and nothing is ever said",
     .greet = greet_silently},
};

const struct misbehave_table misbehave_hello = {rows, sizeof rows / sizeof *rows};
