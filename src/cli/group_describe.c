/* group_describe: `headrace group describe`: members, offsets and lag. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/table.h"

/* The member to which the partition is assigned, or NULL. */
static const struct client_member *owner_of(const struct client_group_detail *detail,
                                            const struct client_offset *place)
{
    for (size_t i = 0; i < detail->member_count; i++)
        for (size_t j = 0; j < detail->members[i].assigned_count; j++) {
            const struct client_offset *assigned = &detail->members[i].assigned[j];
            if (assigned->partition == place->partition &&
                strcmp(assigned->topic, place->topic) == 0)
                return &detail->members[i];
        }
    return NULL;
}

static bool is_listed(const struct client_offset *offsets, size_t count,
                      const struct client_offset *place)
{
    for (size_t i = 0; i < count; i++)
        if (offsets[i].partition == place->partition && strcmp(offsets[i].topic, place->topic) == 0)
            return true;
    return false;
}

/* The committed offsets, and behind them, with offset -1, what is assigned and not committed. */
static struct err all_places(struct session *session, const struct client_group_detail *detail,
                             struct client_offset **offsets, size_t *count)
{
    size_t total = *count;
    for (size_t i = 0; i < detail->member_count; i++)
        total += detail->members[i].assigned_count;
    struct client_offset *all = arena_alloc_array(&session->arena, total, sizeof *all);
    if (all == NULL)
        return err_make(ERR_NO_MEMORY);
    size_t size = *count;
    if (size > 0)
        memcpy(all, *offsets, size * sizeof *all);
    for (size_t i = 0; i < detail->member_count; i++)
        for (size_t j = 0; j < detail->members[i].assigned_count; j++) {
            struct client_offset place = detail->members[i].assigned[j];
            place.offset = -1;
            if (!is_listed(all, size, &place))
                all[size++] = place;
        }
    *offsets = all;
    *count = size;
    return ERR_NONE;
}

static struct err add_place(struct table *table, const struct client_group_detail *detail,
                            const struct client_offset *place, int64_t end)
{
    struct session *session = table->session;
    const struct client_member *owner = owner_of(detail, place);
    int64_t lag = end - place->offset;
    const char *cells[] = {
        place->topic,
        table_print(session, "%d", place->partition),
        place->offset < 0 ? "-" : table_print(session, "%" PRId64, place->offset),
        table_print(session, "%" PRId64, end),
        place->offset < 0 ? "-" : table_print(session, "%" PRId64, lag < 0 ? 0 : lag),
        owner == NULL ? "" : owner->client_id,
        owner == NULL ? "" : owner->host,
        owner == NULL ? "" : owner->id,
    };
    return table_add(table, cells);
}

static struct err run(struct session *session)
{
    static const char *const columns[] = {"TOPIC", "#PARTITION", "#OFFSET", "#END",
                                          "#LAG",  "CLIENT",     "HOST",    "MEMBER"};
    const char *group = session->words[0];
    struct client_group_detail detail;
    TRY(diag_wrap(
        &session->diag,
        client_group_describe(session->client, group, &session->arena, &detail, &session->diag),
        "group %s", group));
    struct client_offset *places;
    size_t count;
    TRY(client_group_offsets(session->client, group, &session->arena, &places, &count,
                             &session->diag));
    if (count == 0 && detail.member_count == 0 && strcmp(detail.state, "Dead") == 0)
        return diag_fail(&session->diag, ERR_NOT_FOUND, "there is no group %s", group);
    TRY(all_places(session, &detail, &places, &count));
    struct client_offset *ends = arena_alloc_array(&session->arena, count, sizeof *ends);
    if (ends == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++)
        ends[i] = (struct client_offset){.topic = places[i].topic,
                                         .partition = places[i].partition,
                                         .offset = CLIENT_OFFSET_LATEST};
    TRY(client_offsets_find(session->client, ends, count, &session->diag));
    struct table table;
    table_init(&table, session, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++)
        TRY(add_place(&table, &detail, &places[i], ends[i].offset));
    if (session->format == OUTPUT_TABLE)
        TRY(buf_print(&session->out, "%s: %s, %zu members, assignor %s, coordinator %d\n\n", group,
                      detail.state, detail.member_count,
                      detail.assignor == NULL || detail.assignor[0] == '\0' ? "none"
                                                                            : detail.assignor,
                      detail.coordinator));
    TRY(table_write(&table));
    return session_print(session);
}

const struct command group_describe_command = {
    .words = "group describe",
    .arguments = "GROUP",
    .summary = "Show a group's members, offsets and lag.",
    .word_count_min = 1,
    .word_count_max = 1,
    .size = sizeof(struct session),
    .run = run,
};
