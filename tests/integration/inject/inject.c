#include "inject.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH 200

/* With AddressSanitizer a run lasts eight times as long: it gets a third of each sample. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SAMPLED_IN 3
#endif
#endif
#ifndef SAMPLED_IN
#define SAMPLED_IN 1
#endif

static struct {
    inject_kind kind;
    unsigned long target, count;
    bool paused, hit;
    char where[128];
} state = {.paused = true};

/* What a child tells even when it crashes. */
static struct {
    unsigned long at;
    unsigned long runs;
    unsigned long calls; /* that one run makes; known for samples only */
    bool finished;       /* a run did not reach its failure */
    char where[128];
} * shared;

static bool due(const char *name, int line)
{
    if (state.paused || ++state.count != state.target)
        return false;
    state.hit = true;
    snprintf(state.where, sizeof(state.where), "%s:%d", name, line);
    if (shared != NULL)
        memcpy(shared->where, state.where, sizeof(shared->where));
    return true;
}

/* Our files and OpenSSL's reach the allocator with their names. */
static bool is_ours(const char *file)
{
    return file != NULL && strstr(file, "src/") != NULL;
}

static bool allocation_fails(const char *file, int line)
{
    if (state.kind != INJECT_ALLOCATION && (state.kind != INJECT_OUR_ALLOCATION || !is_ours(file)))
        return false;
    return due(file == NULL ? "?" : file, line);
}

static void *hook_malloc(size_t size, const char *file, int line)
{
    return size == 0 || allocation_fails(file, line) ? NULL : malloc(size);
}

static void *hook_realloc(void *old, size_t size, const char *file, int line)
{
    if (size == 0) {
        free(old);
        return NULL;
    }
    return allocation_fails(file, line) ? NULL : realloc(old, size);
}

static void hook_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

/* Asked by each wrapper of openssl_calls.c. */
bool inject_openssl_fails(const char *name);
bool inject_openssl_fails(const char *name)
{
    bool counts = state.kind == INJECT_OPENSSL || (state.kind == INJECT_SSL && strncmp(name, "SSL_", 4) == 0);
    return counts && due(name, 0);
}

void inject_set_up(void)
{
    INJECT_REQUIRE(CRYPTO_set_mem_functions(hook_malloc, hook_realloc, hook_free) == 1);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    INJECT_REQUIRE(shared != MAP_FAILED);
}

void inject_arm(inject_kind kind, unsigned long target)
{
    state.kind = kind;
    state.target = target;
    state.count = 0;
    state.hit = false;
    state.paused = true;
    state.where[0] = '\0';
}

void inject_pause(void)
{
    state.paused = true;
}

void inject_resume(void)
{
    state.paused = false;
}

unsigned long inject_count(void)
{
    return state.count;
}

bool inject_hit(void)
{
    return state.hit;
}

const char *inject_where(void)
{
    return state.where;
}

void inject_abort(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s (call %lu, %s)\n", file, line, what, state.target, state.where);
    fflush(stderr);
    _exit(99);
}

static bool one_run(const inject_plan *plan, unsigned long target)
{
    shared->at = target;
    shared->where[0] = '\0';
    inject_arm(plan->kind, target);
    plan->run(plan->arg);
    inject_pause();
    shared->runs++;
    return inject_hit();
}

/* How many calls one run makes, once everything is warm. */
static unsigned long count_calls(const inject_plan *plan)
{
    inject_arm(plan->kind, 0);
    plan->run(plan->arg);
    inject_pause();
    return inject_count();
}

/* xorshift64*: the same calls in every run of the test */
static unsigned long random_below(uint64_t *seed, unsigned long limit)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (unsigned long)((*seed * UINT64_C(2685821657736338717)) >> 33) % limit;
}

static void child(const inject_plan *plan, unsigned long first, unsigned long count)
{
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15) + first;
    unsigned long calls = plan->sample == 0 ? 0 : count_calls(plan);
    shared->calls = calls;
    for (unsigned long i = 0; i < count; i++) {
        bool hit = one_run(plan, plan->sample == 0 ? first + i : 1 + random_below(&seed, calls));
        if (!hit && plan->sample == 0) {
            shared->finished = true;
            break;
        }
    }
    /* not _exit: LeakSanitizer and valgrind look at exit */
    exit(0);
}

static bool run_batch(const inject_plan *plan, unsigned long first, unsigned long count)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    INJECT_REQUIRE(pid >= 0);
    if (pid == 0)
        child(plan, first, count);
    INJECT_REQUIRE(waitpid(pid, &status, 0) == pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    printf("# calls %lu to %lu: ended with %s %d at call %lu, %s\n", first, first + count - 1,
           WIFSIGNALED(status) ? "signal" : "exit code",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), shared->at, shared->where);
    return false;
}

bool inject_every(int number, const inject_plan *plan)
{
    /* one call alone, for a debugger: INJECT_ONLY=NAME INJECT_FIRST=N INJECT_COUNT=N */
    const char *only = getenv("INJECT_ONLY"), *from = getenv("INJECT_FIRST"), *size = getenv("INJECT_COUNT");
    unsigned long first = from == NULL ? 1 : strtoul(from, NULL, 10);
    unsigned long batch = size == NULL ? BATCH : strtoul(size, NULL, 10);
    const unsigned long sample = plan->sample / SAMPLED_IN;
    bool passed = true;
    shared->runs = 0;
    shared->finished = false;
    if (only != NULL && strcmp(only, plan->name) != 0) {
        printf("ok %d - %s # SKIP not asked for\n", number, plan->name);
        return true;
    }
    for (unsigned long at = first; !shared->finished && (plan->sample == 0 || at <= sample); at += batch) {
        bool last = plan->sample > 0 && at + batch > sample;
        if (!run_batch(plan, at, last ? sample - at + 1 : batch)) {
            passed = false;
            if (plan->sample == 0 && shared->at >= at && shared->at < at + batch - 1)
                at = shared->at + 1 - batch; /* go on behind the call that ended it */
        }
        if (from != NULL)
            break;
    }
    unsigned long injected = shared->runs - (shared->finished ? 1 : 0);
    printf("%s %d - %s: %lu failures injected, %lu calls in a run\n", passed ? "ok" : "not ok", number,
           plan->name, injected, plan->sample > 0 ? shared->calls : first - 1 + injected);
    return passed;
}
