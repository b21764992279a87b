/* os_real_process: Linux's posix_spawn and pipes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "os/os_process.h"

/* The two ends of a pipe. */
struct ends {
    int read;
    int write;
};

static struct err open_pipe(struct ends *ends)
{
    int both[2];
    if (pipe2(both, O_CLOEXEC) != 0)
        return err_from_errno(errno);
    *ends = (struct ends){both[0], both[1]};
    return ERR_NONE;
}

static void close_end(int *descriptor)
{
    if (*descriptor >= 0)
        (void)close(*descriptor);
    *descriptor = -1;
}

static void close_ends(struct ends *ends)
{
    close_end(&ends->read);
    close_end(&ends->write);
}

/* Starts the shell with the given standard descriptors. */
static int spawn(const char *command, int in, int out, int err, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t ours;
    char shell[] = "/bin/sh";
    char option[] = "-c";
    char *words = strdup(command);
    char *arguments[] = {shell, option, words, NULL};
    if (words == NULL)
        return ENOMEM;
    (void)sigemptyset(&none);
    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGPIPE);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &ours);
    int number = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (number == 0)
        number = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (number == 0)
        number = posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    if (number == 0)
        number = posix_spawn(pid, shell, &actions, &attributes, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    free(words);
    return number;
}

static struct err start(const char *command, struct ends *in, struct ends *out, struct ends *err,
                        struct os_process *process)
{
    pid_t pid;
    TRY(open_pipe(in));
    TRY(open_pipe(out));
    TRY(open_pipe(err));
    if (fcntl(in->write, F_SETFL, O_NONBLOCK) != 0 || fcntl(out->read, F_SETFL, O_NONBLOCK) != 0 ||
        fcntl(err->read, F_SETFL, O_NONBLOCK) != 0)
        return err_from_errno(errno);
    int number = spawn(command, in->read, out->write, err->write, &pid);
    if (number != 0)
        return err_make(number == ENOMEM ? ERR_NO_MEMORY : ERR_LIMIT);
    *process = (struct os_process){.pid = pid, .in = in->write, .out = out->read, .err = err->read};
    in->write = -1;
    out->read = -1;
    err->read = -1;
    return ERR_NONE;
}

struct err os_process_start(const char *command, struct os_process *process)
{
    struct ends in = {-1, -1};
    struct ends out = {-1, -1};
    struct ends err = {-1, -1};
    struct err result = start(command, &in, &out, &err, process);
    close_ends(&in);
    close_ends(&out);
    close_ends(&err);
    return result;
}

struct err os_process_write(struct os_process *process, struct span bytes, size_t *done)
{
    if (process->in < 0)
        return err_make(ERR_CLOSED);
    ssize_t count = write(process->in, bytes.data, bytes.size);
    if (count >= 0) {
        *done = (size_t)count;
        return ERR_NONE;
    }
    return err_make(errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_CLOSED);
}

struct err os_process_read(int descriptor, void *bytes, size_t size, size_t *done)
{
    if (descriptor < 0)
        return err_make(ERR_CLOSED);
    ssize_t count = read(descriptor, bytes, size);
    if (count > 0) {
        *done = (size_t)count;
        return ERR_NONE;
    }
    return err_make(count < 0 && (errno == EAGAIN || errno == EINTR) ? ERR_AGAIN : ERR_CLOSED);
}

void os_process_close_input(struct os_process *process)
{
    close_end(&process->in);
}

void os_process_wait(const struct os_process *process, bool is_writing, int event,
                     int64_t timeout_ms)
{
    struct pollfd waits[4] = {{.fd = event, .events = POLLIN}};
    nfds_t count = 1;
    if (process != NULL) {
        waits[count++] = (struct pollfd){.fd = process->out, .events = POLLIN};
        waits[count++] = (struct pollfd){.fd = process->err, .events = POLLIN};
        if (is_writing)
            waits[count++] = (struct pollfd){.fd = process->in, .events = POLLOUT};
    }
    int limited_ms = timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms;
    (void)poll(waits, count, limited_ms); /* whatever it says, everything is looked at */
}

void os_process_end(struct os_process *process, char words[OS_PROCESS_END_SIZE])
{
    int status = 0;
    close_end(&process->in);
    close_end(&process->out);
    close_end(&process->err);
    (void)kill(-process->pid, SIGKILL); /* one that has ended is not bothered by it */
    pid_t ended;
    do
        ended = waitpid(process->pid, &status, 0);
    while (ended < 0 && errno == EINTR);
    CHECK(ended == process->pid);
    if (WIFSIGNALED(status))
        (void)snprintf(words, OS_PROCESS_END_SIZE, "signal %d", WTERMSIG(status));
    else
        (void)snprintf(words, OS_PROCESS_END_SIZE, "exit code %d", WEXITSTATUS(status));
}
