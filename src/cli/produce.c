/*
 * produce: `headrace produce`: lines, or whole files, become messages.
 *
 * Standard input is read as a stream, which os_file cannot: it reads at positions.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/progress.h"

/* Headers given by flags, and those of one line. */
#define HEADER_COUNT_MAX 64

/* One whole file as a message: more than any broker takes by default. */
#define WHOLE_FILE_SIZE_MAX ((size_t)256 * 1024 * 1024)

/* The names of the headers of one line. */
#define LINE_ARENA_SIZE_MAX ((size_t)1024 * 1024)

/* How often deliveries are looked at between messages. */
#define FLUSH_EVERY 1024

struct produce {
    struct session session;
    struct arena line; /* names of a line's headers */
    struct client_header headers[HEADER_COUNT_MAX];
    size_t header_count; /* of flags; those of a line stand behind */
    const char *key_delimiter;
    const char *header_delimiter;
    const char *key;
    int32_t partition; /* plus one; 0: by the key */
    bool is_whole;
    bool is_null_empty;
    int64_t sent_count;
    int64_t done_size; /* bytes read, for the bar */
    struct progress progress;
};

enum key {
    KEY_DELIMITER = 'k',
    KEY_HEADER = 'H',
    KEY_PARTITION = 'p',
    KEY_COMPRESSION = 'z',
    KEY_NULL = 'Z',
    KEY_FILE = 'F',
    KEY_HEADERS = 1000,
    KEY_KEY
};

static const struct argp_option options[] = {
    {"key-delimiter", KEY_DELIMITER, "TEXT", 0, "A line is KEY TEXT VALUE", 0},
    {"headers", KEY_HEADERS, "TEXT", 0, "A line is NAME=VALUE,... TEXT, then the rest", 0},
    {"header", KEY_HEADER, "NAME=VALUE", 0, "A header of every message; may be repeated", 0},
    {"key", KEY_KEY, "KEY", 0, "The key of every message", 0},
    {"partition", KEY_PARTITION, "NUMBER", 0, "That partition, not the key's", 0},
    {"compression", KEY_COMPRESSION, "CODEC", 0, "none, gzip, snappy, lz4 or zstd", 0},
    {"null", KEY_NULL, NULL, 0, "Empty keys and values are null (tombstones)", 0},
    {"file", KEY_FILE, NULL, 0, "Each FILE is one message", 0},
    {0},
};

static struct err add_header(struct produce *produce, size_t at, struct span text,
                             struct arena *arena)
{
    struct session *session = &produce->session;
    const uint8_t *equals = text.size == 0 ? NULL : memchr(text.data, '=', text.size);
    if (equals == NULL)
        return diag_fail(&session->diag, ERR_INVALID, "%.*s is not NAME=VALUE", SPAN_ARGS(text));
    if (at == HEADER_COUNT_MAX)
        return diag_fail(&session->diag, ERR_LIMIT, "more than %d headers", HEADER_COUNT_MAX);
    size_t size = (size_t)(equals - text.data);
    const char *name = arena_copy_text(arena, span_make(text.data, size));
    if (name == NULL)
        return err_make(ERR_NO_MEMORY);
    produce->headers[at] =
        (struct client_header){name, span_make(equals + 1, text.size - size - 1)};
    return ERR_NONE;
}

