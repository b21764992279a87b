/* serve_options: the command line of `headrace serve`, on top of the properties file. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/serve.h"
#include "cli/text_file.h"

enum option_key {
    OPTION_DATA = 'd',
    OPTION_CONFIG = 'c',
    OPTION_SET = 'X',
    OPTION_KAFKA = 1000,
    OPTION_HTTP
};

static const struct argp_option options[] = {
    {"data", OPTION_DATA, "DIR", 0, "Folder that holds all data (log.dir)", 0},
    {"kafka", OPTION_KAFKA, "HOST:PORT", 0, "Where Kafka clients connect (listeners)", 0},
    {"http", OPTION_HTTP, "HOST:PORT", 0, "Where health and metrics are served", 0},
    {"config", OPTION_CONFIG, "FILE", 0, "Properties file, as Kafka's server.properties", 0},
    {NULL, OPTION_SET, "KEY=VALUE", 0, "Set any property", 0},
    {0},
};

static const char doc[] =
    "Run the event log.\v"
    "Once it serves, one line is printed: headrace ready kafka=HOST:PORT http=HOST:PORT\n"
    "SIGTERM and SIGINT end it cleanly, with exit code 0. Flags win over the file.\n"
    "Exit codes: 0 ended cleanly, 1 failed, 2 wrong usage or configuration.";

struct parsing {
    struct config *config;
    struct diag diag;
};

static struct err read_config(struct parsing *parsing, const char *path)
{
    struct span text;
    struct arena arena;
    arena_init(&arena, SIZE_MAX); /* text_file_read has its own bound */
    struct err err = text_file_read(&arena, path, &text, &parsing->diag);
    if (!err_failed(err))
        err = config_read_properties(parsing->config, text, &parsing->diag);
    arena_deinit(&arena);
    return diag_wrap(&parsing->diag, err, "%s", path);
}

static struct err set_flag(struct parsing *parsing, const char *name, const char *value)
{
    return config_set(parsing->config, span_text(name), span_text(value), CONFIG_FROM_FLAG, 0,
                      &parsing->diag);
}

static struct err set_pair(struct parsing *parsing, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (equals == NULL)
        return diag_fail(&parsing->diag, ERR_INVALID, "-X %s is not KEY=VALUE", pair);
    return config_set(parsing->config, span_make(pair, (size_t)(equals - pair)),
                      span_text(equals + 1), CONFIG_FROM_FLAG, 0, &parsing->diag);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct parsing *parsing = state->input;
    struct err err = ERR_NONE;
    char listener[512];
    switch (key) {
    case OPTION_DATA:
        err = set_flag(parsing, "log.dirs", argument);
        break;
    case OPTION_KAFKA:
        (void)snprintf(listener, sizeof listener, "PLAINTEXT://%s", argument);
        err = set_flag(parsing, "listeners", listener);
        break;
    case OPTION_HTTP:
        err = set_flag(parsing, "headrace.http.listener", argument);
        break;
    case OPTION_CONFIG:
        err = read_config(parsing, argument);
        break;
    case OPTION_SET:
        err = set_pair(parsing, argument);
        break;
    case ARGP_KEY_ARG:
        err = diag_fail(&parsing->diag, ERR_INVALID, "serve takes no argument, but got \"%s\"",
                        argument);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (!err_failed(err))
        return 0;
    const char *words = parsing->diag.text[0] != '\0' ? parsing->diag.text : err_text(err);
    (void)fprintf(stderr, "headrace serve: %s\n", words);
    exit(2);
}

int serve_parse(int argc, char **argv, struct config *config)
{
    static const struct argp argp = {.options = options, .parser = parse_option, .doc = doc};
    struct parsing parsing = {.config = config};
    char name[] = "headrace serve";
    argv[0] = name;
    if (argp_parse(&argp, argc, argv, 0, NULL, &parsing) != 0)
        return 2;
    struct err err = config_validate(config, &parsing.diag);
    if (err_failed(err)) {
        (void)fprintf(stderr, "headrace serve: %s\n", parsing.diag.text);
        return 2;
    }
    if (config->warnings.size != 0)
        (void)fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&config->warnings)));
    return -1;
}
