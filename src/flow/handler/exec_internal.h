/* exec_internal: what the files of the exec caller share. */
#ifndef HEADRACE_FLOW_HANDLER_EXEC_INTERNAL_H
#define HEADRACE_FLOW_HANDLER_EXEC_INTERNAL_H

#include "base/buf.h"
#include "flow/handler/exec.h"
#include "os/os_process.h"

/* An event or an answer being written and read. */
#define EXEC_ARENA_SIZE_MAX ((size_t)512 * 1024 * 1024)

/* A call, with its line. */
struct exec_call {
    struct list link; /* waiting, sent, or lost */
    struct call *call;
    struct buf line;
    struct span id;  /* of its event; the call's own */
    size_t written;  /* bytes of the line that the child has */
    bool is_suspect; /* it was sent to a child that died */
};

struct exec_caller {
    struct caller caller; /* first: the vtable's functions get a pointer to it */
    uint32_t magic;
    const struct flow_handler *handler;
    const struct os_clock *clock;
    const struct flow_log *log;
    struct os_process child;
    bool is_running;
    uint32_t death_count;  /* of children without an answer, in a row */
    int64_t restart_ms;    /* the pause after the next such death */
    int64_t not_before_ms; /* the next start */
    struct list waiting;   /* for the child to take them */
    struct list sent;
    struct list lost;                /* nobody is there for them: to be answered so */
    struct exec_call *crashed;       /* died of alone: to be answered so */
    char crash[OS_PROCESS_END_SIZE]; /* how */
    char fault[ANSWER_FAULT_SIZE];
    struct buf output; /* its lines that are not looked at yet */
    struct buf errors;
    struct json_reader *json;
    struct arena arena; /* of the last answer */
};

/* Reads an answer's line. False: it is none, and was complained of. */
bool exec_read_answer(struct exec_caller *exec, struct span line, struct answer *answer);

void exec_free_call(struct exec_call *call);

#endif
