/* session: the command line and the settings of client commands, and how they end. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "cli/commands.h"
#include "cli/profile.h"

/* What one command keeps in memory: the answer about 10,000 topics of 100 partitions. */
#define SESSION_ARENA_SIZE_MAX ((size_t)256 * 1024 * 1024)

#define TIMEOUT_DEFAULT_MS 10000
#define BOOTSTRAP_DEFAULT "localhost:9092"

/* HEADRACE_CLIENT_SASL_PASSWORD stands for sasl.password: secrets need no file. */
#define ENVIRONMENT_PREFIX "HEADRACE_CLIENT_"

enum common_key { KEY_BOOTSTRAP = 'b', KEY_SET = 'X', KEY_PROFILE = 2000, KEY_TIMEOUT, KEY_FORMAT };

static const struct argp_option common_options[] = {
    {NULL, 0, NULL, 0, "Common options:", 9},
    {"bootstrap", KEY_BOOTSTRAP, "HOST:PORT", 0, "A server of the cluster (localhost:9092)", 9},
    {"profile", KEY_PROFILE, "NAME", 0, "Settings of that name in the profiles' file", 9},
    {"set", KEY_SET, "KEY=VALUE", 0, "Any client property that is no secret", 9},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "How long to wait for a server (10)", 9},
    {"format", KEY_FORMAT, "table|json", 0, "How to print the answer", 9},
    {0},
};

struct err session_set(struct session *session, const char *name, const char *value)
{
    if (session->property_count == SESSION_PROPERTY_COUNT_MAX)
        return diag_fail(&session->diag, ERR_LIMIT, "more than %d properties",
                         SESSION_PROPERTY_COUNT_MAX);
    session->properties[session->property_count++] = (struct client_property){name, value};
    return ERR_NONE;
}

struct err session_flag(struct session *session, const char *name, const char *value)
{
    if (session->flag_count == SESSION_PROPERTY_COUNT_MAX)
        return diag_fail(&session->diag, ERR_LIMIT, "more than %d flags for the client",
                         SESSION_PROPERTY_COUNT_MAX);
    session->flags[session->flag_count++] = (struct client_property){name, value};
    return ERR_NONE;
}

struct err session_misuse(struct session *session, const char *sentence)
{
    session->code = EXIT_USAGE;
    return diag_fail(&session->diag, ERR_INVALID, "%s", sentence);
}

struct err session_pair(struct session *session, const char *option, const char *text,
                        struct client_property *out)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return diag_fail(&session->diag, ERR_INVALID, "%s %s is not KEY=VALUE", option, text);
    char *name = arena_copy_text(&session->arena, span_make(text, (size_t)(equals - text)));
    if (name == NULL)
        return err_make(ERR_NO_MEMORY);
    *out = (struct client_property){name, equals + 1};
    return ERR_NONE;
}

struct err session_number(struct session *session, const char *option, const char *text,
                          int64_t min, int64_t max, int64_t *out)
{
    char *end;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || number < min || number > max)
        return diag_fail(&session->diag, ERR_INVALID,
                         "%s takes a whole number from %" PRId64 " to %" PRId64 ", not %s", option,
                         min, max, text);
    *out = number;
    return ERR_NONE;
}

struct err session_format(struct session *session, const char *text)
{
    bool is_json = strcmp(text, "json") == 0;
    if (!is_json && strcmp(text, "table") != 0)
        return diag_fail(&session->diag, ERR_INVALID, "--format is table or json, not %s", text);
    session->format = is_json ? OUTPUT_JSON : OUTPUT_TABLE;
    return ERR_NONE;
}

static bool is_colored(void)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(STDERR_FILENO) == 1 && (no_color == NULL || no_color[0] == '\0');
}

