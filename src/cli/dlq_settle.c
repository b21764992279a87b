/*
 * dlq_settle: `headrace dlq redrive` and `headrace dlq discard`: entries, one, some or all, are
 * dealt with.
 *
 * What is sent and that the entry is dealt with are one transaction, so that it is sent once or is
 * still there.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cli/dlq.h"
#include "flow/delivery/parked.h"
#include "flow/policy/rate.h"
#include "os/os.h"

/* Entries in a transaction, and how long one is open at most. */
#define BATCH_COUNT_MAX 500
#define BATCH_MS_MAX 1000

enum key { KEY_ALL = 'a', KEY_RATE = 'r', KEY_DRY = 'n', KEY_SOURCE = 's' };

struct settle {
    struct dlq dlq; /* first */
    bool is_discard;
    bool is_all;
    bool is_dry;
    bool is_to_source;
    struct rate rate;
    int64_t count; /* dealt with */
    int batch;     /* in the open transaction */
    int64_t batch_end_ms;
};

static struct settle *settle_of(struct dlq *dlq)
{
    return (struct settle *)dlq;
}

#define ALL_OPTION                                                                                 \
    {                                                                                              \
        "all", KEY_ALL, NULL, 0, "All of the topic", 0                                             \
    }
#define DRY_OPTION                                                                                 \
    {                                                                                              \
        "dry-run", KEY_DRY, NULL, 0, "Show which, and change nothing", 0                           \
    }

static const struct argp_option redrive_options[] = {
    DLQ_CHOICE_OPTIONS,
    ALL_OPTION,
    DRY_OPTION,
    {"rate", KEY_RATE, "COUNT", 0, "No more than so many a second", 0},
    {"to-source", KEY_SOURCE, NULL, 0, "To the topic that they came from: all its groups see them",
     0},
    {0},
};

static const struct argp_option discard_options[] = {
    DLQ_CHOICE_OPTIONS,
    ALL_OPTION,
    DRY_OPTION,
    {0},
};

static struct err option(struct session *session, int key, char *argument)
{
    struct settle *settle = (struct settle *)session;
    int64_t number;
    switch (key) {
    case KEY_ALL:
        settle->is_all = true;
        return ERR_NONE;
    case KEY_DRY:
        settle->is_dry = true;
        return ERR_NONE;
    case KEY_SOURCE:
        settle->is_to_source = true;
        return ERR_NONE;
    case KEY_RATE:
        TRY(session_number(session, "--rate", argument, 1, 1000000, &number));
        rate_init(&settle->rate, 60 * number);
        return ERR_NONE;
    default:
        return dlq_option(&settle->dlq, key, argument);
    }
}

static int64_t now_ms(void)
{
    return clock_mono_ms(os_real()->clock);
}

/* Ends the open transaction. */
static struct err end_batch(struct settle *settle)
{
    if (settle->batch == 0)
        return ERR_NONE;
    TRY(dlq_commit(&settle->dlq));
    settle->count += settle->batch;
    settle->batch = 0;
    return ERR_NONE;
}

/* Waits until the next entry may go; what went before is not kept open meanwhile. */
static struct err keep_rate(struct settle *settle)
{
    const struct os_clock *clock = os_real()->clock;
    int64_t wait_ms = rate_wait_ms(&settle->rate, clock_mono_us(clock));
    if (wait_ms > 0) {
        struct os_signal pause; /* that nobody sets */
        TRY(end_batch(settle));
        os_signal_init(&pause);
        (void)os_signal_wait(&pause, wait_ms);
        os_signal_deinit(&pause);
    }
    rate_take(&settle->rate, clock_mono_us(clock));
    return ERR_NONE;
}

