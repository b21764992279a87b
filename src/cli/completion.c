/*
 * completion: `headrace completion`: scripts that let a shell complete commands and options.
 *
 * bash and zsh share a case statement over the words before the cursor, a blank behind each, which
 * finds the words that may follow; where none fits, both complete names of files.
 */
#include "cli/commands.h"

static const char *const common[] = {"bootstrap", "profile", "set", "timeout", "format", "help"};

#define COMMON_COUNT (sizeof common / sizeof common[0])

/* The first of the common options that a command without a client knows: help alone. */
static size_t common_begin(const struct command *command)
{
    return command->is_offline ? COMMON_COUNT - 1 : 0;
}

/* Whether argp's option has a long name; the array ends where one has neither name nor key. */
static bool option_is_last(const struct argp_option *option)
{
    return option == NULL || (option->name == NULL && option->key == 0);
}

static int first_word_size(const struct command *command)
{
    return (int)strcspn(command->words, " ");
}

/* The second word, or NULL where one word is the whole command. */
static const char *second_word(const struct command *command)
{
    const char *space = strchr(command->words, ' ');
    return space == NULL ? NULL : space + 1;
}

static bool is_same_group(const struct command *a, const struct command *b)
{
    int size = first_word_size(a);
    return size == first_word_size(b) && memcmp(a->words, b->words, (size_t)size) == 0;
}

/* Whether no command before this one begins with the same word. */
static bool is_group_begin(const struct command *const *at)
{
    for (const struct command *const *before = commands; before != at; before++) {
        if (is_same_group(*before, *at))
            return false;
    }
    return true;
}

/* The case of a command: its options, from the word behind its own on. */
static struct err write_options_case(struct buf *out, const struct command *command)
{
    TRY(buf_print(out, "    \"%s \"*) found=\"", command->words));
    for (const struct argp_option *at = command->options; !option_is_last(at); at++) {
        if (at->name != NULL)
            TRY(buf_print(out, "--%s ", at->name));
    }
    for (size_t i = common_begin(command); i < COMMON_COUNT; i++)
        TRY(buf_print(out, "--%s ", common[i]));
    return buf_print(out, "\" ;;\n");
}

/* The case of a group: the second words of its commands. */
static struct err write_group_case(struct buf *out, const struct command *group)
{
    TRY(buf_print(out, "    \"%.*s \") found=\"", first_word_size(group), group->words));
    for (const struct command *const *at = commands; *at != NULL; at++) {
        if (is_same_group(*at, group))
            TRY(buf_print(out, "%s ", second_word(*at)));
    }
    return buf_print(out, "\" ;;\n");
}

static struct err write_cases(struct buf *out)
{
    TRY(buf_print(out, "    \" \") found=\"serve "));
    for (const struct command *const *at = commands; *at != NULL; at++) {
        if (is_group_begin(at))
            TRY(buf_print(out, "%.*s ", first_word_size(*at), (*at)->words));
    }
    TRY(buf_print(out, "\" ;;\n"));
    for (const struct command *const *at = commands; *at != NULL; at++) {
        if (second_word(*at) != NULL && is_group_begin(at))
            TRY(write_group_case(out, *at));
        TRY(write_options_case(out, *at));
    }
    return ERR_NONE;
}

static struct err write_bash(struct buf *out)
{
    TRY(buf_print(out, "_headrace() {\n"
                       "    local found= IFS=$' \\t\\n'\n"
                       "    case \"${COMP_WORDS[*]:1:COMP_CWORD-1} \" in\n"));
    TRY(write_cases(out));
    return buf_print(out,
                     "    esac\n"
                     "    COMPREPLY=($(compgen -W \"$found\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
                     "}\n"
                     "complete -o default -F _headrace headrace\n");
}

/* Works when it is evaluated after compinit, and as a file _headrace in $fpath. */
static struct err write_zsh(struct buf *out)
{
    TRY(buf_print(out, "#compdef headrace\n"
                       "_headrace() {\n"
                       "    local found= IFS=$' \\t\\n'\n"
                       "    case \"${words[2,CURRENT-1]} \" in\n"));
    TRY(write_cases(out));
    return buf_print(out, "    esac\n"
                          "    compadd -- ${=found} || _files\n"
                          "}\n"
                          "if [ \"$funcstack[1]\" = _headrace ]; then\n"
                          "    _headrace\n"
                          "else\n"
                          "    compdef _headrace headrace\n"
                          "fi\n");
}

/* A sentence between single quotes, as fish reads them. */
static struct err write_fish_quoted(struct buf *out, const char *text)
{
    TRY(buf_print(out, "'"));
    for (; *text != '\0'; text++)
        TRY(buf_print(out, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text));
    return buf_print(out, "'");
}

static struct err write_fish_command(struct buf *out, const struct command *command)
{
    if (second_word(command) != NULL) {
        TRY(buf_print(out, "complete -c headrace -n '__headrace_at %.*s' -f -a %s -d ",
                      first_word_size(command), command->words, second_word(command)));
        TRY(write_fish_quoted(out, command->summary));
        TRY(buf_print(out, "\n"));
    }
    for (const struct argp_option *at = command->options; !option_is_last(at); at++) {
        if (at->name == NULL)
            continue;
        TRY(buf_print(out, "complete -c headrace -n '__headrace_in %s' -l %s -d ", command->words,
                      at->name));
        TRY(write_fish_quoted(out, at->doc));
        TRY(buf_print(out, "\n"));
    }
    for (size_t i = common_begin(command); i < COMMON_COUNT; i++)
        TRY(buf_print(out, "complete -c headrace -n '__headrace_in %s' -l %s\n", command->words,
                      common[i]));
    return ERR_NONE;
}

/* __headrace_at: exactly these words stand before the cursor; __headrace_in: at least these. */
static struct err write_fish(struct buf *out)
{
    TRY(buf_print(out, "function __headrace_at\n"
                       "    set -l words (commandline -opc)\n"
                       "    set -e words[1]\n"
                       "    test \"$words\" = \"$argv\"\n"
                       "end\n"
                       "function __headrace_in\n"
                       "    set -l words (commandline -opc)\n"
                       "    set -e words[1]\n"
                       "    string match -q -- \"$argv *\" \"$words \"\n"
                       "end\n"
                       "complete -c headrace -n __headrace_at -f -a serve\n"));
    for (const struct command *const *at = commands; *at != NULL; at++) {
        if (is_group_begin(at))
            TRY(buf_print(out, "complete -c headrace -n __headrace_at -f -a %.*s\n",
                          first_word_size(*at), (*at)->words));
        TRY(write_fish_command(out, *at));
    }
    return ERR_NONE;
}

static struct err run(struct session *session)
{
    static const struct {
        const char *name;
        struct err (*write)(struct buf *out);
    } shells[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(session->words[0], shells[i].name) != 0)
            continue;
        TRY(shells[i].write(&session->out));
        return session_print(session);
    }
    return diag_fail(&session->diag, ERR_INVALID, "completion knows bash, zsh and fish, not %s",
                     session->words[0]);
}

const struct command completion_command = {
    .words = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "Print a script that lets the shell complete commands.",
    .doc = "For bash: eval \"$(headrace completion bash)\" in ~/.bashrc. For zsh the same, behind "
           "compinit, in ~/.zshrc. For fish: headrace completion fish | source, in "
           "~/.config/fish/config.fish.",
    .word_count_min = 1,
    .word_count_max = 1,
    .size = sizeof(struct session),
    .is_offline = true,
    .run = run,
};
