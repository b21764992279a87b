/* group_reset: `headrace group reset`: moves a group's offsets in one topic. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/places.h"
#include "cli/table.h"
#include "os/os.h"

struct reset {
    struct session session;
    struct place to;
    int32_t partition; /* -1: all */
    bool has_place;
    bool is_dry;
};

enum key { KEY_TO = 'o', KEY_PARTITION = 'p', KEY_DRY = 'n' };

static const struct argp_option options[] = {
    {"to", KEY_TO, "PLACE", 0, "Where to: earliest, latest, 42, -10, @-1h ...", 0},
    {"partition", KEY_PARTITION, "NUMBER", 0, "That partition alone", 0},
    {"dry-run", KEY_DRY, NULL, 0, "Show what would change, and change nothing", 0},
    {0},
};

static struct err option(struct session *session, int key, char *argument)
{
    struct reset *reset = (struct reset *)session;
    int64_t number;
    switch (key) {
    case KEY_TO:
        reset->has_place = true;
        return place_parse(argument, clock_wall_ms(os_real()->clock), &reset->to, &session->diag);
    case KEY_PARTITION:
        TRY(session_number(session, "--partition", argument, 0, INT32_MAX - 1, &number));
        /* Stored plus one, so that a zeroed struct means all. */
        reset->partition = (int32_t)number + 1;
        return ERR_NONE;
    case KEY_DRY:
        reset->is_dry = true;
        return ERR_NONE;
    default:
        return err_make(ERR_UNSUPPORTED);
    }
}

static const char *committed_text(struct session *session, const struct client_offset *committed,
                                  size_t count, const struct client_offset *place)
{
    for (size_t i = 0; i < count; i++)
        if (committed[i].partition == place->partition &&
            strcmp(committed[i].topic, place->topic) == 0)
            return table_print(session, "%" PRId64, committed[i].offset);
    return "-";
}

static struct err show(struct session *session, const struct client_offset *offsets, size_t count)
{
    static const char *const columns[] = {"TOPIC", "#PARTITION", "#BEFORE", "#AFTER"};
    struct client_offset *committed;
    size_t committed_count;
    TRY(client_group_offsets(session->client, session->words[0], &session->arena, &committed,
                             &committed_count, &session->diag));
    struct table table;
    table_init(&table, session, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        const char *cells[] = {offsets[i].topic, table_print(session, "%d", offsets[i].partition),
                               committed_text(session, committed, committed_count, &offsets[i]),
                               table_print(session, "%" PRId64, offsets[i].offset)};
        TRY(table_add(&table, cells));
    }
    return table_write(&table);
}

static struct err run(struct session *session)
{
    struct reset *reset = (struct reset *)session;
    const char *group = session->words[0];
    if (!reset->has_place)
        return session_misuse(session, "say where to with --to");
    struct client_cluster cluster;
    TRY(client_cluster(session->client, session->words[1], &session->arena, &cluster,
                       &session->diag));
    const struct client_topic *topic = &cluster.topics[0];
    struct client_offset *offsets;
    TRY(places_resolve(session, topic, &reset->to, &offsets));
    size_t count = topic->partition_count;
    if (reset->partition > 0) {
        if ((size_t)reset->partition > count)
            return diag_fail(&session->diag, ERR_NOT_FOUND, "topic %s has no partition %d",
                             topic->name, reset->partition - 1);
        offsets += reset->partition - 1;
        count = 1;
    }
    TRY(show(session, offsets, count));
    if (!reset->is_dry)
        TRY(diag_wrap(
            &session->diag,
            client_group_offsets_set(session->client, group, offsets, count, &session->diag),
            "group %s", group));
    return session_print(session);
}

const struct command group_reset_command = {
    .words = "group reset",
    .arguments = "GROUP TOPIC",
    .summary = "Move a group's offsets in a topic.",
    .doc = "The group must have no members. The table shows what was changed.",
    .options = options,
    .word_count_min = 2,
    .word_count_max = 2,
    .size = sizeof(struct reset),
    .option = option,
    .run = run,
};