/* Sends the event to its handler, or to where it came from. */
static struct err send_event(struct settle *settle, const struct client_message *record,
                             const struct dead_letter *letter)
{
    struct dlq *dlq = &settle->dlq;
    struct client_message message;
    struct parked parked = {.due_ms = 0};
    TRY(dead_letter_restore(record, letter, &dlq->scratch, &parked.event));
    message = parked.event;
    message.partition = -1;
    if (!settle->is_to_source) {
        const char *group = arena_copy_text(&dlq->scratch, letter->group);
        const char *topic = group == NULL ? NULL : parked_topic(group, &dlq->scratch);
        if (topic == NULL)
            return err_make(ERR_NO_MEMORY);
        TRY(parked_write(&parked, topic, &dlq->scratch, &message));
    }
    return client_send(dlq->sender, &message, &dlq->session.diag);
}

static struct err show(struct settle *settle, const struct client_message *record,
                       const struct dead_letter *letter)
{
    settle->count++;
    return buf_print(&settle->dlq.session.out, "%d:%" PRId64 "  %.*s  %.*s  %.*s\n",
                     record->partition, record->offset, SPAN_ARGS(letter->handler),
                     SPAN_ARGS(letter->fault), SPAN_ARGS(record->key));
}

static struct err settle_one(struct dlq *dlq, const struct client_message *record,
                             const struct dead_letter *letter)
{
    struct settle *settle = settle_of(dlq);
    if (settle->is_dry)
        return show(settle, record, letter);
    TRY(keep_rate(settle));
    if (settle->batch == 0) {
        TRY(dlq_begin(dlq));
        settle->batch_end_ms = now_ms() + BATCH_MS_MAX;
    }
    settle->batch++;
    if (!settle->is_discard)
        TRY(send_event(settle, record, letter));
    TRY(dlq_mark(dlq, record, settle->is_discard ? "discarded" : "redriven"));
    bool is_full = settle->batch >= BATCH_COUNT_MAX || now_ms() >= settle->batch_end_ms;
    return is_full ? end_batch(settle) : ERR_NONE;
}

static struct err settle_all(struct settle *settle)
{
    if (!settle->is_dry) /* first: who was at it before is ended, and its marks are there */
        TRY(dlq_open_sender(&settle->dlq));
    TRY(dlq_scan(&settle->dlq, settle_one));
    return end_batch(settle);
}

static struct err run(struct session *session)
{
    struct settle *settle = (struct settle *)session;
    struct dlq *dlq = &settle->dlq;
    TRY(dlq_read_words(dlq));
    if (!settle->is_all && dlq->named_count == 0 && dlq->handler == NULL && dlq->fault == NULL)
        return session_misuse(session, "say which: ENTRY, --handler, --class or --all");
    struct err err = settle_all(settle);
    dlq_close(dlq);
    const char *done = settle->is_discard ? "discarded" : "redriven";
    TRY(buf_print(&session->out, "%" PRId64 " %s%s%s\n", settle->count,
                  settle->is_dry ? "would be " : "", done,
                  dlq->left_count > 0 ? "; the others were dealt with before" : ""));
    TRY(session_print(session));
    return err;
}

static struct err run_discard(struct session *session)
{
    ((struct settle *)session)->is_discard = true;
    return run(session);
}

const struct command dlq_redrive_command = {
    .words = "dlq redrive",
    .arguments = "TOPIC [ENTRY...]",
    .summary = "Send dead letters to their handler again.",
    .doc = "To the one handler that could not handle them, each once, with its id as it was; "
           "__dlq.journeys counts how often.",
    .options = redrive_options,
    .word_count_min = 1,
    .word_count_max = 1 + DLQ_NAMED_COUNT_MAX,
    .size = sizeof(struct settle),
    .kind = CLIENT_RECEIVER,
    .option = option,
    .run = run,
};

const struct command dlq_discard_command = {
    .words = "dlq discard",
    .arguments = "TOPIC [ENTRY...]",
    .summary = "Deal with dead letters by leaving them.",
    .doc = "They stay in the topic, and are not listed or redriven any more.",
    .options = discard_options,
    .word_count_min = 1,
    .word_count_max = 1 + DLQ_NAMED_COUNT_MAX,
    .size = sizeof(struct settle),
    .kind = CLIENT_RECEIVER,
    .option = option,
    .run = run_discard,
};
