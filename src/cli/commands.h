/* commands: the subcommands; each is given its own words and returns the process's exit code. */
#ifndef HEADRACE_CLI_COMMANDS_H
#define HEADRACE_CLI_COMMANDS_H

int serve_main(int argc, char **argv);

#endif
