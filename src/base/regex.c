/* regex: PCRE2, held to a bound. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/regex.h"

#include <pcre2.h>
#include <stdlib.h>

#include "base/limits.h"

struct regex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
};

struct err regex_compile(struct span pattern, struct regex **out)
{
    int code;
    size_t at;
    struct regex *regex = calloc(1, sizeof *regex);
    if (regex == NULL)
        return err_make(ERR_NO_MEMORY);
    regex->code = pcre2_compile(pattern.data, pattern.size,
                                PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED, &code, &at, NULL);
    if (regex->code == NULL) {
        regex_free(regex);
        return err_make(code == PCRE2_ERROR_HEAP_FAILED ? ERR_NO_MEMORY : ERR_INVALID);
    }
    regex->data = pcre2_match_data_create_from_pattern(regex->code, NULL);
    regex->context = pcre2_match_context_create(NULL);
    if (regex->data == NULL || regex->context == NULL) {
        regex_free(regex);
        return err_make(ERR_NO_MEMORY);
    }
    (void)pcre2_set_match_limit(regex->context, REGEX_STEP_COUNT_MAX);
    *out = regex;
    return ERR_NONE;
}

bool regex_matches(struct regex *regex, struct span text)
{
    return pcre2_match(regex->code, text.data, text.size, 0, 0, regex->data, regex->context) >= 0;
}

void regex_free(struct regex *regex)
{
    if (regex == NULL)
        return;
    pcre2_match_data_free(regex->data);
    pcre2_match_context_free(regex->context);
    pcre2_code_free(regex->code);
    free(regex);
}
