/* config_change: checks in Kafka's order; brokers' configs are read at start and cannot be changed.
 */
#include "api/config_change.h"

#include "api/error_map.h"
#include "wire/error_code.h"

enum resource_type { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };

static struct err refuse(struct config_change *change, int16_t code, const char *text)
{
    change->error_code = code;
    return arena_copy(change->arena, span_text(text), &change->error_message);
}

struct err config_change_begin(struct config_change *change, bool is_incremental)
{
    if (change->resource_type == RESOURCE_BROKER)
        return refuse(change, KAFKA_INVALID_REQUEST,
                      "The broker's properties are read at start; change the file and restart.");
    if (change->resource_type != RESOURCE_TOPIC)
        return refuse(change, KAFKA_INVALID_REQUEST,
                      "Only topics have configs that can be changed here.");
    struct diag diag;
    if (err_failed(topic_check_name(change->resource_name, &diag)))
        return refuse(change, KAFKA_INVALID_TOPIC_EXCEPTION, diag.text);
    change->topic = broker_find_topic(change->broker, change->resource_name);
    if (change->topic == NULL)
        return refuse(change, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "The topic does not exist.");
    return is_incremental ? topic_read_recorded(change->topic, &change->overrides) : ERR_NONE;
}

/* Appends a word to a comma-separated list, or takes it out; in arena memory. */
static struct span list_edit(struct config_change *change, const char *list, struct span word,
                             bool is_added)
{
    char *out = arena_print(change->arena, "%s", "");
    for (const char *at = list; *at != '\0' && out != NULL;) {
        size_t size = strcspn(at, ",");
        if (!span_equal(span_make(at, size), word))
            out = arena_print(change->arena, "%s%s%.*s", out, out[0] == '\0' ? "" : ",", (int)size,
                              at);
        at += size + (at[size] == ',');
    }
    if (is_added && out != NULL)
        out =
            arena_print(change->arena, "%s%s%.*s", out, out[0] == '\0' ? "" : ",", SPAN_ARGS(word));
    return span_text(out);
}

static struct err edit_list(struct config_change *change, bool is_added, struct span name,
                            struct span *value)
{
    enum topic_config_id id;
    if (!topic_config_find(name, &id))
        return ERR_NONE; /* topic_overrides_set says what is wrong */
    if (config_def_of(topic_config_synonym(id))->type != CONFIG_TYPE_LIST)
        return refuse(change, KAFKA_INVALID_CONFIG,
                      "Only lists can be appended to and subtracted from.");
    const char *list = topic_config_value(&change->overrides, change->broker->config, id);
    *value = list_edit(change, list, *value, is_added);
    return span_is_null(*value) ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

struct err config_change_add(struct config_change *change, enum config_operation operation,
                             struct span name, struct span value)
{
    if (change->error_code != KAFKA_NONE)
        return ERR_NONE;
    if (operation == CONFIG_DELETE)
        value = SPAN_NULL;
    else if (span_is_null(value))
        return refuse(change, KAFKA_INVALID_REQUEST, "Null value not supported for configs.");
    if (operation == CONFIG_APPEND || operation == CONFIG_SUBTRACT)
        TRY(edit_list(change, operation == CONFIG_APPEND, name, &value));
    struct diag diag = {.text = ""};
    if (change->error_code == KAFKA_NONE &&
        err_failed(topic_overrides_set(&change->overrides, name, value, &diag)))
        return refuse(change, KAFKA_INVALID_CONFIG, diag.text);
    return ERR_NONE;
}

struct err config_change_end(struct config_change *change, int64_t *commit)
{
    struct err err = ERR_NONE;
    if (change->error_code == KAFKA_NONE && !change->is_validated_only) {
        struct diag diag = {.text = ""};
        struct err failed =
            admin_configure_topic(change->broker, change->topic, &change->overrides, commit, &diag);
        if (err_failed(failed))
            err = refuse(change, error_map_partition(failed), diag.text);
    }
    topic_overrides_deinit(&change->overrides);
    topic_unref(change->topic);
    change->topic = NULL;
    return err;
}