static struct err option(struct session *session, int key, char *argument)
{
    struct produce *produce = (struct produce *)session;
    int64_t number;
    switch (key) {
    case KEY_DELIMITER:
    case KEY_HEADERS:
        if (argument[0] == '\0')
            return diag_fail(&session->diag, ERR_INVALID, "a delimiter is not empty");
        *(key == KEY_HEADERS ? &produce->header_delimiter : &produce->key_delimiter) = argument;
        return ERR_NONE;
    case KEY_HEADER:
        TRY(add_header(produce, produce->header_count, span_text(argument), &session->arena));
        produce->header_count++;
        return ERR_NONE;
    case KEY_KEY:
        produce->key = argument;
        return ERR_NONE;
    case KEY_PARTITION:
        TRY(session_number(session, "--partition", argument, 0, INT32_MAX - 1, &number));
        produce->partition = (int32_t)number + 1;
        return ERR_NONE;
    case KEY_COMPRESSION:
        return session_flag(session, "compression.type", argument);
    case KEY_NULL:
        produce->is_null_empty = true;
        return ERR_NONE;
    case KEY_FILE:
        produce->is_whole = true;
        return ERR_NONE;
    default:
        return err_make(ERR_UNSUPPORTED);
    }
}

/* Splits text at the delimiter: the part before goes to *front. False where there is none. */
static bool split(struct span *text, const char *delimiter, struct span *front)
{
    size_t size = strlen(delimiter);
    const uint8_t *found = text->size == 0 ? NULL : memmem(text->data, text->size, delimiter, size);
    if (found == NULL)
        return false;
    size_t before = (size_t)(found - text->data);
    *front = span_make(text->data, before);
    *text = span_make(found + size, text->size - before - size);
    return true;
}

static struct err send_message(struct produce *produce, struct span key, struct span value,
                               size_t header_count)
{
    struct session *session = &produce->session;
    if (produce->is_null_empty && key.size == 0)
        key = SPAN_NULL;
    if (produce->is_null_empty && value.size == 0)
        value = SPAN_NULL;
    struct client_message message = {
        .topic = session->words[0],
        .partition = produce->partition - 1,
        .key = key,
        .value = value,
        .headers = produce->headers,
        .header_count = header_count,
    };
    TRY(client_send(session->client, &message, &session->diag));
    produce->sent_count++;
    if (produce->sent_count % FLUSH_EVERY == 0) {
        struct client_counts counts;
        TRY(client_flush(session->client, 0, &counts, &session->diag));
        progress_show(&produce->progress, produce->done_size, counts.acknowledged);
    }
    return ERR_NONE;
}

static struct err send_line(struct produce *produce, struct span line)
{
    struct session *session = &produce->session;
    size_t header_count = produce->header_count;
    struct span headers;
    if (produce->header_delimiter != NULL) {
        if (!split(&line, produce->header_delimiter, &headers))
            return diag_fail(&session->diag, ERR_INVALID, "line %" PRId64 " has no \"%s\"",
                             produce->sent_count + 1, produce->header_delimiter);
        struct span one;
        while (headers.size > 0) {
            if (!split(&headers, ",", &one)) {
                one = headers;
                headers = SPAN_EMPTY;
            }
            TRY(add_header(produce, header_count++, one, &produce->line));
        }
    }
    struct span key = span_text(produce->key);
    if (produce->key_delimiter != NULL)
        (void)split(&line, produce->key_delimiter, &key);
    return send_message(produce, key, line, header_count);
}

static struct err send_lines(struct produce *produce, FILE *from)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    struct err err = ERR_NONE;
    while (!err_failed(err) && (size = getline(&line, &capacity, from)) > 0) {
        produce->done_size += size;
        size -= line[size - 1] == '\n';
        err = send_line(produce, span_make(line, (size_t)size));
        arena_reset(&produce->line);
    }
    free(line);
    if (!err_failed(err) && ferror(from) != 0)
        return diag_fail(&produce->session.diag, ERR_IO, "reading failed");
    return err;
}

static struct err send_whole(struct produce *produce, FILE *from)
{
    struct buf text;
    buf_init(&text, WHOLE_FILE_SIZE_MAX);
    struct err err;
    size_t size = 0;
    do {
        err = buf_reserve(&text, BUFSIZ);
        if (err_failed(err))
            break;
        size = fread(text.data + text.size, 1, BUFSIZ, from);
        text.size += size;
    } while (size > 0);
    if (!err_failed(err) && ferror(from) != 0)
        err = diag_fail(&produce->session.diag, ERR_IO, "reading failed");
    produce->done_size += (int64_t)text.size;
    struct span value = text.size == 0 ? SPAN_EMPTY : buf_span(&text);
    if (!err_failed(err))
        err = send_message(produce, span_text(produce->key), value, produce->header_count);
    buf_deinit(&text);
    return err;
}

