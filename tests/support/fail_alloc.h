/*
 * fail_alloc: the first, second, third... allocation of a piece of work fails, or its first,
 * second, third... call to a disk or a network in memory.
 *
 * A program that links this has its malloc, calloc, realloc, reallocarray, aligned_alloc, strdup,
 * strndup, asprintf and free go through here (the linker's --wrap); shared libraries keep theirs.
 * Only the thread that armed a countdown counts, and nothing between pause and resume does: what
 * the simulated disk, network and the test itself need is not the program's.
 *
 * FAIL_ALLOC_TRACE=1 in the environment tells on standard error who was refused.
 */
#ifndef HEADRACE_TESTS_SUPPORT_FAIL_ALLOC_H
#define HEADRACE_TESTS_SUPPORT_FAIL_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* The count-th allocation (from 1) of this thread from now on fails, once. 0: none does. */
void fail_alloc_arm(uint32_t count);

/* Ends the countdown. True: the allocation was refused. */
bool fail_alloc_disarm(void);

/* Between these nothing counts and nothing fails. They nest. */
void fail_alloc_pause(void);
void fail_alloc_resume(void);

/* What all threads have allocated and not freed, as a number of pieces. */
int64_t fail_alloc_live(void);

/*
 * One piece of work from nothing to nothing, in which the count-th call of some kind fails. Returns
 * whether it came so far; asserts what must hold either way.
 */
typedef bool fail_attempt(void *context, uint32_t count);

/*
 * Attempts with 1, 2, 3... until nothing fails any more, and sees to it that each attempt frees as
 * much as it allocates. Ends the test program where one does not. Returns how many attempts failed
 * a call.
 */
uint32_t fail_each(fail_attempt *attempt, void *context);

#endif
