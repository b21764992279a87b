/* main: finds the command by its words. */
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "cli/commands.h"

#define VERSION "0.1.0"

const struct command *const commands[] = {
    &topic_create_command,
    &topic_list_command,
    &topic_describe_command,
    &topic_config_command,
    &topic_add_partitions_command,
    &topic_delete_command,
    &produce_command,
    &consume_command,
    &group_list_command,
    &group_describe_command,
    &group_reset_command,
    &group_delete_command,
    &cluster_info_command,
    &cluster_health_command,
    &flow_init_command,
    &flow_check_command,
    &flow_graph_command,
    &flow_run_command,
    &flow_status_command,
    &flow_pause_command,
    &flow_resume_command,
    &flow_circuit_command,
    &flow_schema_command,
    &dlq_list_command,
    &dlq_show_command,
    &dlq_edit_command,
    &dlq_redrive_command,
    &dlq_discard_command,
    &config_check_command,
    &config_list_command,
    &completion_command,
    NULL,
};

static void print_commands(FILE *to, const char *noun)
{
    (void)fputs("Usage: headrace COMMAND [OPTION...] [ARGUMENT...]\n\n", to);
    if (noun == NULL)
        (void)fprintf(to, "  %-22s %s\n", "serve", "Run the event log.");
    size_t size = noun == NULL ? 0 : strlen(noun);
    for (const struct command *const *at = commands; *at != NULL; at++)
        if (size == 0 || (strncmp((*at)->words, noun, size) == 0 && (*at)->words[size] == ' '))
            (void)fprintf(to, "  %-22s %s\n", (*at)->words, (*at)->summary);
    (void)fputs("\nheadrace COMMAND --help says more. Clients find the cluster by --bootstrap, "
                "$HEADRACE_BOOTSTRAP\nor a profile; without, at localhost:9092.\n",
                to);
}

/* How many of the first words name the command: 0, 1 or 2. */
static int match(const struct command *command, int argc, char **argv)
{
    const char *space = strchr(command->words, ' ');
    if (space == NULL)
        return strcmp(argv[0], command->words) == 0;
    struct span noun = span_make(command->words, (size_t)(space - command->words));
    if (argc < 2 || !span_equal_text(noun, argv[0]) || strcmp(argv[1], space + 1) != 0)
        return 0;
    return 2;
}

static bool is_noun(const char *word)
{
    size_t size = strlen(word);
    for (const struct command *const *at = commands; *at != NULL; at++)
        if (strncmp((*at)->words, word, size) == 0 && (*at)->words[size] == ' ')
            return true;
    return false;
}

/* The command, or first word of one, that the words probably meant; NULL: none. */
static const char *guess(struct span wanted)
{
    static const char *const first_words[] = {"serve", "topic", "group", "cluster", "config"};
    struct suggestion near = {0};
    for (const struct command *const *at = commands; *at != NULL; at++)
        suggest_offer(&near, wanted, (*at)->words);
    for (size_t i = 0; i < sizeof first_words / sizeof first_words[0]; i++)
        suggest_offer(&near, wanted, first_words[i]);
    return near.nearest;
}

/* Says what is wrong with the words and what may have been meant. */
static int refuse(int argc, char **argv)
{
    if (argc == 1 && is_noun(argv[0])) {
        print_commands(stderr, argv[0]);
        return EXIT_USAGE;
    }
    char both[SUGGEST_WORD_SIZE_MAX];
    (void)snprintf(both, sizeof both, "%s %s", argv[0], argc > 1 ? argv[1] : "");
    const char *wanted = is_noun(argv[0]) ? both : argv[0];
    const char *meant = guess(span_text(both));
    if (meant == NULL)
        meant = guess(span_text(wanted));
    if (meant != NULL)
        session_complain("there is no command %s; did you mean %s?", wanted, meant);
    else
        session_complain("there is no command %s; headrace --help lists them", wanted);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    argc--;
    argv++;
    if (argc == 0) {
        print_commands(stderr, NULL);
        return EXIT_USAGE;
    }
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "help") == 0) {
        const char *noun = argc > 1 && is_noun(argv[1]) ? argv[1] : NULL;
        print_commands(stdout, noun);
        return EXIT_DONE;
    }
    if (strcmp(argv[0], "--version") == 0) {
        (void)puts("headrace " VERSION);
        return EXIT_DONE;
    }
    if (strcmp(argv[0], "serve") == 0)
        return serve_main(argc, argv);
    for (const struct command *const *at = commands; *at != NULL; at++) {
        int count = match(*at, argc, argv);
        if (count > 0)
            return command_main(*at, argc - count + 1, argv + count - 1);
    }
    if (argc > 1 && strcmp(argv[1], "--help") == 0 && is_noun(argv[0])) {
        print_commands(stdout, argv[0]);
        return EXIT_DONE;
    }
    return refuse(argc, argv);
}
