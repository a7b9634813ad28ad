#include "base/base.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define COUNTERS_MAX 128

struct counter {
    const char *name; /* static */
    uint64_t value;
};

struct estuary_metrics {
    atomic_int references;
    pthread_mutex_t lock;
    size_t n;
    struct counter counters[COUNTERS_MAX]; /* sorted by name */
};

estuary_status estuary_metrics_new(estuary_metrics **out, estuary_error *err)
{
    *out = NULL;
    estuary_metrics *metrics = est_alloc(sizeof(*metrics));
    if (metrics == NULL || pthread_mutex_init(&metrics->lock, NULL) != 0) {
        est_free(metrics);
        return est_fail_memory(err);
    }
    atomic_init(&metrics->references, 1);
    *out = metrics;
    return ESTUARY_OK;
}

estuary_metrics *estuary_metrics_up_ref(estuary_metrics *metrics)
{
    if (metrics != NULL)
        atomic_fetch_add(&metrics->references, 1);
    return metrics;
}

void estuary_metrics_free(estuary_metrics *metrics)
{
    if (metrics == NULL || atomic_fetch_sub(&metrics->references, 1) != 1)
        return;
    pthread_mutex_destroy(&metrics->lock);
    est_free(metrics);
}

/* The place of name, or where it would go. */
static size_t place_of(const estuary_metrics *metrics, const char *name, bool *found)
{
    size_t i = 0;
    while (i < metrics->n && strcmp(metrics->counters[i].name, name) < 0)
        i++;
    *found = i < metrics->n && strcmp(metrics->counters[i].name, name) == 0;
    return i;
}

void est_count(estuary_metrics *metrics, const char *name)
{
    est_count_add(metrics, name, 1);
}

void est_count_add(estuary_metrics *metrics, const char *name, uint64_t amount)
{
    if (metrics == NULL || pthread_mutex_lock(&metrics->lock) != 0)
        return;
    bool found = false;
    size_t i = place_of(metrics, name, &found);
    if (!found && metrics->n < COUNTERS_MAX) {
        memmove(&metrics->counters[i + 1], &metrics->counters[i], (metrics->n - i) * sizeof(struct counter));
        metrics->counters[i] = (struct counter){name, 0};
        metrics->n++;
        found = true;
    }
    if (found)
        metrics->counters[i].value += amount;
    pthread_mutex_unlock(&metrics->lock);
}

uint64_t estuary_metrics_get(estuary_metrics *metrics, const char *name)
{
    uint64_t value = 0;
    if (metrics == NULL || pthread_mutex_lock(&metrics->lock) != 0)
        return 0;
    bool found = false;
    size_t i = place_of(metrics, name, &found);
    if (found)
        value = metrics->counters[i].value;
    pthread_mutex_unlock(&metrics->lock);
    return value;
}

bool estuary_metrics_at(estuary_metrics *metrics, size_t index, const char **name, uint64_t *value)
{
    if (metrics == NULL || pthread_mutex_lock(&metrics->lock) != 0)
        return false;
    bool there = index < metrics->n;
    if (there) {
        *name = metrics->counters[index].name;
        *value = metrics->counters[index].value;
    }
    pthread_mutex_unlock(&metrics->lock);
    return there;
}

#define MS_SUM "_ms_sum"

static bool append_line(est_buf *text, const char *name, uint64_t value)
{
    size_t len = strlen(name), tail = strlen(MS_SUM);
    bool is_ms = len > tail && strcmp(name + len - tail, MS_SUM) == 0;
    char *line = is_ms ? est_printf("%.*s_seconds_sum %llu.%03llu\n", (int)(len - tail), name,
                                    (unsigned long long)(value / 1000), (unsigned long long)(value % 1000))
                       : est_printf("%s %llu\n", name, (unsigned long long)value);
    bool ok = line != NULL && est_buf_append(text, line, strlen(line)) == EST_APPEND_OK;
    est_free(line);
    return ok;
}

estuary_status estuary_metrics_to_prometheus(estuary_metrics *metrics, char **out, estuary_error *err)
{
    est_buf text = {.max = 64 * 1024};
    const char *name = NULL;
    uint64_t value = 0;
    bool ok = est_buf_append(&text, "", 0) == EST_APPEND_OK;
    *out = NULL;
    for (size_t i = 0; ok && estuary_metrics_at(metrics, i, &name, &value); i++)
        ok = append_line(&text, name, value);
    if (ok)
        *out = est_strdup(text.data == NULL ? "" : (const char *)text.data);
    est_buf_free(&text);
    return *out != NULL ? ESTUARY_OK : est_fail_memory(err);
}
