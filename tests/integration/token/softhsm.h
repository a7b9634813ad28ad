/* A SoftHSM token in a temporary folder; no configuration of the system is touched. */
#ifndef TEST_SOFTHSM_H
#define TEST_SOFTHSM_H

#include "support.h"

#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOFTHSM_MODULE "/usr/lib/softhsm/libsofthsm2.so"
#define SOFTHSM_PIN    "5678-secret"

extern char **environ;
static char softhsm_folder[64];

static inline bool softhsm_run(char *const argv[])
{
    posix_spawn_file_actions_t quiet;
    pid_t pid = 0;
    int status = -1;
    assert_int_equal(posix_spawn_file_actions_init(&quiet), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0), 0);
    bool done = posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ) == 0 &&
                waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    assert_int_equal(posix_spawn_file_actions_destroy(&quiet), 0);
    return done;
}

static inline bool softhsm_token(const char *label)
{
    char *const argv[] = {"softhsm2-util", "--init-token", "--free",   "--label",     (char *)label,
                          "--pin",         SOFTHSM_PIN,    "--so-pin", "so-12345678", NULL};
    return softhsm_run(argv);
}

/* false when SoftHSM is not installed; under ESTUARY_STRICT that is a failure. */
static inline bool softhsm_start(void)
{
    char path[96];
    if (access(SOFTHSM_MODULE, R_OK) != 0) {
        assert_null(getenv("ESTUARY_STRICT"));
        return false;
    }
    snprintf(softhsm_folder, sizeof(softhsm_folder), "/tmp/estuary-hsm-XXXXXX");
    assert_non_null(mkdtemp(softhsm_folder));
    snprintf(path, sizeof(path), "%s/tokens", softhsm_folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/conf", softhsm_folder);
    FILE *conf = fopen(path, "w");
    assert_non_null(conf);
    assert_true(fprintf(conf,
                        "directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n",
                        softhsm_folder) > 0);
    assert_int_equal(fclose(conf), 0);
    assert_int_equal(setenv("SOFTHSM2_CONF", path, 1), 0);
    return softhsm_token("estuary");
}

static inline int softhsm_remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static inline void softhsm_stop(void)
{
    if (softhsm_folder[0] != '\0')
        (void)nftw(softhsm_folder, softhsm_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
