/*
 * The files of the CRL cache (R5): KEY.crl.json has the notes and names the CRL's own file, KEY.FILE.crl,
 * whose index is KEY.FILE.crl.index. FILE is drawn anew for each CRL that comes.
 */
#include "revocation/crl_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTES_MAX    16384
#define CRL_SUFFIX   ".crl"
#define INDEX_SUFFIX ".crl.index"
#define NOTE_SUFFIX  ".crl.json"
#define HEX          "0123456789abcdef"
#define KEY_CHARS    ((size_t)EST_CRL_KEY_SIZE - 1)
#define FILE_CHARS   16
#define TRIES        8 /* to read notes and the file that they name while others replace both */

/* --- names --- */

static bool join(char out[EST_CRL_NAME_SIZE], const char *key, const char *file, const char *suffix)
{
    int len = snprintf(out, EST_CRL_NAME_SIZE, "%s%s%s%s", key, file[0] == '\0' ? "" : ".", file, suffix);
    return len > 0 && len < EST_CRL_NAME_SIZE;
}

bool est_crl_cached_index_name(const est_crl_cached *cached, char out[EST_CRL_NAME_SIZE])
{
    return join(out, cached->key, cached->file, INDEX_SUFFIX);
}

/* What stands in notes becomes part of a path. */
static bool is_file_name(const char *text)
{
    return strlen(text) == FILE_CHARS && strspn(text, HEX) == FILE_CHARS;
}

static bool draw(char *out, size_t bytes)
{
    uint8_t random[16];
    if (bytes > sizeof(random) || RAND_bytes(random, (int)bytes) != 1)
        return false;
    est_hex_write(random, bytes, out);
    return true;
}

static int open_in(int folder, const char *name, int flags)
{
    return openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
}

/* --- notes --- */

static bool copy_text(const json_t *notes, const char *name, char **out)
{
    const char *text = json_string_value(json_object_get(notes, name));
    *out = est_strdup(text == NULL ? "" : text);
    return *out != NULL;
}

static void copy_name(const json_t *notes, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(notes, name));
    snprintf(out, size, "%s", text == NULL || strlen(text) >= size ? "" : text);
}

static time_t read_time(const json_t *notes, const char *name)
{
    return (time_t)json_integer_value(json_object_get(notes, name));
}

static bool read_notes(const json_t *notes, est_crl_cached *out)
{
    out->fetched_at = read_time(notes, "fetched_at");
    out->this_update = read_time(notes, "this_update");
    out->next_update = read_time(notes, "next_update");
    out->is_delta = json_is_true(json_object_get(notes, "delta"));
    out->is_whole = json_is_true(json_object_get(notes, "whole"));
    out->revoked = json_is_true(json_object_get(notes, "revoked"));
    copy_name(notes, "file", out->file, sizeof(out->file));
    copy_name(notes, "scope", out->scope, sizeof(out->scope));
    if (!is_file_name(out->file))
        return false;
    out->failed = !copy_text(notes, "url", &out->url) || !copy_text(notes, "etag", &out->etag) ||
                  !copy_text(notes, "last_modified", &out->last_modified) ||
                  !copy_text(notes, "issuer", &out->issuer);
    return !out->failed;
}

/* `fd` comes from open_in: it may well be there, and nobody can look. */
static bool is_short_of_files(int fd)
{
    return fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM);
}

/* identity and failed may be NULL */
static json_t *load_notes(int folder, const char *key, est_index_identity *identity, bool *failed)
{
    char text[NOTES_MAX], name[EST_CRL_NAME_SIZE];
    off_t size = 0;
    json_t *notes = NULL;
    json_error_t why = {0};
    if (!join(name, key, "", NOTE_SUFFIX))
        return NULL;
    int fd = open_in(folder, name, O_RDONLY);
    if (failed != NULL)
        *failed = is_short_of_files(fd);
    if (fd < 0)
        return NULL;
    if (est_fd_is_ours(fd, S_IWGRP | S_IWOTH, sizeof(text), &size) &&
        (identity == NULL || est_index_identity_of(fd, identity))) {
        ssize_t n = read(fd, text, sizeof(text));
        if (n > 0)
            notes = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &why);
        if (n > 0 && notes == NULL && failed != NULL)
            *failed = json_error_code(&why) == json_error_out_of_memory;
    }
    (void)close(fd);
    return notes;
}

