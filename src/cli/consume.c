/*
 * consume: `headrace consume`: messages to standard output or a file.
 *
 * Without a group it reads partitions from one place to another: a partition is done when a message
 * at or behind its stop arrives, or the partition's end. With a group the group decides, and what
 * was printed is committed.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/message_format.h"
#include "cli/places.h"
#include "cli/progress.h"
#include "os/os.h"

/* One wait for messages, after which Ctrl-C is looked at. */
#define RECEIVE_SLICE_MS 200

/* Printed text is gathered up to this while more messages are at hand. */
#define OUT_SIZE_FULL ((size_t)64 * 1024)

struct consume {
    struct session session;
    const char *pattern; /* NULL: values, one a line, or JSON */
    const char *group;
    const char *path; /* of --output */
    FILE *to;
    struct range range;
    int64_t count_max; /* 0: no bound */
    int64_t count;
    int64_t done;      /* offsets passed, for the bar */
    int32_t partition; /* plus one; 0: all */
    bool is_ranged;
    bool is_ended;               /* stop at the end */
    struct client_offset *stops; /* by the place in assigned; offset -1: done */
    size_t stop_count;
    size_t open_count; /* partitions that are not done */
    struct progress progress;
};

enum key {
    KEY_PATTERN = 'f',
    KEY_OFFSET = 'o',
    KEY_COUNT = 'n',
    KEY_GROUP = 'g',
    KEY_PARTITION = 'p',
    KEY_END = 'e',
    KEY_OUTPUT = 'O'
};

static const struct argp_option options[] = {
    {"pattern", KEY_PATTERN, "PATTERN", 0, "How to print a message: '%t %p %o %k %v %h\\n'", 0},
    {"offset", KEY_OFFSET, "FROM[:TO]", 0, "Where to begin and end (earliest)", 0},
    {"count", KEY_COUNT, "COUNT", 0, "End after so many messages", 0},
    {"group", KEY_GROUP, "GROUP", 0, "As a member of that group", 0},
    {"partition", KEY_PARTITION, "NUMBER", 0, "That partition alone", 0},
    {"exit", KEY_END, NULL, 0, "End where the log ends now, as -o FROM:end", 0},
    {"output", KEY_OUTPUT, "FILE", 0, "Write there", 0},
    {0},
};

static volatile sig_atomic_t is_interrupted;

static void interrupt(int number)
{
    (void)number;
    is_interrupted = 1;
}

static struct err option(struct session *session, int key, char *argument)
{
    struct consume *consume = (struct consume *)session;
    int64_t number;
    switch (key) {
    case KEY_PATTERN:
        consume->pattern = argument;
        return message_format_check(argument, &session->diag);
    case KEY_OFFSET:
        consume->is_ranged = true;
        return range_parse(argument, clock_wall_ms(os_real()->clock), &consume->range,
                           &session->diag);
    case KEY_COUNT:
        return session_number(session, "--count", argument, 1, INT64_MAX, &consume->count_max);
    case KEY_GROUP:
        consume->group = argument;
        return session_flag(session, "group.id", argument);
    case KEY_PARTITION:
        TRY(session_number(session, "--partition", argument, 0, INT32_MAX - 1, &number));
        consume->partition = (int32_t)number + 1;
        return ERR_NONE;
    case KEY_END:
        consume->is_ended = true;
        return ERR_NONE;
    case KEY_OUTPUT:
        consume->path = argument;
        return ERR_NONE;
    default:
        return err_make(ERR_UNSUPPORTED);
    }
}

static struct err drain(struct consume *consume)
{
    struct buf *out = &consume->session.out;
    size_t size = out->size;
    if (size == 0)
        return ERR_NONE;
    bool written = fwrite(out->data, 1, size, consume->to) == size && fflush(consume->to) == 0;
    buf_clear(out);
    if (!written)
        return diag_fail(&consume->session.diag, ERR_IO, "the output takes nothing more");
    return ERR_NONE;
}

static struct err print(struct consume *consume, const struct client_message *message)
{
    struct session *session = &consume->session;
    if (consume->pattern != NULL)
        TRY(message_format_write(consume->pattern, message, &session->out));
    else if (session->format == OUTPUT_JSON)
        TRY(message_format_json(message, &session->out));
    else
        TRY(message_format_write("%v\\n", message, &session->out));
    consume->count++;
    return session->out.size >= OUT_SIZE_FULL ? drain(consume) : ERR_NONE;
}

/* The stop of the message's partition that is not done, or NULL. */
static struct client_offset *stop_of(struct consume *consume, int32_t partition)
{
    for (size_t i = 0; i < consume->stop_count; i++)
        if (consume->stops[i].partition == partition && consume->stops[i].offset >= 0)
            return &consume->stops[i];
    return NULL;
}

static void close_partition(struct consume *consume, struct client_offset *stop)
{
    stop->offset = -1;
    consume->open_count--;
}

/* Prints the message unless it lies behind the stop of its partition. */
static struct err take_message(struct consume *consume, const struct client_message *message)
{
    if (consume->stops == NULL)
        return print(consume, message);
    struct client_offset *stop = stop_of(consume, message->partition);
    if (stop == NULL)
        return ERR_NONE;
    if (message->offset < stop->offset) {
        TRY(print(consume, message));
        consume->done++;
        progress_show(&consume->progress, consume->done, consume->count);
    }
    if (message->offset + 1 >= stop->offset)
        close_partition(consume, stop);
    return ERR_NONE;
}

