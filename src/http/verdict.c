/* What a curl result means: each cause its own code and sentence. */
#include "http/transfer.h"

#include <errno.h>
#include <string.h>

static estuary_status timed_out(est_http *http, estuary_error *err)
{
    if (http->attempts == 0)
        return est_fail(err, EST_NETWORK_TIMEOUT_CONNECT, "no session with %s within the time allowed",
                        http->place);
    if (http->header_count == 0) /* a total no longer than the idle limit ends silence first */
        return est_fail(err, EST_NETWORK_TIMEOUT_IDLE, "%s sent nothing within the time allowed",
                        http->place);
    return est_fail(err, EST_NETWORK_TIMEOUT_TOTAL,
                    "the answer of %s was not complete within the time allowed", http->place);
}

static estuary_status proxy_failed(est_http *http, estuary_error *err)
{
    long code = 0;
    (void)curl_easy_getinfo(http->easy, CURLINFO_HTTP_CONNECTCODE, &code);
    if (code == 407)
        return est_fail(err, EST_NETWORK_PROXY, "the proxy wants a user name and password, or refuses ours");
    if (code != 0)
        return est_fail(err, EST_NETWORK_PROXY, "the proxy does not connect us to %s (status %ld)",
                        http->place, code);
    return est_fail(err, EST_NETWORK_PROXY, "the proxy does not connect us to %s", http->place);
}

static estuary_status receiving_failed(est_http *http, estuary_error *err)
{
    long os_error = 0;
    if (http->proxy != NULL && http->attempts == 0)
        return proxy_failed(http, err); /* its answer to CONNECT was none */
    (void)curl_easy_getinfo(http->easy, CURLINFO_OS_ERRNO, &os_error);
    if (strstr(http->error_text, "chunked-encoding") != NULL)
        return est_fail(err, EST_PROTOCOL_HTTP, "a chunk of the server's answer has no valid length");
    if (os_error == ECONNRESET || strstr(http->error_text, "reset by peer") != NULL)
        return est_fail(err, EST_NETWORK_RESET, "%s reset the connection", http->place);
    if (http->status != 0)
        return est_fail(err, EST_NETWORK_TRUNCATED, "%s closed the connection in the middle of its answer",
                        http->place);
    return est_fail(err, EST_NETWORK_CLOSED_EARLY, "%s closed the connection before it answered",
                    http->place);
}

static estuary_status connecting_failed(est_http *http, estuary_error *err)
{
    long os_error = 0;
    char buffer[96] = "";
    const char *reason = "";
    if (http->proxy != NULL)
        return est_fail(err, EST_NETWORK_PROXY, "no connection to the proxy");
    (void)curl_easy_getinfo(http->easy, CURLINFO_OS_ERRNO, &os_error);
    if (os_error != 0) /* the GNU variant returns the text, which need not be in the buffer */
        reason = strerror_r((int)os_error, buffer, sizeof(buffer));
    return est_fail(err, EST_NETWORK_CONNECT, "no connection to %s%s%s", http->place,
                    reason[0] == '\0' ? "" : ": ", reason);
}

static estuary_status no_memory(est_http *http, estuary_error *err)
{
    /* curl before 8.6 says so, too, when a header line outgrows its buffer */
    if (http->attempts > 0 && http->body_bytes == 0)
        return est_fail(err, EST_PROTOCOL_HEADERS,
                        "a header line of the server's answer is longer than allowed");
    return est_fail_memory(err);
}

static estuary_status not_http(est_http *http, estuary_error *err)
{
    if (strstr(http->error_text, "Content-Length") != NULL)
        return est_fail(err, EST_PROTOCOL_LENGTH, "the server's Content-Length is not a number");
    return est_fail(err, EST_PROTOCOL_HTTP, NULL);
}

static estuary_status name(est_http *http, CURLcode result, estuary_error *err)
{
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return est_fail(err, EST_NETWORK_RESOLVE, "the host name of %s cannot be resolved", http->place);
    case CURLE_COULDNT_CONNECT:
        return connecting_failed(http, err);
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return proxy_failed(http, err);
    case CURLE_OPERATION_TIMEDOUT:
        return timed_out(http, err);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_ABORTED_BY_CALLBACK:
        return est_fail(err, EST_TLS, NULL);
    case CURLE_PARTIAL_FILE:
        return est_fail(err, EST_NETWORK_TRUNCATED, "%s closed the connection in the middle of its answer",
                        http->place);
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return receiving_failed(http, err);
    case CURLE_OUT_OF_MEMORY:
        return no_memory(http, err);
#if LIBCURL_VERSION_NUM >= 0x080600
    case CURLE_TOO_LARGE:
        return est_fail(err, EST_PROTOCOL_HEADERS,
                        "a header line of the server's answer is longer than allowed");
#endif
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9 */
    case CURLE_WEIRD_SERVER_REPLY:
        return not_http(http, err);
    case CURLE_BAD_CONTENT_ENCODING:
        return est_fail(err, EST_PROTOCOL_ENCODING, NULL);
    default:
        return est_fail(err, EST_NETWORK, "the transfer with %s failed", http->place);
    }
}

estuary_status est_transfer_judge(est_http *http, CURLcode result, estuary_error *err)
{
    if (estuary_error_category(http->failure) != ESTUARY_OK) {
        est_error_copy(err, http->failure);
        return estuary_error_category(http->failure);
    }
    if (result == CURLE_OK && http->status != 0)
        return ESTUARY_OK;
    long connect_code = 0;
    (void)curl_easy_getinfo(http->easy, CURLINFO_HTTP_CONNECTCODE, &connect_code);
    estuary_status status =
        http->proxy != NULL && connect_code != 0 && connect_code != 200 && http->attempts == 0
            ? proxy_failed(http, err)
            : name(http, result, err);
    char text[CURL_ERROR_SIZE];
    est_text_sanitise(http->error_text, strlen(http->error_text), text, sizeof(text));
    est_error_set_detail(err, "%s", text[0] == '\0' ? curl_easy_strerror(result) : text);
    return status;
}
