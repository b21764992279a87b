/* http_faults: memory is refused while a server of pages begins, or where a page is filled. */
#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/fail_alloc.h"

#define ANSWER_SIZE_MAX 8192
#define SILENCE_S_MAX 30 /* a server that does not answer fails the test instead of hanging it */

/* Which allocation of the next page fails; 0: none. Set while no page is being filled. */
struct page_fault {
    uint32_t count;
    bool has_failed;
};

/* A page larger than its first memory; the rest of an answer is the library's. */
static void fill(void *context, struct http_page *page)
{
    struct page_fault *fault = context;
    struct err err = ERR_NONE;
    fail_alloc_arm(fault->count);
    for (int i = 0; i < 400 && !err_failed(err); i++)
        err = buf_print(&page->body, "line %d\n", i);
    fault->has_failed = fail_alloc_disarm();
    if (err_failed(err)) {
        assert_true(fault->has_failed);
        buf_clear(&page->body);
        page->status = 500;
    }
}

static const struct http_route routes[] = {{"/page", fill}, {NULL, NULL}};

static const char *ask(struct http *http)
{
    static const char request[] = "GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static char answer[ANSWER_SIZE_MAX];
    int ends[2];
    size_t size = 0;
    ssize_t part;
    struct timeval silence = {.tv_sec = SILENCE_S_MAX};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence), 0);
    assert_false(err_failed(http_take(http, ends[1])));
    assert_int_equal(write(ends[0], request, strlen(request)), strlen(request));
    while ((part = read(ends[0], answer + size, sizeof answer - 1 - size)) > 0)
        size += (size_t)part;
    assert_int_equal(part, 0);
    answer[size] = '\0';
    assert_int_equal(close(ends[0]), 0);
    return answer;
}

static bool begin_attempt(void *context, uint32_t count)
{
    struct page_fault fault = {0};
    struct http *http = NULL;
    (void)context;
    fail_alloc_arm(count);
    struct err err = http_create(routes, &fault, &http);
    bool has_failed = fail_alloc_disarm();
    assert_true(has_failed == err_failed(err) && (!has_failed || err_is(err, ERR_NO_MEMORY)));
    if (!has_failed)
        assert_non_null(strstr(ask(http), "line 399\n"));
    http_destroy(http);
    return has_failed;
}

static bool page_attempt(void *context, uint32_t count)
{
    struct page_fault fault = {.count = count};
    struct http *http;
    (void)context;
    assert_false(err_failed(http_create(routes, &fault, &http)));
    const char *answer = ask(http);
    bool has_failed = fault.has_failed;
    assert_non_null(strstr(answer, has_failed ? "HTTP/1.1 500" : "line 399\n"));
    fault.count = 0;
    assert_non_null(strstr(ask(http), "line 399\n"));
    http_destroy(http);
    return has_failed;
}

static void a_server_without_memory_does_not_begin(void **state)
{
    (void)state;
    assert_true(fail_each(begin_attempt, NULL) >= 1);
}

static void a_page_without_memory_is_an_error_and_the_next_is_whole(void **state)
{
    (void)state;
    assert_true(fail_each(page_attempt, NULL) >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_without_memory_does_not_begin),
        cmocka_unit_test(a_page_without_memory_is_an_error_and_the_next_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
