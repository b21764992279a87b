/* completion: `headrace completion`: scripts that let a shell complete commands and options. */
#include "cli/commands.h"

static const char *const common[] = {"bootstrap", "profile", "set", "timeout", "format", "help"};

/* Appends "--a --b" for a command. */
static struct err write_flags(struct buf *out, const struct command *command)
{
    for (const struct argp_option *at = command->options; at != NULL && (at->name || at->key); at++)
        if (at->name != NULL)
            TRY(buf_print(out, "--%s ", at->name));
    for (size_t i = command->is_offline ? 5 : 0; i < sizeof common / sizeof common[0]; i++)
        TRY(buf_print(out, "--%s ", common[i]));
    return ERR_NONE;
}

/* bash's function; zsh runs it too. */
static struct err write_bash(struct buf *out)
{
    TRY(buf_print(out, "_headrace() {\n"
                       "    local word=${COMP_WORDS[COMP_CWORD]} words\n"
                       "    case \"$COMP_CWORD ${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n"));
    for (const struct command *const *at = commands; *at != NULL; at++) {
        TRY(buf_print(out, "    [!%s]*\" %s%s\"*) words=\"",
                      strchr((*at)->words, ' ') == NULL ? "1" : "12", (*at)->words,
                      strchr((*at)->words, ' ') == NULL ? " " : ""));
        TRY(write_flags(out, *at));
        TRY(buf_print(out, "\" ;;\n"));
    }
    TRY(buf_print(out, "    *)\n"
                       "        words=\n"
                       "        if [ \"$COMP_CWORD\" = 1 ]; then\n"
                       "            words=\"serve topic group cluster config produce consume "
                       "completion\"\n"
                       "        fi\n"));
    for (const struct command *const *at = commands; *at != NULL; at++) {
        const char *space = strchr((*at)->words, ' ');
        if (space != NULL)
            TRY(buf_print(out,
                          "        [ \"${COMP_WORDS[1]}\" = %.*s ] && [ \"$COMP_CWORD\" = 2 ] "
                          "&& words=\"$words %s\"\n",
                          (int)(space - (*at)->words), (*at)->words, space + 1));
    }
    return buf_print(out, "        ;;\n"
                          "    esac\n"
                          "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                          "}\n"
                          "complete -o default -F _headrace headrace\n");
}

static struct err write_fish_command(struct buf *out, const struct command *command)
{
    const char *space = strchr(command->words, ' ');
    int size = space == NULL ? (int)strlen(command->words) : (int)(space - command->words);
    TRY(buf_print(out, "complete -c headrace -n __fish_use_subcommand -a %.*s\n", size,
                  command->words));
    if (space != NULL)
        TRY(buf_print(out,
                      "complete -c headrace -n '__fish_seen_subcommand_from %.*s; and test (count "
                      "(commandline -opc)) = 2' -a %s -d '%s'\n",
                      size, command->words, space + 1, command->summary));
    for (const struct argp_option *at = command->options; at != NULL && (at->name || at->key); at++)
        if (at->name != NULL)
            TRY(buf_print(out,
                          "complete -c headrace -n 'string match -q \"headrace %s*\" -- "
                          "(commandline -opc | string join \" \")' -l %s -d '%s'\n",
                          command->words, at->name, at->doc));
    return ERR_NONE;
}

static struct err write_fish(struct buf *out)
{
    TRY(buf_print(out, "complete -c headrace -n __fish_use_subcommand -a serve -f\n"));
    for (const struct command *const *at = commands; *at != NULL; at++)
        TRY(write_fish_command(out, *at));
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
        TRY(buf_print(out, "complete -c headrace -l %s\n", common[i]));
    return ERR_NONE;
}

static struct err run(struct session *session)
{
    const char *shell = session->words[0];
    struct buf *out = &session->out;
    if (strcmp(shell, "bash") == 0) {
        TRY(write_bash(out));
    } else if (strcmp(shell, "zsh") == 0) {
        TRY(buf_print(out, "#compdef headrace\nautoload -Uz bashcompinit && bashcompinit\n"));
        TRY(write_bash(out));
    } else if (strcmp(shell, "fish") == 0) {
        TRY(write_fish(out));
    } else {
        return diag_fail(&session->diag, ERR_INVALID, "completion knows bash, zsh and fish, not %s",
                         shell);
    }
    return session_print(session);
}

const struct command completion_command = {
    .words = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "Print a script that lets the shell complete commands.",
    .doc = "For bash: eval \"$(headrace completion bash)\" in ~/.bashrc.",
    .word_count_min = 1,
    .word_count_max = 1,
    .size = sizeof(struct session),
    .is_offline = true,
    .run = run,
};
