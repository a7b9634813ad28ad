/*
 * metrics.h: named counters, shared and locked inside.
 */
#ifndef ESTUARY_METRICS_H
#define ESTUARY_METRICS_H

#include <estuary/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct estuary_metrics estuary_metrics;

ESTUARY_EXPORT estuary_status estuary_metrics_new(estuary_metrics **out, estuary_error *err);
ESTUARY_EXPORT estuary_metrics *estuary_metrics_up_ref(estuary_metrics *metrics);
ESTUARY_EXPORT void estuary_metrics_free(estuary_metrics *metrics); /* drops a reference; NULL is fine */

/* The value of a counter; 0 for one that nothing has counted yet. */
ESTUARY_EXPORT uint64_t estuary_metrics_get(estuary_metrics *metrics, const char *name);

/*
 * Walks the counters in order of name: index from 0, false past the end. *name is lent and stays
 * valid as long as the metrics object; *value is the value at the time of the call.
 */
ESTUARY_EXPORT bool estuary_metrics_at(estuary_metrics *metrics, size_t index, const char **name,
                                       uint64_t *value);

/*
 * All of them in Prometheus's text format, for a file that its node exporter reads. Times are in seconds
 * there: "x_ms_sum" here is "x_seconds_sum". The caller frees *out with OPENSSL_free().
 */
ESTUARY_EXPORT estuary_status estuary_metrics_to_prometheus(estuary_metrics *metrics, char **out,
                                                            estuary_error *err);

#ifdef __cplusplus
}
#endif
#endif
