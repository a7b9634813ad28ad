/* URL, label and the Location of a redirect, separated by NUL bytes (T7, T9). */
#include "est/est.h"
#include "fuzz.h"

static const char *next_part(const char **at, const char *end)
{
    const char *part = *at;
    size_t len = strlen(part);
    *at = part + len < end ? part + len + 1 : end;
    return part;
}

static void redirect(const estuary_server *server, const char *location, estuary_error *err)
{
    char *current = est_server_operation_url(server, "cacerts"), *url = NULL;
    REQUIRE(current != NULL);
    estuary_status status = est_server_resolve_redirect(server, current, location, &url, err);
    fuzz_check_result(status, url, err);
    if (status == ESTUARY_OK) {
        /* Same origin: the URL begins as ours does, up to the path. */
        size_t origin = strlen("https://") + strcspn(current + strlen("https://"), "/");
        REQUIRE(strncmp(url, current, origin) == 0 && (url[origin] == '/' || url[origin] == '\0'));
        REQUIRE(strpbrk(url, " \r\n\t#") == NULL);
    }
    est_free(url);
    est_free(current);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    estuary_server *server = NULL, *again = NULL;
    char *text = fuzz_text(data, size);
    const char *at = text, *end = text + size;
    const char *url = next_part(&at, end), *label = next_part(&at, end), *location = next_part(&at, end);
    estuary_status status = estuary_server_parse(url, label[0] == '\0' ? NULL : label, &server, err);
    fuzz_check_result(status, server, err);
    if (status == ESTUARY_OK) {
        REQUIRE(strncmp(estuary_server_url(server), "https://", 8) == 0);
        REQUIRE(estuary_server_port(server) > 0 && estuary_server_port(server) <= 65535);
        /* The normal form is its own normal form. */
        REQUIRE(estuary_server_parse(estuary_server_url(server), label[0] == '\0' ? NULL : label, &again,
                                     err) == ESTUARY_OK);
        REQUIRE(est_server_equal(server, again));
        REQUIRE(strcmp(estuary_server_url(server), estuary_server_url(again)) == 0);
        redirect(server, location, err);
    }
    estuary_server_free(server);
    estuary_server_free(again);
    free(text);
    estuary_error_free(err);
    return 0;
}
