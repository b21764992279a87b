/* ending: signals as something to wait for. */
#include "cli/ending.h"

#include <signal.h>

static void fill(sigset_t *signals)
{
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGINT);
}

void ending_prepare(void)
{
    sigset_t signals;
    fill(&signals);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

void ending_wait(void)
{
    sigset_t signals;
    int number = 0;
    fill(&signals);
    while (number != SIGTERM && number != SIGINT)
        (void)sigwait(&signals, &number);
}
