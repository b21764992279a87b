/* http: pages over one end of a socket pair, as any client of HTTP/1.1 meets them. */
#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ANSWER_SIZE_MAX 8192
#define SILENCE_S_MAX 30 /* a server that does not answer fails the test instead of hanging it */

static const char secret[] = "the context";

static void fill_page(void *context, struct http_page *page)
{
    assert_ptr_equal(context, secret);
    struct err err = buf_print(&page->body, "hello\n");
    assert_false(err_failed(err));
}

static void fill_sick(void *context, struct http_page *page)
{
    (void)context;
    page->status = 503;
    page->content_type = "application/json";
    struct err err = buf_print(&page->body, "{}");
    assert_false(err_failed(err));
}

static const struct http_route routes[] = {
    {"/page", fill_page}, {"/sick", fill_sick}, {NULL, NULL}};

static int setup(void **state)
{
    struct http *http;
    union {
        const char *readable;
        void *writable;
    } context = {.readable = secret};
    if (err_failed(http_create(routes, context.writable, &http)))
        return 1;
    *state = http;
    return 0;
}

static int teardown(void **state)
{
    http_destroy(*state);
    return 0;
}

/* A connection that was handed over; returns the peer's end. */
static int connect_peer(struct http *http)
{
    int ends[2];
    struct timeval silence = {.tv_sec = SILENCE_S_MAX};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence), 0);
    struct err err = http_take(http, ends[1]);
    assert_false(err_failed(err));
    return ends[0];
}

/* Everything the server says until it closes. */
static const char *read_all(int peer)
{
    static char answer[ANSWER_SIZE_MAX];
    size_t size = 0;
    ssize_t part;
    while ((part = read(peer, answer + size, sizeof answer - 1 - size)) > 0)
        size += (size_t)part;
    assert_int_equal(part, 0);
    answer[size] = '\0';
    assert_int_equal(close(peer), 0);
    return answer;
}

static const char *ask(struct http *http, const char *request)
{
    int peer = connect_peer(http);
    assert_int_equal(write(peer, request, strlen(request)), strlen(request));
    return read_all(peer);
}

#define HEAD "Host: x\r\nConnection: close\r\n"

static void route_answers_with_its_page_and_forbids_keeping_it(void **state)
{
    const char *answer = ask(*state, "GET /page HTTP/1.1\r\n" HEAD "\r\n");
    assert_non_null(strstr(answer, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(answer, "Content-Type: text/plain; charset=utf-8\r\n"));
    assert_non_null(strstr(answer, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\nhello\n"));
}

static void page_chooses_status_and_type(void **state)
{
    const char *answer = ask(*state, "GET /sick HTTP/1.1\r\n" HEAD "\r\n");
    assert_non_null(strstr(answer, "HTTP/1.1 503 "));
    assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
}

static void head_has_the_size_and_no_body(void **state)
{
    const char *answer = ask(*state, "HEAD /page HTTP/1.1\r\n" HEAD "\r\n");
    assert_non_null(strstr(answer, "Content-Length: 6\r\n"));
    assert_null(strstr(answer, "hello"));
}

static void other_paths_and_methods_are_refused(void **state)
{
    assert_non_null(strstr(ask(*state, "GET /page/ HTTP/1.1\r\n" HEAD "\r\n"), " 404 "));
    assert_non_null(strstr(ask(*state, "GET / HTTP/1.1\r\n" HEAD "\r\n"), " 404 "));
    assert_non_null(strstr(ask(*state, "DELETE /page HTTP/1.1\r\n" HEAD "\r\n"), " 405 "));
    assert_non_null(strstr(
        ask(*state, "POST /page HTTP/1.1\r\n" HEAD "Content-Length: 5\r\n\r\nhello"), " 405 "));
}

static void header_that_does_not_end_is_bounded(void **state)
{
    static char request[64 * 1024];
    int size = snprintf(request, sizeof request, "GET /page HTTP/1.1\r\nX: ");
    memset(request + size, 'a', sizeof request - (size_t)size - 1);
    int peer = connect_peer(*state);
    (void)send(peer, request, strlen(request), MSG_NOSIGNAL); /* it may close meanwhile */
    char answer[64] = "";
    assert_true(read(peer, answer, sizeof answer - 1) > 0);
    assert_non_null(strstr(answer, " 431 "));
    assert_int_equal(close(peer), 0);
}

static void one_connection_serves_several_requests_in_order(void **state)
{
    const char *answer = ask(*state, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n"
                                     "GET /sick HTTP/1.1\r\n" HEAD "\r\n");
    const char *first = strstr(answer, "200 OK");
    assert_non_null(first);
    assert_non_null(strstr(first, "503"));
}

static void end_closes_who_is_silent(void **state)
{
    (void)state;
    struct http *http;
    assert_false(err_failed(http_create(routes, NULL, &http)));
    int peer = connect_peer(http);
    http_destroy(http);
    assert_string_equal(read_all(peer), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(route_answers_with_its_page_and_forbids_keeping_it),
        TEST(page_chooses_status_and_type),
        TEST(head_has_the_size_and_no_body),
        TEST(other_paths_and_methods_are_refused),
        TEST(header_that_does_not_end_is_bounded),
        TEST(one_connection_serves_several_requests_in_order),
        cmocka_unit_test(end_closes_who_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
