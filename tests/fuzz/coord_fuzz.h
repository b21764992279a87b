/* coord_fuzz: the input of coord_fuzz, which coord_seeds writes. */
#ifndef HEADRACE_TESTS_FUZZ_COORD_FUZZ_H
#define HEADRACE_TESTS_FUZZ_COORD_FUZZ_H

/* What a piece stands for. */
enum piece_kind {
    PIECE_OFFSETS,       /* a record of __consumer_offsets */
    PIECE_TRANSACTIONAL, /* one that is part of a producer's transaction */
    PIECE_COMMIT,        /* the end of that */
    PIECE_ABORT,
    PIECE_TRANSACTION, /* a record of __transaction_state */
    PIECE_KIND_COUNT
};

/* Kind, producer id, key size, value size. */
#define PIECE_HEAD_SIZE 6

#endif