static struct err send_from(struct produce *produce, const char *path)
{
    struct session *session = &produce->session;
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *from = is_stdin ? stdin : fopen(path, "re");
    if (from == NULL)
        return diag_wrap(&session->diag, err_from_errno(errno), "%s", path);
    struct err err = produce->is_whole ? send_whole(produce, from) : send_lines(produce, from);
    if (!is_stdin)
        (void)fclose(from);
    return diag_wrap(&session->diag, err, "%s", is_stdin ? "standard input" : path);
}

/* The bytes of all files; 0 where one cannot tell, or nobody looks. */
static int64_t total_size(char **paths, size_t count)
{
    int64_t total = 0;
    if (isatty(STDERR_FILENO) != 1)
        return 0;
    for (size_t i = 0; i < count; i++) {
        FILE *file = fopen(paths[i], "re");
        bool known = file != NULL && fseek(file, 0, SEEK_END) == 0;
        total += known ? ftell(file) : 0;
        if (file != NULL)
            (void)fclose(file);
        if (!known)
            return 0;
    }
    return total;
}

/* Waits until the last message is acknowledged, however long that takes a server that answers. */
static struct err finish(struct produce *produce)
{
    struct session *session = &produce->session;
    struct client_counts counts;
    int64_t before;
    TRY(client_flush(session->client, 0, &counts, &session->diag));
    do {
        before = counts.waiting;
        TRY(client_flush(session->client, session->timeout_ms, &counts, &session->diag));
    } while (counts.waiting > 0 && counts.waiting < before);
    progress_end(&produce->progress, produce->done_size, counts.acknowledged);
    if (counts.waiting > 0)
        return diag_fail(&session->diag, ERR_TIMEOUT, "%" PRId64 " messages are not acknowledged",
                         counts.waiting);
    session_note("%" PRId64 " messages", counts.acknowledged);
    return ERR_NONE;
}

static struct err run(struct session *session)
{
    struct produce *produce = (struct produce *)session;
    const char *topic = session->words[0];
    struct client_cluster cluster;
    TRY(client_cluster(session->client, topic, &session->arena, &cluster, &session->diag));
    if (produce->partition > (int64_t)cluster.topics[0].partition_count)
        return diag_fail(&session->diag, ERR_NOT_FOUND, "topic %s has no partition %d", topic,
                         produce->partition - 1);
    arena_init(&produce->line, LINE_ARENA_SIZE_MAX);
    size_t file_count = session->word_count - 1;
    char **paths = session->words + 1;
    progress_begin(&produce->progress, total_size(paths, file_count), file_count > 0);
    struct err err = file_count == 0 ? send_from(produce, "-") : ERR_NONE;
    for (size_t i = 0; i < file_count && !err_failed(err); i++)
        err = send_from(produce, paths[i]);
    arena_deinit(&produce->line);
    if (!err_failed(err))
        return finish(produce);
    /* What was read before the error is still delivered. */
    struct client_counts counts;
    (void)err_failed(client_flush(session->client, session->timeout_ms, &counts, NULL));
    return err;
}

const struct command produce_command = {
    .words = "produce",
    .arguments = "TOPIC [FILE...]",
    .summary = "Send lines of standard input, or of files, as messages.",
    .doc = "Ends with 0 only when every message was acknowledged. A FILE named - is standard "
           "input. Files show a progress bar on a terminal.",
    .options = options,
    .word_count_min = 1,
    .word_count_max = SIZE_MAX,
    .size = sizeof(struct produce),
    .option = option,
    .run = run,
};
