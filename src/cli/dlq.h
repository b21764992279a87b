/*
 * dlq: what the commands about dead letters share.
 *
 * An entry is a record of a topic of dead letters, called PARTITION:OFFSET. Nothing is ever taken
 * out of such a topic; what was done about an entry is a mark in the compacted topic headrace.dlq,
 * written in the transaction that does it. A transactional.id for each topic lets one command at a
 * time do something: a later one ends an earlier one.
 */
#ifndef HEADRACE_CLI_DLQ_H
#define HEADRACE_CLI_DLQ_H

#include "base/map.h"
#include "cli/commands.h"
#include "flow/dead_letter.h"

#define DLQ_MARKS_TOPIC "headrace.dlq"

/* Entries named in one command. */
#define DLQ_NAMED_COUNT_MAX 1000

/* What is for one entry at a time: a record as large as Kafka takes, a few times. */
#define DLQ_ARENA_SIZE_MAX ((size_t)64 * 1024 * 1024)

struct dlq_place {
    int32_t partition;
    int64_t offset;
};

/* A command about a topic's entries; the commands' structs begin with one. */
struct dlq {
    struct session session; /* first; a receiver */
    const char *handler;    /* --handler, NULL: all */
    const char *fault;      /* --class, NULL: all */
    struct dlq_place named[DLQ_NAMED_COUNT_MAX];
    size_t named_count; /* 0: all */
    struct map marks;   /* of this topic: what was done about an entry, by its name */
    int64_t left_count; /* entries that were passed over, as they were dealt with before */
    struct client *sender;
    bool is_begun;        /* a transaction of its is open */
    struct arena scratch; /* of one entry */
};

/* The options that choose entries, for a command's own list. */
#define DLQ_CHOICE_OPTIONS                                                                         \
    {"handler", 'H', "NAME", 0, "Those of that handler", 0},                                       \
    {                                                                                              \
        "class", 'c', "CLASS", 0, "Those that failed so, as http-500", 0                           \
    }

/* Takes one of these. ERR_UNSUPPORTED: it is another. */
MUST_USE struct err dlq_option(struct dlq *dlq, int key, char *argument);

/* Reads the words: TOPIC, then entries. ERR_INVALID with a sentence. */
MUST_USE struct err dlq_read_words(struct dlq *dlq);

/*
 * Calls visit with each entry that is chosen and not dealt with, in the order of each partition, up
 * to where the topic ended at the beginning. The record is valid until it returns. Errors: the
 * client's, visit's; ERR_NOT_FOUND: there is no such topic, or a named entry was not found.
 */
MUST_USE struct err
dlq_scan(struct dlq *dlq, struct err (*visit)(struct dlq *dlq, const struct client_message *record,
                                              const struct dead_letter *letter));

/* Opens the sender, and makes the topic of marks where it is missing. */
MUST_USE struct err dlq_open_sender(struct dlq *dlq);

/* Begins a transaction of the sender. */
MUST_USE struct err dlq_begin(struct dlq *dlq);

/* In the sender's transaction: the entry is dealt with; fate: "redriven" or the like. */
MUST_USE struct err dlq_mark(struct dlq *dlq, const struct client_message *record,
                             const char *fate);

/* Ends the sender's transaction. */
MUST_USE struct err dlq_commit(struct dlq *dlq);

/* Frees all; a transaction that is open is aborted. */
void dlq_close(struct dlq *dlq);

#endif