void session_complain(const char *format, ...)
{
    bool colored = is_colored();
    (void)fputs(colored ? "\033[31mheadrace:\033[0m " : "headrace: ", stderr);
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

void session_note(const char *format, ...)
{
    if (isatty(STDERR_FILENO) != 1)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

enum exit_code session_report(struct err err, const struct diag *diag)
{
    if (!err_failed(err))
        return EXIT_DONE;
    session_complain("%s", diag->text[0] != '\0' ? diag->text : err_text(err));
    if (err_is(err, ERR_CLOSED) || err_is(err, ERR_TIMEOUT))
        return EXIT_UNREACHABLE;
    return err_is(err, ERR_NOT_FOUND) ? EXIT_NOT_FOUND : EXIT_FAILED;
}

struct err session_print(struct session *session)
{
    size_t size = session->out.size;
    if (size == 0)
        return ERR_NONE;
    bool written = fwrite(session->out.data, 1, size, stdout) == size && fflush(stdout) == 0;
    buf_clear(&session->out);
    if (!written)
        return diag_fail(&session->diag, ERR_IO, "standard output takes nothing more");
    return ERR_NONE;
}

/* Secrets in argv are seen by everybody on the machine. */
static bool is_secret(const char *name)
{
    return strstr(name, "password") != NULL || strstr(name, "secret") != NULL ||
           strstr(name, ".pem") != NULL || strcmp(name, "sasl.jaas.config") == 0;
}

static struct err take_flag(struct session *session, const char *text)
{
    struct client_property flag;
    TRY(session_pair(session, "-X", text, &flag));
    if (is_secret(flag.name))
        return diag_fail(&session->diag, ERR_INVALID,
                         "%s is a secret: put it into a profile or the environment", flag.name);
    return session_flag(session, flag.name, flag.value);
}

static struct err take_common(struct session *session, int key, char *argument)
{
    int64_t seconds;
    switch (key) {
    case KEY_BOOTSTRAP:
        session->bootstrap = argument;
        return ERR_NONE;
    case KEY_PROFILE:
        session->profile = argument;
        return ERR_NONE;
    case KEY_SET:
        return take_flag(session, argument);
    case KEY_TIMEOUT:
        TRY(session_number(session, "--timeout", argument, 1, 3600, &seconds));
        session->timeout_ms = (int32_t)seconds * 1000;
        return ERR_NONE;
    case KEY_FORMAT:
        return session_format(session, argument);
    default:
        return err_make(ERR_UNSUPPORTED);
    }
}

/* argp's shape of the above: a wrong argument ends the process with a hint at --help. */
static error_t after(struct argp_state *state, struct session *session, struct err err)
{
    if (err_is(err, ERR_UNSUPPORTED))
        return ARGP_ERR_UNKNOWN;
    if (err_failed(err))
        argp_error(state, "%s", session->diag.text[0] != '\0' ? session->diag.text : err_text(err));
    return 0;
}

static error_t parse_common(int key, char *argument, struct argp_state *state)
{
    struct session *session = state->input;
    return after(state, session, take_common(session, key, argument));
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct session *session = state->input;
    const struct command *command = session->command;
    switch (key) {
    case ARGP_KEY_INIT:
        if (!command->is_offline)
            state->child_inputs[0] = session;
        return 0;
    case ARGP_KEY_ARGS:
        session->words = state->argv + state->next;
        session->word_count = (size_t)(state->argc - state->next);
        return 0;
    case ARGP_KEY_END:
        if (session->word_count < command->word_count_min)
            argp_error(state, "missing %s", command->arguments);
        if (session->word_count > command->word_count_max)
            argp_error(state, "unexpected %s", session->words[command->word_count_max]);
        return 0;
    default:
        if (key < ' ' || key >= ARGP_KEY_ARGS || command->option == NULL)
            return ARGP_ERR_UNKNOWN;
        return after(state, session, command->option(session, key, argument));
    }
}

/* Adds HEADRACE_CLIENT_A_B=value as a.b. */
static struct err take_environment(struct session *session)
{
    for (char **entry = environ; *entry != NULL; entry++) {
        const char *text = *entry;
        size_t prefix = strlen(ENVIRONMENT_PREFIX);
        const char *equals = strchr(text, '=');
        if (equals == NULL || strncmp(text, ENVIRONMENT_PREFIX, prefix) != 0)
            continue;
        size_t size = (size_t)(equals - text) - prefix;
        char *name = arena_copy_text(&session->arena, span_make(text + prefix, size));
        if (name == NULL)
            return err_make(ERR_NO_MEMORY);
        for (char *at = name; *at != '\0'; at++)
            if (*at == '_')
                *at = '.';
            else if (*at >= 'A' && *at <= 'Z')
                *at = (char)(*at - 'A' + 'a');
        TRY(session_set(session, name, equals + 1));
    }
    const char *bootstrap = getenv("HEADRACE_BOOTSTRAP");
    if (bootstrap != NULL && bootstrap[0] != '\0')
        TRY(session_set(session, "bootstrap.servers", bootstrap));
    return ERR_NONE;
}

static const char *bootstrap_of(const struct session *session)
{
    const char *found = BOOTSTRAP_DEFAULT;
    for (size_t i = 0; i < session->property_count; i++)
        if (strcmp(session->properties[i].name, "bootstrap.servers") == 0)
            found = session->properties[i].value;
    return found;
}

struct err session_connect(struct session *session)
{
    TRY(session_set(session, "bootstrap.servers", BOOTSTRAP_DEFAULT));
    TRY(profile_load(session));
    TRY(take_environment(session));
    for (size_t i = 0; i < session->flag_count; i++)
        TRY(session_set(session, session->flags[i].name, session->flags[i].value));
    if (session->bootstrap != NULL)
        TRY(session_set(session, "bootstrap.servers", session->bootstrap));
    struct client_settings settings = {
        .kind = session->command->kind,
        .properties = session->properties,
        .property_count = session->property_count,
        .timeout_ms = session->timeout_ms,
    };
    return diag_wrap(&session->diag,
                     client_open(&client_kafka, &settings, &session->client, &session->diag), "%s",
                     bootstrap_of(session));
}

static void parse_words(struct session *session, int argc, char **argv)
{
    const struct command *command = session->command;
    const struct argp_child children[] = {
        {&(struct argp){.options = common_options, .parser = parse_common}, 0, NULL, 0}, {0}};
    struct argp argp = {
        .options = command->options,
        .parser = parse,
        .args_doc = command->arguments,
        .doc = arena_print(&session->arena, "%s\v%s", command->summary,
                           command->doc == NULL ? "" : command->doc),
        .children = command->is_offline ? NULL : children,
    };
    char *name = arena_print(&session->arena, "headrace %s", command->words);
    if (name != NULL)
        argv[0] = name;
    argp_err_exit_status = EXIT_USAGE;
    (void)argp_parse(&argp, argc, argv, 0, NULL, session);
}

int command_main(const struct command *command, int argc, char **argv)
{
    CHECK(command->size >= sizeof(struct session));
    struct session *session = calloc(1, command->size);
    if (session == NULL)
        return EXIT_FAILED;
    session->command = command;
    session->timeout_ms = TIMEOUT_DEFAULT_MS;
    arena_init(&session->arena, SESSION_ARENA_SIZE_MAX);
    buf_init(&session->out, SESSION_ARENA_SIZE_MAX);
    parse_words(session, argc, argv);
    struct err err = command->is_offline ? ERR_NONE : session_connect(session);
    if (!err_failed(err))
        err = command->run(session);
    enum exit_code code = session_report(err, &session->diag);
    if (session->code != EXIT_DONE)
        code = session->code;
    client_close(session->client);
    buf_deinit(&session->out);
    arena_deinit(&session->arena);
    free(session);
    return (int)code;
}