static json_t *notes_of(const est_crl_cached *facts)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:b, s:b, s:b}", "url", facts->url,
                     "file", facts->file, "scope", facts->scope, "etag", facts->etag, "last_modified",
                     facts->last_modified, "issuer", facts->issuer, "fetched_at",
                     (json_int_t)facts->fetched_at, "this_update", (json_int_t)facts->this_update,
                     "next_update", (json_int_t)facts->next_update, "delta", facts->is_delta ? 1 : 0, "whole",
                     facts->is_whole ? 1 : 0, "revoked", facts->revoked ? 1 : 0);
}

/* --- reading --- */

/* true in *again: the notes name a file that has gone meanwhile. */
static bool load_once(int folder, const char *key, est_crl_cached *out, est_crl_origin *origin, bool *again)
{
    char name[EST_CRL_NAME_SIZE];
    off_t size = 0;
    est_crl_cached_init(out);
    json_t *notes = load_notes(folder, key, &origin->notes, &out->failed);
    snprintf(out->key, sizeof(out->key), "%s", key);
    bool ok = json_is_object(notes) && read_notes(notes, out) && join(name, key, out->file, CRL_SUFFIX);
    json_decref(notes);
    if (ok) {
        out->fd = open_in(folder, name, O_RDONLY);
        *again = out->fd < 0 && errno == ENOENT;
        out->failed = is_short_of_files(out->fd);
    }
    ok = ok && out->fd >= 0 && est_fd_is_ours(out->fd, S_IWGRP | S_IWOTH, INT64_MAX, &size) &&
         est_index_identity_of(out->fd, &origin->crl);
    out->bytes = size;
    if (!ok) {
        bool failed = out->failed;
        est_crl_cached_clear(out);
        out->failed = failed;
    }
    return ok;
}

bool est_crl_folder_load(int folder, const char *key, est_crl_cached *out, est_crl_origin *origin)
{
    bool again = true, there = false;
    for (int i = 0; again && i < TRIES; i++) {
        again = false;
        there = load_once(folder, key, out, origin, &again);
    }
    return there;
}

static bool is_identity(int folder, const char *name, const est_index_identity *identity)
{
    est_index_identity now;
    return est_index_identity_at(folder, name, &now) && memcmp(&now, identity, sizeof(now)) == 0;
}

bool est_crl_folder_is_same(int folder, const est_crl_cached *cached, const est_crl_origin *origin)
{
    char notes[EST_CRL_NAME_SIZE], crl[EST_CRL_NAME_SIZE];
    return join(notes, cached->key, "", NOTE_SUFFIX) && join(crl, cached->key, cached->file, CRL_SUFFIX) &&
           is_identity(folder, notes, &origin->notes) && is_identity(folder, crl, &origin->crl);
}

/* --- writing --- */

bool est_crl_folder_new(int folder, int *fd, char name[EST_CRL_TEMP_SIZE])
{
    snprintf(name, EST_CRL_TEMP_SIZE, EST_CRL_NEW_PREFIX);
    *fd = -1;
    if (draw(name + strlen(name), 12))
        *fd = open_in(folder, name, O_RDWR | O_CREAT | O_EXCL);
    return *fd >= 0;
}

void est_crl_folder_drop(int folder, const char *temp)
{
    if (temp[0] != '\0')
        (void)unlinkat(folder, temp, 0);
}

bool est_crl_folder_save_notes(int folder, const est_crl_cached *facts)
{
    char temp[EST_CRL_TEMP_SIZE] = "", name[EST_CRL_NAME_SIZE];
    int fd = -1;
    json_t *notes = notes_of(facts);
    char *text = notes == NULL ? NULL : json_dumps(notes, JSON_INDENT(1));
    json_decref(notes);
    bool ok =
        text != NULL && join(name, facts->key, "", NOTE_SUFFIX) && est_crl_folder_new(folder, &fd, temp);
    ok = ok && est_fd_write_all(fd, text, strlen(text));
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    ok = ok && renameat(folder, temp, folder, name) == 0;
    if (!ok && fd >= 0)
        est_crl_folder_drop(folder, temp);
    free(text);
    return ok;
}

static void remove_file(int folder, const char *key, const char *file)
{
    char name[EST_CRL_NAME_SIZE];
    if (join(name, key, file, CRL_SUFFIX))
        (void)unlinkat(folder, name, 0);
    if (join(name, key, file, INDEX_SUFFIX))
        (void)unlinkat(folder, name, 0);
}

