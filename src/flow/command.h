/*
 * command: what operators tell a handler, all of its processes and those that come later.
 *
 * A command is a record in each partition of the handler's parked topic, whose key says what it is
 * about and whose value what is to be; the newest of a key holds, and one without a value takes it
 * back. The topic is compacted, so whoever starts finds it there. A process obeys what it finds in
 * any of its partitions; of two that differ the later one.
 *
 *     !pause      "on"                  nothing is called
 *     !circuit    "open" or "closed"    whatever the calls say
 */
#ifndef HEADRACE_FLOW_COMMAND_H
#define HEADRACE_FLOW_COMMAND_H

#define COMMAND_PAUSE "!pause"
#define COMMAND_PAUSE_ON "on"

#define COMMAND_CIRCUIT "!circuit"
#define COMMAND_CIRCUIT_OPEN "open"
#define COMMAND_CIRCUIT_CLOSED "closed"

#endif
