/* curl_library: names to functions. */
#include "flow/handler/curl_library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

/* The name that libcurl 7 and 8 have in common. */
#define LIBRARY "libcurl.so.4"

#define FUNCTION(name)                                                                             \
    {                                                                                              \
        "curl_" #name, offsetof(struct curl_library, name)                                         \
    }

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
    FUNCTION(global_init),      FUNCTION(global_cleanup),      FUNCTION(easy_init),
    FUNCTION(easy_cleanup),     FUNCTION(easy_setopt),         FUNCTION(easy_getinfo),
    FUNCTION(easy_strerror),    FUNCTION(slist_append),        FUNCTION(slist_free_all),
    FUNCTION(multi_init),       FUNCTION(multi_cleanup),       FUNCTION(multi_setopt),
    FUNCTION(multi_add_handle), FUNCTION(multi_remove_handle), FUNCTION(multi_perform),
    FUNCTION(multi_info_read),  FUNCTION(multi_poll),          FUNCTION(getdate),
};

static struct err find_functions(struct curl_library *curl, struct diag *diag)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *found = dlsym(curl->library, functions[i].name);
        if (found == NULL)
            return diag_fail(diag, ERR_NOT_FOUND, LIBRARY " has no %s", functions[i].name);
        memcpy((char *)curl + functions[i].offset, &found, sizeof found);
    }
    return ERR_NONE;
}

struct err curl_library_load(struct curl_library *curl, struct diag *diag)
{
    *curl = (struct curl_library){.library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL)};
    if (curl->library == NULL)
        return diag_fail(diag, ERR_NOT_FOUND, "calling over HTTP needs libcurl: %s", dlerror());
    struct err err = find_functions(curl, diag);
    if (!err_failed(err) && curl->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        err = err_make(ERR_NO_MEMORY);
    if (!err_failed(err))
        return ERR_NONE;
    (void)dlclose(curl->library);
    *curl = (struct curl_library){0};
    return err;
}

void curl_library_unload(struct curl_library *curl)
{
    if (curl->library == NULL)
        return;
    curl->global_cleanup();
    (void)dlclose(curl->library);
    *curl = (struct curl_library){0};
}