bool est_crl_folder_put(int folder, const char *temp, const est_crl_cached *facts, const char *old_file)
{
    char name[EST_CRL_NAME_SIZE];
    est_crl_cached named = *facts;
    if (!draw(named.file, FILE_CHARS / 2) || !join(name, named.key, named.file, CRL_SUFFIX) ||
        renameat(folder, temp, folder, name) != 0)
        return false;
    if (!est_crl_folder_save_notes(folder, &named)) {
        remove_file(folder, named.key, named.file);
        return false;
    }
    if (old_file[0] != '\0')
        remove_file(folder, named.key, old_file);
    return true;
}

void est_crl_folder_remove(int folder, const char *key)
{
    char name[EST_CRL_NAME_SIZE], file[20];
    json_t *notes = load_notes(folder, key, NULL, NULL);
    copy_name(notes, "file", file, sizeof(file));
    json_decref(notes);
    /* the notes first: what they no longer name is nobody's */
    if (join(name, key, "", NOTE_SUFFIX))
        (void)unlinkat(folder, name, 0);
    if (is_file_name(file))
        remove_file(folder, key, file);
}

/* --- the folder as a whole --- */

static DIR *open_dir(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL && fd >= 0)
        (void)close(fd);
    return dir;
}

/* The key that a name of ours begins with, and what comes behind. */
static bool split(const char *name, char key[EST_CRL_KEY_SIZE], const char **rest)
{
    if (strlen(name) <= KEY_CHARS || strspn(name, HEX) != KEY_CHARS)
        return false;
    memcpy(key, name, KEY_CHARS);
    key[KEY_CHARS] = '\0';
    *rest = name + KEY_CHARS;
    return true;
}

void est_crl_folder_walk(int folder, void (*fn)(void *arg, const char *key), void *arg)
{
    char key[EST_CRL_KEY_SIZE];
    const char *rest = NULL;
    DIR *dir = open_dir(folder);
    if (dir == NULL)
        return;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (split(entry->d_name, key, &rest) && strcmp(rest, NOTE_SUFFIX) == 0)
            fn(arg, key);
    }
    (void)closedir(dir);
}

struct census {
    int folder;
    const char *spared;
    size_t count;
    bool revoked; /* the victim has */
    time_t fetched_at;
    char *victim;
};

static void count_one(void *arg, const char *key)
{
    struct census *census = arg;
    bool failed = false;
    json_t *notes = load_notes(census->folder, key, NULL, &failed);
    time_t at = read_time(notes, "fetched_at");
    bool revoked = json_is_true(json_object_get(notes, "revoked"));
    json_decref(notes);
    census->count++;
    if (failed || strcmp(key, census->spared) == 0 || /* R0: nobody knows whether it has said revoked */
        (census->victim[0] != '\0' && (revoked != census->revoked ? revoked : at >= census->fetched_at)))
        return;
    census->fetched_at = at;
    census->revoked = revoked;
    snprintf(census->victim, EST_CRL_KEY_SIZE, "%s", key);
}

size_t est_crl_folder_find_victim(int folder, const char *spared, char out[EST_CRL_KEY_SIZE])
{
    struct census census = {.folder = folder, .spared = spared, .victim = out};
    out[0] = '\0';
    est_crl_folder_walk(folder, count_one, &census);
    return census.count;
}

/* A CRL or an index that the notes of its key do not name. */
static bool is_orphan(int folder, const char *name)
{
    char key[EST_CRL_KEY_SIZE], file[20], expected[EST_CRL_NAME_SIZE];
    const char *rest = NULL;
    size_t len = strlen(name);
    bool is_crl = len > 4 && strcmp(name + len - 4, CRL_SUFFIX) == 0;
    bool is_index = len > 10 && strcmp(name + len - 10, INDEX_SUFFIX) == 0;
    if ((!is_crl && !is_index) || !split(name, key, &rest))
        return false;
    bool failed = false;
    json_t *notes = load_notes(folder, key, NULL, &failed);
    copy_name(notes, "file", file, sizeof(file));
    json_decref(notes);
    return !failed && (!join(expected, key, file, is_crl ? CRL_SUFFIX : INDEX_SUFFIX) || file[0] == '\0' ||
                       strcmp(name, expected) != 0);
}

void est_crl_folder_sweep(int folder, time_t older_than, bool orphans)
{
    struct stat info;
    DIR *dir = open_dir(folder);
    if (dir == NULL)
        return;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        bool is_new = strncmp(entry->d_name, EST_CRL_NEW_PREFIX, strlen(EST_CRL_NEW_PREFIX)) == 0;
        if (!is_new && !is_orphan(folder, entry->d_name))
            continue;
        if (fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(info.st_mode) &&
            (info.st_mtime < older_than || (orphans && !is_new)))
            (void)unlinkat(folder, entry->d_name, 0);
    }
    (void)closedir(dir);
}
