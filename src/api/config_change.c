/* config_change: checks in Kafka's order; brokers' configs are read at start and cannot be changed.
 */
#include "api/config_change.h"

#include "api/error_map.h"
#include "api/repeats.h"
#include "broker/admin.h"
#include "wire/error_code.h"

enum resource_type { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };

struct err config_changes_begin(struct request *request, struct broker *broker, int32_t count,
                                struct config_changes **out)
{
    struct config_changes *changes = arena_alloc(&request->arena, sizeof *changes);
    if (changes == NULL)
        return err_make(ERR_NO_MEMORY);
    changes->wait.request = request;
    changes->broker = broker;
    changes->changes = arena_alloc_array(&request->arena, (size_t)count, sizeof *changes->changes);
    changes->count = count;
    if (changes->changes == NULL)
        return err_make(ERR_NO_MEMORY);
    *out = changes;
    return ERR_NONE;
}

struct err config_change_reserve(struct config_changes *changes, struct config_change *change,
                                 int32_t edit_count)
{
    change->edits =
        arena_alloc_array(&changes->wait.request->arena, (size_t)edit_count, sizeof *change->edits);
    if (change->edits == NULL)
        return err_make(ERR_NO_MEMORY);
    change->edit_count = edit_count;
    return ERR_NONE;
}

/* One change being worked on. */
struct edit_work {
    struct topic_edit edit;
    struct config_changes *changes;
    struct config_change *change;
    struct arena *arena; /* for sentences */
    struct topic *topic; /* a reference */
};

/* Notes why the change does not come about; ERR_INVALID. */
static struct err refuse(struct edit_work *work, int16_t code, const char *text)
{
    work->change->error_code = code;
    TRY(arena_copy(work->arena, span_text(text), &work->change->error_message));
    return err_make(ERR_INVALID);
}

/* Finds the topic, or refuses. */
static struct err find_topic(struct edit_work *work)
{
    const struct config_change *change = work->change;
    if (change->resource_type == RESOURCE_BROKER)
        return refuse(work, KAFKA_INVALID_REQUEST,
                      "The broker's properties are read at start; change the file and restart.");
    if (change->resource_type != RESOURCE_TOPIC)
        return refuse(work, KAFKA_INVALID_REQUEST,
                      "Only topics have configs that can be changed here.");
    if (change->resource_name.size == 0)
        return refuse(work, KAFKA_INVALID_REQUEST, "There are no defaults of all topics.");
    struct diag diag;
    if (err_failed(topic_check_name(change->resource_name, &diag)))
        return refuse(work, KAFKA_INVALID_TOPIC_EXCEPTION, diag.text);
    work->topic = broker_find_topic(work->changes->broker, change->resource_name);
    if (work->topic == NULL)
        return refuse(work, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "The topic does not exist.");
    return ERR_NONE;
}

/* Appends a word to a comma-separated list, or takes it out; in arena memory. */
static struct span list_edit(struct edit_work *work, const char *list, struct span word,
                             bool is_added)
{
    char *out = arena_print(work->arena, "%s", "");
    for (const char *at = list; *at != '\0' && out != NULL;) {
        size_t size = strcspn(at, ",");
        if (!span_equal(span_make(at, size), word))
            out =
                arena_print(work->arena, "%s%s%.*s", out, out[0] == '\0' ? "" : ",", (int)size, at);
        at += size + (at[size] == ',');
    }
    if (is_added && out != NULL)
        out = arena_print(work->arena, "%s%s%.*s", out, out[0] == '\0' ? "" : ",", SPAN_ARGS(word));
    return span_text(out);
}

