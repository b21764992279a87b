/* delivery: records and outputs, each in one piece of memory. */
#include "flow/delivery/delivery.h"

#include <stdlib.h>

#include "base/check.h"

/* The bytes that a copy needs behind its struct; headers first, as they are the aligned part. */
static size_t copy_size(const struct client_message *message)
{
    size_t size = message->header_count * sizeof *message->headers;
    size += message->key.size + message->value.size;
    for (size_t i = 0; i < message->header_count; i++)
        size += strlen(message->headers[i].name) + 1 + message->headers[i].value.size;
    return size;
}

static struct span copy_bytes(struct span bytes, uint8_t **to)
{
    if (span_is_null(bytes))
        return SPAN_NULL;
    struct span copy = span_make(*to, bytes.size);
    if (bytes.size > 0)
        memcpy(*to, bytes.data, bytes.size);
    *to += bytes.size;
    return copy;
}

/* Copies into copy_size bytes; the topic's name is left to the caller. */
static void copy_message(const struct client_message *from, void *room, struct client_message *to)
{
    *to = *from;
    struct client_header *headers = room;
    uint8_t *at = (uint8_t *)(headers + from->header_count);
    to->headers = headers;
    to->key = copy_bytes(from->key, &at);
    to->value = copy_bytes(from->value, &at);
    for (size_t i = 0; i < from->header_count; i++) {
        headers[i].name = (const char *)at;
        (void)copy_bytes(span_make(from->headers[i].name, strlen(from->headers[i].name) + 1), &at);
        headers[i].value = copy_bytes(from->headers[i].value, &at);
    }
    CHECK((size_t)(at - (uint8_t *)room) == copy_size(from));
}

struct err delivery_create(const struct client_message *message, struct delivery **out)
{
    size_t size = sizeof(struct delivery) + copy_size(message);
    struct delivery *delivery = malloc(size);
    if (delivery == NULL)
        return err_make(ERR_NO_MEMORY);
    *delivery = (struct delivery){.size = size};
    delivery->outputs_end = &delivery->outputs;
    list_init(&delivery->link);
    list_init(&delivery->lane_link);
    list_init(&delivery->turn_link);
    timer_init(&delivery->timer, NULL);
    copy_message(message, delivery + 1, &delivery->message);
    *out = delivery;
    return ERR_NONE;
}

void delivery_free_outputs(struct output *outputs)
{
    while (outputs != NULL) {
        struct output *next = outputs->next;
        free(outputs);
        outputs = next;
    }
}

struct output *delivery_take_outputs(struct delivery *delivery)
{
    struct output *outputs = delivery->outputs;
    delivery->outputs = NULL;
    delivery->outputs_end = &delivery->outputs;
    return outputs;
}

void delivery_clear_outputs(struct delivery *delivery)
{
    delivery_free_outputs(delivery_take_outputs(delivery));
}

void delivery_put_outputs(struct delivery *delivery, struct output *outputs)
{
    delivery_clear_outputs(delivery);
    delivery->outputs = outputs;
    while (*delivery->outputs_end != NULL)
        delivery->outputs_end = &(*delivery->outputs_end)->next;
}

void delivery_destroy(struct delivery *delivery)
{
    if (delivery == NULL)
        return;
    delivery_clear_outputs(delivery);
    free(delivery);
}

void delivery_move(struct delivery *delivery, enum delivery_state state)
{
#define MAY(state) (1U << DELIVERY_##state)
    static const unsigned moves[DELIVERY_STATE_COUNT] = {
        [DELIVERY_QUEUED] = MAY(READY) | MAY(PAUSING) | MAY(FINISHED),
        [DELIVERY_READY] = MAY(CALLED) | MAY(FINISHED),
        [DELIVERY_CALLED] = MAY(PAUSING) | MAY(FINISHED) | MAY(READY),
        [DELIVERY_PAUSING] = MAY(READY),
        [DELIVERY_FINISHED] = MAY(SEALED),
        [DELIVERY_SEALED] = MAY(FINISHED) | MAY(QUEUED) | MAY(READY) | MAY(PAUSING),
    };
#undef MAY
    CHECK((moves[delivery->state] >> state & 1) != 0);
    delivery->state = state;
}

struct err delivery_add_output(struct delivery *delivery, const struct client_message *message)
{
    size_t topic_size = strlen(message->topic) + 1;
    size_t body_size = copy_size(message);
    struct output *output = malloc(sizeof *output + body_size + topic_size);
    if (output == NULL)
        return err_make(ERR_NO_MEMORY);
    copy_message(message, output + 1, &output->message);
    char *topic = (char *)(output + 1) + body_size;
    memcpy(topic, message->topic, topic_size);
    output->message.topic = topic;
    output->message.tag = delivery;
    output->next = NULL;
    *delivery->outputs_end = output;
    delivery->outputs_end = &output->next;
    return ERR_NONE;
}

struct span message_header(const struct client_message *message, const char *name)
{
    for (size_t i = 0; i < message->header_count; i++) {
        if (strcmp(message->headers[i].name, name) == 0)
            return message->headers[i].value;
    }
    return SPAN_NULL;
}
