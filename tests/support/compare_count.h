/*
 * compare_count: how often a program compared bytes: the steps of a search, whatever the machine.
 *
 * To be included by one test program's only source: its memcmp stands in for the C library's.
 */
#ifndef HEADRACE_TESTS_SUPPORT_COMPARE_COUNT_H
#define HEADRACE_TESTS_SUPPORT_COMPARE_COUNT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static int64_t compare_count;

int memcmp(const void *left, const void *right, size_t size)
{
    const uint8_t *a = left;
    const uint8_t *b = right;
    compare_count++;
    for (size_t i = 0; i < size; i++) {
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    }
    return 0;
}

#endif
