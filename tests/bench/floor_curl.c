/* The floor on libcurl: one simpleenroll, hard-coded, with libcurl's own checks of the server. */
#include "floor.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

struct answer {
    char bytes[1 << 16];
    size_t len;
};

static size_t take(char *bytes, size_t size, size_t count, void *arg)
{
    struct answer *answer = arg;
    size_t len = size * count;
    if (len > sizeof(answer->bytes) - answer->len)
        return 0;
    memcpy(answer->bytes + answer->len, bytes, len);
    answer->len += len;
    return len;
}

int main(int argc, char **argv)
{
    struct floor_job job;
    static struct answer answer;
    char url[512];
    long status = 0;
    floor_prepare(&job, argc, argv);
    snprintf(url, sizeof(url), "https://%s:%s/.well-known/est/simpleenroll", job.host, job.port);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/pkcs10");
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CAINFO, job.ca_file);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_USERNAME, job.user);
    curl_easy_setopt(easy, CURLOPT_PASSWORD, job.password);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)job.body_len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, job.body);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
    if (curl_easy_perform(easy) != CURLE_OK)
        floor_die("transfer");
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        floor_die("status");
    floor_finish(&job, answer.bytes, answer.len);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    curl_global_cleanup();
    return 0;
}
