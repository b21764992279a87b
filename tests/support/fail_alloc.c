/* fail_alloc: a countdown per thread before the C library's own functions. */
#include "support/fail_alloc.h"

#include <errno.h>
#include <execinfo.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRACE_DEPTH 24

/* The linker's names for what is wrapped and what wraps it. */
void *real_malloc(size_t size) __asm__("__real_malloc");
void *real_calloc(size_t count, size_t size) __asm__("__real_calloc");
void *real_realloc(void *memory, size_t size) __asm__("__real_realloc");
void *real_aligned_alloc(size_t alignment, size_t size) __asm__("__real_aligned_alloc");
void real_free(void *memory) __asm__("__real_free");
void *wrap_malloc(size_t size) __asm__("__wrap_malloc");
void *wrap_calloc(size_t count, size_t size) __asm__("__wrap_calloc");
void *wrap_realloc(void *memory, size_t size) __asm__("__wrap_realloc");
void *wrap_reallocarray(void *memory, size_t count, size_t size) __asm__("__wrap_reallocarray");
void *wrap_aligned_alloc(size_t alignment, size_t size) __asm__("__wrap_aligned_alloc");
char *wrap_strdup(const char *text) __asm__("__wrap_strdup");
char *wrap_strndup(const char *text, size_t size_max) __asm__("__wrap_strndup");
int wrap_vasprintf(char **out, const char *format, va_list arguments) __asm__("__wrap_vasprintf")
    __attribute__((format(printf, 2, 0)));
int wrap_vasprintf_checked(char **out, int flag, const char *format,
                           va_list arguments) __asm__("__wrap___vasprintf_chk")
    __attribute__((format(printf, 3, 0)));
int real_vasprintf(char **out, const char *format, va_list arguments) __asm__("__real_vasprintf")
    __attribute__((format(printf, 2, 0)));
int wrap_asprintf(char **out, const char *format, ...) __asm__("__wrap_asprintf")
    __attribute__((format(printf, 2, 3)));
int wrap_asprintf_checked(char **out, int flag, const char *format,
                          ...) __asm__("__wrap___asprintf_chk")
    __attribute__((format(printf, 3, 4)));
void wrap_free(void *memory) __asm__("__wrap_free");

static _Thread_local uint32_t countdown; /* 0: nothing is to fail any more */
static _Thread_local uint32_t pause_depth;
static _Thread_local bool has_struck;
static _Atomic int64_t live_count;

void fail_alloc_arm(uint32_t count)
{
    countdown = count;
    has_struck = false;
}

bool fail_alloc_disarm(void)
{
    countdown = 0;
    return has_struck;
}

void fail_alloc_pause(void)
{
    pause_depth++;
}

void fail_alloc_resume(void)
{
    pause_depth--;
}

int64_t fail_alloc_live(void)
{
    return atomic_load(&live_count);
}

static void trace(void)
{
    void *callers[TRACE_DEPTH];
    backtrace_symbols_fd(callers, backtrace(callers, TRACE_DEPTH), STDERR_FILENO);
    (void)fprintf(stderr, "--\n");
}

/* Whether this allocation is the one that fails. */
static bool is_refused(void)
{
    if (pause_depth != 0 || countdown == 0 || --countdown != 0)
        return false;
    has_struck = true;
    if (getenv("FAIL_ALLOC_TRACE") != NULL)
        trace();
    errno = ENOMEM;
    return true;
}

static void *count_made(void *made)
{
    if (made != NULL)
        atomic_fetch_add(&live_count, 1);
    return made;
}

void *wrap_malloc(size_t size)
{
    return is_refused() ? NULL : count_made(real_malloc(size));
}

void *wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : count_made(real_calloc(count, size));
}

void *wrap_realloc(void *memory, size_t size)
{
    if (is_refused())
        return NULL;
    void *moved = real_realloc(memory, size);
    return memory == NULL ? count_made(moved) : moved;
}

void *wrap_reallocarray(void *memory, size_t count, size_t size)
{
    size_t product;
    if (__builtin_mul_overflow(count, size, &product)) {
        errno = ENOMEM;
        return NULL;
    }
    return wrap_realloc(memory, product);
}

void *wrap_aligned_alloc(size_t alignment, size_t size)
{
    return is_refused() ? NULL : count_made(real_aligned_alloc(alignment, size));
}

char *wrap_strndup(const char *text, size_t size_max)
{
    size_t size = strnlen(text, size_max);
    char *copy = wrap_malloc(size + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *wrap_strdup(const char *text)
{
    return wrap_strndup(text, strlen(text));
}

int wrap_vasprintf(char **out, const char *format, va_list arguments)
{
    *out = NULL; /* where it fails, the C library says nothing of it */
    if (is_refused())
        return -1;
    int size = real_vasprintf(out, format, arguments);
    if (size >= 0)
        (void)count_made(*out);
    return size;
}

int wrap_vasprintf_checked(char **out, int flag, const char *format, va_list arguments)
{
    (void)flag;
    return wrap_vasprintf(out, format, arguments);
}

int wrap_asprintf(char **out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = wrap_vasprintf(out, format, arguments);
    va_end(arguments);
    return size;
}

int wrap_asprintf_checked(char **out, int flag, const char *format, ...)
{
    va_list arguments;
    (void)flag;
    va_start(arguments, format);
    int size = wrap_vasprintf(out, format, arguments);
    va_end(arguments);
    return size;
}

void wrap_free(void *memory)
{
    if (memory != NULL)
        atomic_fetch_sub(&live_count, 1);
    real_free(memory);
}

uint32_t fail_each(fail_attempt *attempt, void *context)
{
    uint32_t count = 1;
    bool has_failed = true;
    while (has_failed) {
        int64_t before = fail_alloc_live();
        has_failed = attempt(context, count);
        int64_t left = fail_alloc_live() - before;
        if (left != 0) {
            (void)fprintf(stderr, "attempt %u leaves %lld allocations\n", count, (long long)left);
            abort();
        }
        count += has_failed ? 1 : 0;
    }
    return count - 1;
}
