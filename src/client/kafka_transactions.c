/*
 * kafka_transactions: transactions by librdkafka.
 *
 * Its calls may time out and are then to be made again; those that it calls retriable become
 * ERR_TIMEOUT here, those that need an abort ERR_ABORTED, and fatal ones ERR_FENCED: whatever the
 * reason, such a sender can do nothing more.
 */
#include "base/check.h"
#include "client/kafka_internal.h"

struct err kafka_init_transactions(struct kafka *kafka, struct diag *diag)
{
    return kafka_fail_error(rd_kafka_init_transactions(kafka->handle, kafka->timeout_ms), diag);
}

struct err kafka_begin(struct client *client, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    TRY(kafka_fail_error(rd_kafka_begin_transaction(kafka->handle), diag));
    kafka->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    kafka->counts = (struct client_counts){0};
    return ERR_NONE;
}

struct err kafka_end(struct client *client, bool is_commit, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_error_t *error = is_commit
                                  ? rd_kafka_commit_transaction(kafka->handle, kafka->timeout_ms)
                                  : rd_kafka_abort_transaction(kafka->handle, kafka->timeout_ms);
    return kafka_fail_error(error, diag);
}
