/* A software TPM on a private socket, for one test. */
#ifndef TEST_SWTPM_H
#define TEST_SWTPM_H

#include "support.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static char swtpm_folder[64];
static pid_t swtpm_pid;

/* -1 when the program is not there */
static inline pid_t swtpm_spawn(char *const argv[])
{
    posix_spawn_file_actions_t quiet;
    pid_t pid = -1;
    assert_int_equal(posix_spawn_file_actions_init(&quiet), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0), 0);
    int result = posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ);
    assert_int_equal(posix_spawn_file_actions_destroy(&quiet), 0);
    return result == 0 ? pid : -1;
}

/* 0 when it ran and said so. */
static inline int swtpm_run(char *const argv[])
{
    int status = -1;
    pid_t pid = swtpm_spawn(argv);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline bool swtpm_wait(const char *path)
{
    const struct timespec nap = {.tv_nsec = 10000000};
    for (int i = 0; i < 1000; i++) {
        if (access(path, F_OK) == 0)
            return true;
        (void)nanosleep(&nap, NULL);
    }
    return false;
}

/* false when swtpm or the tpm2 provider is not installed; under ESTUARY_STRICT that is a failure. */
static inline bool swtpm_start(void)
{
    char state[96], server[128], control[128], socket_path[96], tcti[128];
    char *const argv[] = {"swtpm",
                          "socket",
                          "--tpm2",
                          "--tpmstate",
                          state,
                          "--server",
                          server,
                          "--ctrl",
                          control,
                          "--flags",
                          "not-need-init,startup-clear",
                          NULL};
    snprintf(swtpm_folder, sizeof(swtpm_folder), "/tmp/estuary-tpm-XXXXXX");
    assert_non_null(mkdtemp(swtpm_folder));
    snprintf(state, sizeof(state), "dir=%s", swtpm_folder);
    snprintf(socket_path, sizeof(socket_path), "%s/sock", swtpm_folder);
    snprintf(server, sizeof(server), "type=unixio,path=%s", socket_path);
    snprintf(control, sizeof(control), "type=unixio,path=%s.ctrl", socket_path);
    snprintf(tcti, sizeof(tcti), "swtpm:path=%s", socket_path);
    assert_int_equal(setenv("TPM2OPENSSL_TCTI", tcti, 1), 0);
    assert_int_equal(setenv("TPM2TOOLS_TCTI", tcti, 1), 0);
    assert_int_equal(setenv("TSS2_LOG", "all+NONE", 1), 0); /* refusals are the point of some tests */
    swtpm_pid = swtpm_spawn(argv);
    if (swtpm_pid > 0 && swtpm_wait(socket_path))
        return true;
    assert_null(getenv("ESTUARY_STRICT"));
    return false;
}

static inline int swtpm_remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static inline void swtpm_stop(void)
{
    int status = 0;
    if (swtpm_pid > 0) {
        (void)kill(swtpm_pid, SIGTERM);
        (void)waitpid(swtpm_pid, &status, 0);
    }
    if (swtpm_folder[0] != '\0')
        (void)nftw(swtpm_folder, swtpm_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
