/* Inside http only: the engine as its links see it. */
#ifndef EST_HTTP_ENGINE_H
#define EST_HTTP_ENGINE_H

#include "http/http.h"

#include <curl/curl.h>

estuary_status est_engine_add(est_http_engine *engine, est_http *http, estuary_error *err);
void est_engine_remove(est_http *http);
/* Begins the transfer anew; false: it is not under way, and still the engine's. */
bool est_engine_repeat(est_http *http);

/* http.c: takes the link off its engine and calls on_done, after which the link may be gone */
void est_http_finish(est_http *http, CURLcode result);

#endif
