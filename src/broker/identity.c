/* identity: written to a second name, synced, and renamed, so that it is there whole or not at all.
 */
#include "broker/identity.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

/* Kafka's file has four short lines. */
#define IDENTITY_SIZE_MAX 1024
#define IDENTITY_PATH_SIZE 4096

struct identity_paths {
    char final[IDENTITY_PATH_SIZE];
    char fresh[IDENTITY_PATH_SIZE];
    const char *dir;
};

/* The text behind "name=" at the start of a line, or null. */
static struct span property_find(struct span text, const char *name)
{
    size_t name_size = strlen(name);
    while (text.size != 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end == NULL ? text.size : (size_t)(end - text.data);
        if (size > name_size && memcmp(text.data, name, name_size) == 0 &&
            text.data[name_size] == '=')
            return span_make(text.data + name_size + 1, size - name_size - 1);
        size += end != NULL;
        text = span_make(text.data + size, text.size - size);
    }
    return SPAN_NULL;
}

static struct err identity_check(const struct config *config, struct span text,
                                 char cluster_id[UUID_TEXT_SIZE], struct diag *diag)
{
    struct span cluster = property_find(text, "cluster.id");
    struct span node = property_find(text, "node.id");
    if (cluster.size != UUID_TEXT_SIZE - 1 || node.size == 0)
        return diag_fail(diag, ERR_CORRUPT, "meta.properties lacks cluster.id or node.id");
    const char *wanted = config_text(config, CONFIG_CLUSTER_ID);
    if (wanted != NULL && !span_equal_text(cluster, wanted))
        return diag_fail(diag, ERR_INVALID, "the data folder belongs to cluster %.*s, not %s",
                         SPAN_ARGS(cluster), wanted);
    char number[24];
    (void)snprintf(number, sizeof number, "%lld", (long long)config_number(config, CONFIG_NODE_ID));
    if (!span_equal_text(node, number))
        return diag_fail(diag, ERR_INVALID, "the data folder belongs to node %.*s, not node %s",
                         SPAN_ARGS(node), number);
    memcpy(cluster_id, cluster.data, cluster.size);
    cluster_id[cluster.size] = '\0';
    return ERR_NONE;
}

static struct err identity_write(const struct os *os, const struct config *config,
                                 const struct identity_paths *paths,
                                 char cluster_id[UUID_TEXT_SIZE])
{
    uint8_t random[32];
    char directory_id[UUID_TEXT_SIZE];
    random_fill(os->random, random, sizeof random);
    const char *wanted = config_text(config, CONFIG_CLUSTER_ID);
    if (wanted != NULL)
        (void)snprintf(cluster_id, UUID_TEXT_SIZE, "%s", wanted);
    else
        uuid_format(uuid_from_random(random), cluster_id);
    uuid_format(uuid_from_random(random + 16), directory_id);
    char text[IDENTITY_SIZE_MAX];
    int size =
        snprintf(text, sizeof text, "version=1\ncluster.id=%s\nnode.id=%lld\ndirectory.id=%s\n",
                 cluster_id, (long long)config_number(config, CONFIG_NODE_ID), directory_id);
    CHECK(size > 0 && size < IDENTITY_SIZE_MAX);
    int file;
    size_t done;
    struct span bytes = span_make(text, (size_t)size);
    TRY(file_open(os->files, paths->fresh, OS_FILE_WRITE | OS_FILE_CREATE | OS_FILE_TRUNCATE,
                  &file));
    struct err err = file_write_at(os->files, file, &bytes, 1, 0, &done);
    if (!err_failed(err))
        err = file_sync(os->files, file);
    file_close(os->files, file);
    TRY(err);
    TRY(file_rename(os->files, paths->fresh, paths->final));
    return dir_sync(os->files, paths->dir);
}

struct err identity_open(const struct os *os, const struct config *config,
                         char cluster_id[UUID_TEXT_SIZE], struct diag *diag)
{
    struct identity_paths paths = {.dir = config_text(config, CONFIG_LOG_DIR)};
    int size = snprintf(paths.final, sizeof paths.final, "%s/meta.properties", paths.dir);
    int fresh_size = snprintf(paths.fresh, sizeof paths.fresh, "%s/meta.properties.tmp", paths.dir);
    if (size >= IDENTITY_PATH_SIZE || fresh_size >= IDENTITY_PATH_SIZE)
        return diag_fail(diag, ERR_INVALID, "the data folder's path is too long");
    int file;
    struct err err = file_open(os->files, paths.final, OS_FILE_READ, &file);
    if (err_is(err, ERR_NOT_FOUND)) {
        err = identity_write(os, config, &paths, cluster_id);
        return diag_wrap(diag, err, "writing %s", paths.final);
    }
    TRY(diag_wrap(diag, err, "opening %s", paths.final));
    uint8_t text[IDENTITY_SIZE_MAX];
    size_t done;
    err = file_read_at(os->files, file, text, sizeof text, 0, &done);
    file_close(os->files, file);
    TRY(diag_wrap(diag, err, "reading %s", paths.final));
    return identity_check(config, span_make(text, done), cluster_id, diag);
}