static bool is_finished(const struct consume *consume)
{
    bool is_full = consume->count_max > 0 && consume->count >= consume->count_max;
    return is_full || is_interrupted != 0 || (consume->stops != NULL && consume->open_count == 0);
}

static struct err receive_all(struct consume *consume)
{
    struct session *session = &consume->session;
    struct client_event event;
    int32_t wait_ms = 0;
    while (!is_finished(consume)) {
        TRY(client_receive(session->client, wait_ms, &event, &session->diag));
        if (event.kind == CLIENT_EVENT_MESSAGE) {
            TRY(take_message(consume, &event.message));
        } else if (event.kind == CLIENT_EVENT_END && consume->stops != NULL) {
            struct client_offset *stop = stop_of(consume, event.message.partition);
            if (stop != NULL && event.message.offset >= stop->offset)
                close_partition(consume, stop);
        }
        /* Nothing at hand: show what there is before waiting. */
        wait_ms = event.kind == CLIENT_EVENT_NONE ? RECEIVE_SLICE_MS : 0;
        if (event.kind == CLIENT_EVENT_NONE && session->out.size > 0)
            TRY(drain(consume));
    }
    return drain(consume);
}

/* Finds where each partition begins and ends, and assigns those that have something to read. */
static struct err assign(struct consume *consume, const struct client_topic *topic)
{
    struct session *session = &consume->session;
    struct client_offset *starts;
    TRY(places_resolve(session, topic, &consume->range.from, &starts));
    size_t count = topic->partition_count;
    bool has_stop = consume->range.has_to || consume->is_ended;
    struct place end = {.kind = PLACE_LATEST};
    if (has_stop)
        TRY(places_resolve(session, topic, consume->range.has_to ? &consume->range.to : &end,
                           &consume->stops));
    if (consume->partition > 0) {
        if ((size_t)consume->partition > count)
            return diag_fail(&session->diag, ERR_NOT_FOUND, "topic %s has no partition %d",
                             topic->name, consume->partition - 1);
        starts += consume->partition - 1;
        if (has_stop)
            consume->stops += consume->partition - 1;
        count = 1;
    }
    size_t kept = 0;
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (has_stop && starts[i].offset >= consume->stops[i].offset)
            continue;
        if (has_stop) {
            total += consume->stops[i].offset - starts[i].offset;
            consume->stops[kept] = consume->stops[i];
        }
        starts[kept++] = starts[i];
    }
    consume->stop_count = has_stop ? kept : 0;
    consume->open_count = consume->stop_count;
    progress_begin(&consume->progress, total, consume->path != NULL);
    return client_assign(session->client, starts, kept, &session->diag);
}

static struct err begin(struct consume *consume)
{
    struct session *session = &consume->session;
    if (consume->group != NULL &&
        (consume->is_ranged || consume->is_ended || consume->partition > 0))
        return session_misuse(
            session, "a group decides itself where it reads: -g goes without -o, -p and -e");
    struct client_cluster cluster;
    TRY(client_cluster(session->client, session->words[0], &session->arena, &cluster,
                       &session->diag));
    if (consume->path != NULL) {
        consume->to = fopen(consume->path, "we");
        if (consume->to == NULL)
            return diag_wrap(&session->diag, err_from_errno(errno), "%s", consume->path);
    }
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    if (consume->group != NULL)
        return client_subscribe(session->client, session->words[0], &session->diag);
    return assign(consume, &cluster.topics[0]);
}

static struct err run(struct session *session)
{
    struct consume *consume = (struct consume *)session;
    consume->to = stdout;
    struct err err = begin(consume);
    if (!err_failed(err))
        err = receive_all(consume);
    if (!err_failed(err) && consume->group != NULL)
        err = client_commit(session->client, &session->diag);
    progress_end(&consume->progress, consume->done, consume->count);
    if (consume->path != NULL && consume->to != NULL && fclose(consume->to) != 0 &&
        !err_failed(err))
        err = diag_fail(&session->diag, ERR_IO, "%s could not be written", consume->path);
    if (is_interrupted != 0)
        session->code = EXIT_INTERRUPTED;
    return err;
}

const struct command consume_command = {
    .words = "consume",
    .arguments = "TOPIC",
    .summary = "Print messages, as they come or between two places.",
    .doc = "PATTERN: %t topic, %p partition, %o offset, %T timestamp, %k key, %K its size, %v or "
           "%s value, %S its size, %h headers, %%, \\n \\r \\t \\\\ \\0 \\xHH.\n"
           "FROM and TO: earliest, latest, end, 42, -10 (before the end), @1700000000000, "
           "@2024-05-01T12:30 (UTC), @-1h (s, m, h, d, w). TO is not part of it.\n"
           "--format json prints one object a line; bytes that are not UTF-8 as "
           "{\"base64\":\"...\"}.",
    .options = options,
    .word_count_min = 1,
    .word_count_max = 1,
    .size = sizeof(struct consume),
    .kind = CLIENT_RECEIVER,
    .option = option,
    .run = run,
};
