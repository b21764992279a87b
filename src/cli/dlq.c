/* dlq: entries, marks, and the transactions that write these. */
#include "cli/dlq.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/json.h"
#include "base/number.h"
#include "cli/topic_read.h"
#include "os/os.h"

/* Tries to end a transaction; each takes up to the session's time-out. */
#define TRIES_MAX 3

#define NAME_SIZE_MAX 320
#define TEXT_SIZE_MAX 256

/* --- which ---------------------------------------------------------------------------------- */

struct err dlq_option(struct dlq *dlq, int key, char *argument)
{
    if (key == 'H')
        dlq->handler = argument;
    else if (key == 'c')
        dlq->fault = argument;
    else
        return err_make(ERR_UNSUPPORTED);
    return ERR_NONE;
}

static struct err read_place(struct dlq *dlq, const char *word)
{
    struct session *session = &dlq->session;
    int64_t partition;
    int64_t offset;
    size_t size = strcspn(word, ":");
    if (word[size] != ':' || !number_read(span_make(word, size), &partition) ||
        partition > INT32_MAX || !number_read(span_text(word + size + 1), &offset)) {
        session->code = EXIT_USAGE;
        return diag_fail(&session->diag, ERR_INVALID, "%s is no entry: PARTITION:OFFSET, as 0:42",
                         word);
    }
    if (dlq->named_count == DLQ_NAMED_COUNT_MAX)
        return diag_fail(&session->diag, ERR_LIMIT, "more than %d entries are named",
                         DLQ_NAMED_COUNT_MAX);
    dlq->named[dlq->named_count++] = (struct dlq_place){(int32_t)partition, offset};
    return ERR_NONE;
}

struct err dlq_read_words(struct dlq *dlq)
{
    for (size_t i = 1; i < dlq->session.word_count; i++)
        TRY(read_place(dlq, dlq->session.words[i]));
    return ERR_NONE;
}

static bool is_named(const struct dlq *dlq, const struct client_message *record)
{
    bool is_found = dlq->named_count == 0;
    for (size_t i = 0; i < dlq->named_count && !is_found; i++)
        is_found =
            dlq->named[i].partition == record->partition && dlq->named[i].offset == record->offset;
    return is_found;
}

static bool is_chosen(const struct dlq *dlq, const struct dead_letter *letter)
{
    return (dlq->handler == NULL || span_equal_text(letter->handler, dlq->handler)) &&
           (dlq->fault == NULL || span_equal_text(letter->fault, dlq->fault));
}

/* --- marks ---------------------------------------------------------------------------------- */

struct mark {
    struct span name; /* of the entry; behind the struct */
};

/* Writes TOPIC/PARTITION/OFFSET. */
static struct span write_name(const char *topic, int32_t partition, int64_t offset, char *out)
{
    (void)snprintf(out, NAME_SIZE_MAX, "%s/%d/%" PRId64, topic, partition, offset);
    return span_text(out);
}