static struct err edit_list(struct edit_work *work, const struct topic_overrides *overrides,
                            const struct config_edit *edit, struct span *value)
{
    enum topic_config_id id;
    if (!topic_config_find(edit->name, &id))
        return ERR_NONE; /* topic_overrides_set says what is wrong */
    if (config_def_of(topic_config_synonym(id))->type != CONFIG_TYPE_LIST)
        return refuse(work, KAFKA_INVALID_CONFIG,
                      "Only lists can be appended to and subtracted from.");
    const char *list = topic_config_value(overrides, work->changes->broker->config, id);
    *value = list_edit(work, list, edit->value, edit->operation == CONFIG_APPEND);
    return span_is_null(*value) ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

static struct err apply_edit(struct edit_work *work, const struct config_edit *edit,
                             struct topic_overrides *overrides)
{
    struct span value = edit->value;
    if (edit->operation < CONFIG_SET || edit->operation > CONFIG_SUBTRACT)
        return refuse(work, KAFKA_INVALID_REQUEST, "Unknown config operation.");
    if (edit->operation == CONFIG_DELETE)
        value = SPAN_NULL;
    else if (span_is_null(value))
        return refuse(work, KAFKA_INVALID_REQUEST, "Null value not supported for configs.");
    if (edit->operation == CONFIG_APPEND || edit->operation == CONFIG_SUBTRACT)
        TRY(edit_list(work, overrides, edit, &value));
    struct diag diag = {.text = ""};
    struct err err = topic_overrides_set(overrides, edit->name, value, &diag);
    return err_is(err, ERR_INVALID) ? refuse(work, KAFKA_INVALID_CONFIG, diag.text) : err;
}

/* topic_edit.apply: all edits of the change, from what is recorded or from nothing. */
static struct err apply_edits(struct topic_edit *edit, struct topic_overrides *overrides,
                              struct diag *diag)
{
    struct edit_work *work = LIST_ENTRY(edit, struct edit_work, edit);
    const struct config_change *change = work->change;
    if (!work->changes->is_incremental)
        topic_overrides_deinit(overrides);
    for (int32_t i = 0; i < change->edit_count; i++)
        TRY(apply_edit(work, &change->edits[i], overrides));
    if (err_failed(topic_overrides_check(overrides, work->changes->broker->config, diag)))
        return refuse(work, KAFKA_INVALID_CONFIG, diag->text);
    return ERR_NONE;
}

/* What the edits would be answered, if they were meant. */
static struct err validate(struct edit_work *work, struct diag *diag)
{
    struct topic_overrides overrides;
    TRY(topic_read_recorded(work->topic, &overrides));
    struct err err = apply_edits(&work->edit, &overrides, diag);
    topic_overrides_deinit(&overrides);
    return err;
}

/* An error is the request's; what is wrong with the change stands in it. */
static struct err apply_change(struct config_changes *changes, struct config_change *change)
{
    struct edit_work work = {.edit.apply = apply_edits,
                             .changes = changes,
                             .change = change,
                             .arena = &changes->wait.request->arena};
    struct diag diag = {.text = ""};
    struct err err = find_topic(&work);
    if (!err_failed(err) && changes->is_validated_only)
        err = validate(&work, &diag);
    else if (!err_failed(err))
        err =
            admin_configure_topic(changes->broker, work.topic, &work.edit, &changes->commit, &diag);
    topic_unref(work.topic);
    if (err_failed(err) && !err_is(err, ERR_NO_MEMORY) && change->error_code == KAFKA_NONE)
        err = refuse(&work, error_map_partition(err), diag.text);
    return err_is(err, ERR_NO_MEMORY) ? err : ERR_NONE;
}

/* What makes a resource the same as another: its type and its name. In arena memory. */
static struct err resource_key(struct arena *arena, const struct config_change *change,
                               struct span *out)
{
    size_t size = change->resource_name.size;
    uint8_t *key = arena_alloc(arena, size + 1);
    if (key == NULL)
        return err_make(ERR_NO_MEMORY);
    key[0] = (uint8_t)change->resource_type;
    if (size != 0)
        memcpy(key + 1, change->resource_name.data, size);
    *out = span_make(key, size + 1);
    return ERR_NONE;
}

/* Refuses resources that the request names more than once: which of the changes would count? */
static struct err refuse_repeated(struct config_changes *changes, struct repeats *repeats)
{
    struct arena *arena = &changes->wait.request->arena;
    struct span *keys = arena_alloc_array(arena, (size_t)changes->count, sizeof *keys);
    if (keys == NULL)
        return err_make(ERR_NO_MEMORY);
    for (int32_t i = 0; i < changes->count; i++) {
        TRY(resource_key(arena, &changes->changes[i], &keys[i]));
        TRY(repeats_add(repeats, keys[i]));
    }
    for (int32_t i = 0; i < changes->count; i++) {
        if (!repeats_has(repeats, keys[i]))
            continue;
        changes->changes[i].error_code = KAFKA_INVALID_REQUEST;
        changes->changes[i].error_message = span_text("Each resource must appear at most once.");
    }
    return ERR_NONE;
}

struct err config_changes_apply(struct config_changes *changes, request_resume resume)
{
    struct request *request = changes->wait.request;
    struct repeats repeats;
    repeats_init(&repeats, random_u64(changes->broker->os->random));
    struct err err = refuse_repeated(changes, &repeats);
    repeats_deinit(&repeats);
    TRY(err);
    for (int32_t i = 0; i < changes->count; i++) {
        if (changes->changes[i].error_code == KAFKA_NONE)
            TRY(apply_change(changes, &changes->changes[i]));
    }
    if (changes->commit > 0 &&
        commit_wait_park_admin(&changes->wait, changes->broker, changes->commit, resume))
        return ERR_NONE;
    return resume(request);
}
