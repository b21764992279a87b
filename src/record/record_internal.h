/* record_internal: one record's bytes to a struct record, for walk and batch. */
#ifndef HEADRACE_RECORD_RECORD_INTERNAL_H
#define HEADRACE_RECORD_RECORD_INTERNAL_H

#include "record/walk.h"

/*
 * Takes the next record off the front of *rest and checks all of its sizes. *offset_delta as it
 * stands in the record. False where the bytes are not a record; *rest is then anywhere.
 */
bool record_take(struct span *rest, const struct batch_header *header, struct record *record,
                 int32_t *offset_delta);

#endif
