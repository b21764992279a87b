/*
 * curl_library: libcurl, loaded when the first handler is called over HTTP.
 *
 * Debian's libcurl brings some thirty libraries with it (LDAP, Kerberos, SSH ...): 3 MiB and
 * several milliseconds at every start of a binary that is linked with it. The event log needs none
 * of that.
 *
 * Any thread may call the functions, as libcurl allows.
 */
#ifndef HEADRACE_FLOW_HANDLER_CURL_LIBRARY_H
#define HEADRACE_FLOW_HANDLER_CURL_LIBRARY_H

/* Its checks of types are macros around the functions' names. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/err.h"

/* One member for each function that is used, named as it is less curl_. */
struct curl_library {
    void *library;
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_global_cleanup) *global_cleanup;
    __typeof__(curl_easy_init) *easy_init;
    __typeof__(curl_easy_cleanup) *easy_cleanup;
    __typeof__(curl_easy_setopt) *easy_setopt;
    __typeof__(curl_easy_getinfo) *easy_getinfo;
    __typeof__(curl_easy_strerror) *easy_strerror;
    __typeof__(curl_slist_append) *slist_append;
    __typeof__(curl_slist_free_all) *slist_free_all;
    __typeof__(curl_multi_init) *multi_init;
    __typeof__(curl_multi_cleanup) *multi_cleanup;
    __typeof__(curl_multi_setopt) *multi_setopt;
    __typeof__(curl_multi_add_handle) *multi_add_handle;
    __typeof__(curl_multi_remove_handle) *multi_remove_handle;
    __typeof__(curl_multi_perform) *multi_perform;
    __typeof__(curl_multi_info_read) *multi_info_read;
    __typeof__(curl_multi_poll) *multi_poll;
    __typeof__(curl_getdate) *getdate;
};

/* Loads and prepares it; while no other thread runs. ERR_NOT_FOUND: the system has none, or one
 * without what is used; diag says what is missing. ERR_NO_MEMORY. */
MUST_USE struct err curl_library_load(struct curl_library *curl, struct diag *diag);

/* Nothing of it is used any more. One that was never loaded is left alone. */
void curl_library_unload(struct curl_library *curl);

#endif
