/*
 * commit: writing one.
 *
 * What times out is tried again for a while. A transaction whose end stays unknown is not given up
 * as failed: its outputs might be seen, and would then be written again.
 */
#include "flow/delivery/commit.h"

#include "base/check.h"

/* Tries of what times out; each takes up to the sender's time-out. */
#define TRIES_MAX 6

/* Errors that the same record would meet again. */
static bool is_final(struct err err)
{
    return err_is(err, ERR_LIMIT) || err_is(err, ERR_NOT_FOUND) || err_is(err, ERR_DENIED);
}

static struct err send_records(const struct commit *commit, struct client *sender,
                               struct diag *diag)
{
    for (size_t i = 0; i < commit->record_count; i++)
        TRY(client_send(sender, &commit->records[i], diag));
    return ERR_NONE;
}

/* Sends all outputs. *refused: whose output was refused at once. */
static struct err send_outputs(const struct commit *commit, struct client *sender,
                               struct delivery **refused, struct diag *diag)
{
    LIST_EACH (&commit->deliveries, link) {
        struct delivery *delivery = LIST_ENTRY(link, struct delivery, link);
        for (const struct output *out = delivery->outputs; out != NULL; out = out->next) {
            struct err err = client_send(sender, &out->message, diag);
            if (err_failed(err)) {
                *refused = is_final(err) ? delivery : NULL;
                return err;
            }
        }
    }
    return send_records(commit, sender, diag);
}

/* Ends the transaction, trying again what times out. */
static struct err end(struct client *sender, bool is_commit, struct diag *diag)
{
    struct err err = err_make(ERR_TIMEOUT);
    for (int tries = 0; tries < TRIES_MAX && err_is(err, ERR_TIMEOUT); tries++)
        err = client_end(sender, is_commit, diag);
    return err;
}

static struct err write_transaction(const struct commit *commit, struct client *sender,
                                    struct client *receiver, struct delivery **refused,
                                    struct diag *diag)
{
    TRY(send_outputs(commit, sender, refused, diag));
    struct err err = err_make(ERR_TIMEOUT);
    for (int tries = 0; tries < TRIES_MAX && err_is(err, ERR_TIMEOUT); tries++)
        err = client_offsets_add(sender, receiver, commit->offsets, commit->offset_count, diag);
    TRY(err);
    return end(sender, true, diag);
}

/* Whether an output met an error that it would meet again; whose it is. */
static struct delivery *find_refused(struct client *sender, struct diag *diag)
{
    struct client_counts counts;
    struct diag words = {""};
    struct err err = client_flush(sender, 0, &counts, &words);
    if (!err_failed(err) || !is_final(err))
        return NULL;
    *diag = words;
    return counts.failed_tag;
}

void commit_write_once(const struct commit *commit, struct client *sender, struct client *receiver,
                       struct commit_result *result)
{
    *result = (struct commit_result){.fate = COMMIT_DONE};
    struct err err = client_begin(sender, &result->diag);
    if (err_failed(err)) { /* nothing was begun that could be aborted */
        result->fate = COMMIT_FAILED;
        result->is_sender_over = true;
        return;
    }
    err = write_transaction(commit, sender, receiver, &result->refused, &result->diag);
    if (!err_failed(err))
        return;
    if (result->refused == NULL)
        result->refused = find_refused(sender, &result->diag);
    struct diag ignored;
    result->is_sender_over = err_failed(end(sender, false, &ignored));
    result->fate = result->refused == NULL ? COMMIT_FAILED : COMMIT_REFUSED;
    if (result->is_sender_over)
        result->fate = COMMIT_UNCERTAIN;
}

void commit_write_at_least_once(const struct commit *commit, struct client *sender,
                                struct client *receiver, int32_t timeout_ms,
                                struct commit_result *result)
{
    *result = (struct commit_result){.fate = COMMIT_DONE};
    struct client_counts counts = {0};
    struct err err = send_outputs(commit, sender, &result->refused, &result->diag);
    if (!err_failed(err)) {
        err = client_flush(sender, timeout_ms, &counts, &result->diag);
        if (err_failed(err) && is_final(err))
            result->refused = counts.failed_tag;
        else if (!err_failed(err) && counts.waiting > 0)
            err = diag_fail(&result->diag, ERR_TIMEOUT, "no acknowledgement within %d ms",
                            timeout_ms);
    }
    /* A sender goes on with what it has not sent yet; a new one begins with nothing. */
    result->is_sender_over = err_failed(err);
    if (!err_failed(err))
        err = client_offsets_commit(receiver, commit->offsets, commit->offset_count, &result->diag);
    if (!err_failed(err))
        return;
    result->fate = result->refused != NULL ? COMMIT_REFUSED : COMMIT_FAILED;
}
