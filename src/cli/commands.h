/*
 * commands: what a subcommand is, and the list of all.
 *
 * A subcommand is a constant description and a run function in a file of its own. main finds it by
 * its words, session.c parses its command line, opens its client and reports its error.
 */
#ifndef HEADRACE_CLI_COMMANDS_H
#define HEADRACE_CLI_COMMANDS_H

#include <argp.h>

#include "cli/session.h"

struct command {
    const char *words;                 /* "topic create" */
    const char *arguments;             /* "TOPIC", for --help */
    const char *summary;               /* one line, for the list of commands */
    const char *doc;                   /* more for --help, or NULL */
    const struct argp_option *options; /* or NULL; session.c adds the common ones */
    size_t word_count_min;             /* of the arguments */
    size_t word_count_max;
    size_t size;           /* of the struct that begins with a struct session */
    enum client_kind kind; /* what client run gets */
    bool is_offline;       /* run gets none */

    /* Takes one of options. ERR_INVALID with a sentence where the argument means nothing. */
    struct err (*option)(struct session *session, int key, char *argument);
    struct err (*run)(struct session *session);
};

/* The commands in the order of --help; NULL ends the list. */
extern const struct command *const commands[];

extern const struct command cluster_health_command;
extern const struct command cluster_info_command;
extern const struct command completion_command;
extern const struct command config_check_command;
extern const struct command config_list_command;
extern const struct command consume_command;
extern const struct command dlq_discard_command;
extern const struct command dlq_edit_command;
extern const struct command dlq_list_command;
extern const struct command dlq_redrive_command;
extern const struct command dlq_show_command;
extern const struct command flow_check_command;
extern const struct command flow_circuit_command;
extern const struct command flow_graph_command;
extern const struct command flow_init_command;
extern const struct command flow_pause_command;
extern const struct command flow_resume_command;
extern const struct command flow_run_command;
extern const struct command flow_schema_command;
extern const struct command flow_status_command;
extern const struct command group_delete_command;
extern const struct command group_describe_command;
extern const struct command group_list_command;
extern const struct command group_reset_command;
extern const struct command produce_command;
extern const struct command topic_add_partitions_command;
extern const struct command topic_config_command;
extern const struct command topic_create_command;
extern const struct command topic_delete_command;
extern const struct command topic_describe_command;
extern const struct command topic_list_command;

/* Runs a subcommand; argv[0] is its last word. Returns the exit code. */
int command_main(const struct command *command, int argc, char **argv);

/* `headrace serve`, which is no client and has a command line of its own. */
int serve_main(int argc, char **argv);

#endif
