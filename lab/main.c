/* estuary-lab: an EST certificate authority for trying and testing. */
#include "lab.h"
#include "revocation.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define EXIT_USAGE   2
#define MAX_CSRATTRS (4 * 1024 * 1024)

static bool fail(const char *what)
{
    (void)fprintf(stderr, "estuary-lab: %s\n", what);
    ERR_print_errors_fp(stderr);
    return false;
}

/* DER as it is; anything else must be base64, as a server would send it. */
static bool load_csrattrs(struct lab *lab)
{
    struct bytes file = {0};
    bool ok = true;
    if (lab->options.csrattrs == NULL)
        return true;
    if (!file_read(lab->options.csrattrs, MAX_CSRATTRS, &file) || file.len == 0)
        ok = fail("the --csrattrs file cannot be read");
    else if (!base64_decode(file.data, file.len, &lab->csrattrs))
        ok = bytes_set(&lab->csrattrs, file.data, file.len);
    bytes_clear(&file);
    return ok;
}

static bool open_directory(struct lab *lab)
{
    lab->ca.dir = strdup(lab->options.dir);
    if (lab->ca.dir == NULL || !dir_create(lab->ca.dir))
        return fail("the directory cannot be made");
    lab->access_log = path_join(lab->ca.dir, "access.log");
    if (lab->access_log == NULL)
        return fail("out of memory");
    lab->ca.lock = dir_lock(lab->ca.dir);
    return lab->ca.lock >= 0 || fail("another lab uses this directory, or it cannot be written");
}

static void stop(evutil_socket_t number, short events, void *arg)
{
    struct lab *lab = arg;
    (void)number;
    (void)events;
    (void)event_base_loopbreak(lab->base);
}

/* Which port goes wrong how. */
static void announce_doors(struct evbuffer *line, const struct lab *lab)
{
    struct evbuffer *ports = lab->options.also_count == 0 ? NULL : evbuffer_new();
    if (ports == NULL)
        return;
    for (size_t i = 0; i < lab->options.also_count; i++)
        json_number(ports, lab->options.also[i].text, lab->doors[i + 1].port);
    (void)evbuffer_add_printf(line, ",\"also\":");
    (void)evbuffer_add_buffer(line, ports);
    (void)evbuffer_add(line, "}", 1);
    evbuffer_free(ports);
}

static bool announce(const struct lab *lab)
{
    char url[96];
    char fingerprint[96];
    bool ok = false;
    struct evbuffer *line = evbuffer_new();
    if (line == NULL || !ca_fingerprint(lab->options.rollover ? lab->ca.old_root : lab->ca.root, fingerprint))
        goto cleanup;
    (void)snprintf(url, sizeof url, "https://%s:%u", lab->options.host, (unsigned)lab->doors[0].port);
    json_string(line, "url", url);
    json_string(line, "fingerprint", fingerprint);
    json_string(line, "anchors", lab->ca.anchors);
    json_string(line, "http", lab->ca.http_base);
    announce_doors(line, lab);
    if (lab->options.rollover) { /* the members above are about the old root */
        if (!ca_fingerprint(lab->ca.root, fingerprint))
            goto cleanup;
        json_string(line, "new_fingerprint", fingerprint);
        json_string(line, "new_anchors", lab->ca.new_anchors);
    }
    (void)evbuffer_add(line, "}\n", 3);
    ok = fputs((const char *)evbuffer_pullup(line, -1), stdout) >= 0 && fflush(stdout) == 0;
cleanup:
    if (line != NULL)
        evbuffer_free(line);
    return ok;
}

static bool start(struct lab *lab)
{
    (void)fputs(
        "estuary-lab: for trying and testing only: its keys lie in files, its CA signs for anyone it knows. "
        "Never use it for production keys.\n",
        stderr);
    lab->base = event_base_new();
    lab->nonces = nonces_new();
    if (lab->base == NULL || lab->nonces == NULL)
        return fail("out of memory");
    if (!open_directory(lab) || !load_csrattrs(lab))
        return false;
    lab->ca.must_staple = lab->options.must_staple;
    if (!publish_start(lab))
        return fail("the plain HTTP side cannot start");
    if (!ca_open(&lab->ca, lab->options.key_type) || (lab->options.rollover && !rollover_open(lab)) ||
        !server_certificate_open(&lab->ca, lab->options.host))
        return fail("the CA in the directory cannot be opened or made");
    if (lab->options.delta && !crls_start(lab))
        return fail("the CRLs cannot be made");
    if (!server_start(lab))
        return fail("the TLS side cannot start");
    return true;
}

static bool serve(struct lab *lab)
{
    struct event *term = evsignal_new(lab->base, SIGTERM, stop, lab);
    struct event *interrupt = evsignal_new(lab->base, SIGINT, stop, lab);
    bool ok = term != NULL && interrupt != NULL && evsignal_add(term, NULL) == 0 &&
              evsignal_add(interrupt, NULL) == 0 && announce(lab) && event_base_dispatch(lab->base) >= 0;
    if (term != NULL)
        event_free(term);
    if (interrupt != NULL)
        event_free(interrupt);
    return ok;
}

static void lab_clear(struct lab *lab)
{
    server_stop(lab);
    ca_close(&lab->ca);
    nonces_free(lab->nonces);
    bytes_clear(&lab->csrattrs);
    free(lab->access_log);
    options_clear(&lab->options);
    if (lab->base != NULL)
        event_base_free(lab->base);
}

int main(int argc, char **argv)
{
    struct lab lab = {.ca.lock = -1};
    int code = EXIT_FAILURE;
    (void)umask(077);
    (void)signal(SIGPIPE, SIG_IGN);
    switch (options_parse(&lab.options, argc, argv)) {
    case OPTIONS_WRONG:
        code = EXIT_USAGE;
        break;
    case OPTIONS_DONE:
        code = EXIT_SUCCESS;
        break;
    case OPTIONS_REVOKE:
        code = revoke_command(&lab.options);
        break;
    case OPTIONS_RUN:
        code = start(&lab) && serve(&lab) ? EXIT_SUCCESS : EXIT_FAILURE;
        break;
    }
    lab_clear(&lab);
    return code;
}