static struct err take_mark(void *context, const struct client_message *record)
{
    struct dlq *dlq = context;
    const char *topic = dlq->session.words[0];
    size_t size = strlen(topic);
    if (record->key.size <= size || memcmp(record->key.data, topic, size) != 0 ||
        record->key.data[size] != '/' || map_get(&dlq->marks, record->key) != NULL)
        return ERR_NONE;
    struct mark *mark = arena_alloc(&dlq->session.arena, sizeof *mark);
    if (mark == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(arena_copy(&dlq->session.arena, record->key, &mark->name));
    return map_put(&dlq->marks, mark->name, mark);
}

static struct err read_marks(struct dlq *dlq)
{
    struct session *session = &dlq->session;
    struct err err = topic_read(session, DLQ_MARKS_TOPIC, take_mark, dlq);
    if (!err_is(err, ERR_NOT_FOUND))
        return err;
    session->diag.text[0] = '\0'; /* nobody has dealt with an entry yet */
    return ERR_NONE;
}

static bool is_marked(const struct dlq *dlq, const struct client_message *record)
{
    char name[NAME_SIZE_MAX];
    return map_get(&dlq->marks,
                   write_name(record->topic, record->partition, record->offset, name)) != NULL;
}

/* --- scanning ------------------------------------------------------------------------------- */

struct scan {
    struct dlq *dlq;
    struct err (*visit)(struct dlq *dlq, const struct client_message *record,
                        const struct dead_letter *letter);
    size_t named_count; /* found */
};

static struct err take_entry(void *context, const struct client_message *record)
{
    struct scan *scan = context;
    struct dlq *dlq = scan->dlq;
    struct dead_letter letter;
    if (!is_named(dlq, record))
        return ERR_NONE;
    scan->named_count++;
    bool is_letter = dead_letter_read(record, &letter);
    if (!is_letter && dlq->named_count > 0)
        return diag_fail(&dlq->session.diag, ERR_INVALID,
                         "%d:%" PRId64 " is no dead letter of a handler: it does not say whose",
                         record->partition, record->offset);
    if (!is_letter || !is_chosen(dlq, &letter))
        return ERR_NONE;
    if (is_marked(dlq, record)) {
        dlq->left_count++;
        return ERR_NONE;
    }
    arena_reset(&dlq->scratch);
    return scan->visit(dlq, record, &letter);
}

struct err dlq_scan(struct dlq *dlq,
                    struct err (*visit)(struct dlq *dlq, const struct client_message *record,
                                        const struct dead_letter *letter))
{
    struct scan scan = {.dlq = dlq, .visit = visit};
    struct session *session = &dlq->session;
    map_init(&dlq->marks, random_u64(os_real()->random));
    arena_init(&dlq->scratch, DLQ_ARENA_SIZE_MAX);
    TRY(read_marks(dlq));
    TRY(topic_read(session, session->words[0], take_entry, &scan));
    if (scan.named_count < dlq->named_count)
        return diag_fail(&session->diag, ERR_NOT_FOUND, "%zu of the named entries are not in %s",
                         dlq->named_count - scan.named_count, session->words[0]);
    return ERR_NONE;
}

/* --- writing -------------------------------------------------------------------------------- */

static struct err have_marks_topic(struct dlq *dlq)
{
    static const struct client_property configs[] = {{"cleanup.policy", "compact"}};
    const struct client_new_topic topic = {.name = DLQ_MARKS_TOPIC,
                                           .partition_count = 1,
                                           .replication_factor = -1,
                                           .configs = configs,
                                           .config_count = 1};
    struct err err = client_topic_create(dlq->session.client, &topic, &dlq->session.diag);
    return err_is(err, ERR_EXISTS) ? ERR_NONE : err;
}

struct err dlq_open_sender(struct dlq *dlq)
{
    struct session *session = &dlq->session;
    const char *id = arena_print(&session->arena, "headrace.dlq.%s", session->words[0]);
    if (id == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(session_set(session, "transactional.id", id));
    TRY(session_set(session, "message.max.bytes", "100000000")); /* the topic's limit counts */
    TRY(have_marks_topic(dlq));
    const struct client_settings settings = {.kind = CLIENT_SENDER,
                                             .properties = session->properties,
                                             .property_count = session->property_count,
                                             .timeout_ms = session->timeout_ms};
    return client_open(&client_kafka, &settings, &dlq->sender, &session->diag);
}

struct err dlq_mark(struct dlq *dlq, const struct client_message *record, const char *fate)
{
    char name[NAME_SIZE_MAX];
    char value[TEXT_SIZE_MAX];
    (void)snprintf(value, sizeof value, "{\"fate\":\"%s\",\"time\":%" PRId64 "}", fate,
                   clock_wall_ms(os_real()->clock));
    const struct client_message mark = {
        .topic = DLQ_MARKS_TOPIC,
        .key = write_name(record->topic, record->partition, record->offset, name),
        .value = span_text(value)};
    return client_send(dlq->sender, &mark, &dlq->session.diag);
}

struct err dlq_begin(struct dlq *dlq)
{
    TRY(client_begin(dlq->sender, &dlq->session.diag));
    dlq->is_begun = true;
    return ERR_NONE;
}

struct err dlq_commit(struct dlq *dlq)
{
    struct err err = err_make(ERR_TIMEOUT);
    for (int i = 0; i < TRIES_MAX && err_is(err, ERR_TIMEOUT); i++)
        err = client_end(dlq->sender, true, &dlq->session.diag);
    dlq->is_begun = err_failed(err);
    return err;
}

void dlq_close(struct dlq *dlq)
{
    struct diag ignored;
    if (dlq->is_begun)
        (void)err_failed(client_end(dlq->sender, false, &ignored));
    client_close(dlq->sender);
    map_deinit(&dlq->marks);
    arena_deinit(&dlq->scratch);
}
