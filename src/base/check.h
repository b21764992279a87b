/*
 * check: assertions, on in every build.
 *
 * CHECK states what the program's own logic guarantees; if it does not hold, going on could damage
 * data, so the process says where and ends. Input from outside is never CHECKed: it gets an error.
 */
#ifndef HEADRACE_BASE_CHECK_H
#define HEADRACE_BASE_CHECK_H

#include <stdint.h>

/* Writes "file:line: check failed: condition" to standard error and aborts. Any thread. */
_Noreturn void check_fail(const char *file, int line, const char *condition);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            check_fail(__FILE__, __LINE__, #condition);                                            \
    } while (0)

/* A long-lived struct begins with `uint32_t magic`, set at init and checked at each entry. */
#define CHECK_MAGIC(object, value) CHECK((object) != NULL && (object)->magic == (value))

#endif
