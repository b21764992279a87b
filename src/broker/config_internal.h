/* config_internal: the tables behind config. */
#ifndef HEADRACE_BROKER_CONFIG_INTERNAL_H
#define HEADRACE_BROKER_CONFIG_INTERNAL_H

#include "broker/config.h"

/* A property of Kafka that means nothing on one machine, and why. */
struct config_known {
    const char *name; /* a trailing "*" stands for any ending */
    const char *why;
};

/* The main name of a property outranks its aliases, but log.dirs outranks log.dir as in Kafka. */
#define CONFIG_RANK_MAIN 2

extern const struct config_def config_defs[CONFIG_ID_COUNT];
extern const struct config_alias config_aliases[];
extern const size_t config_alias_count;
extern const struct config_known config_known[];
extern const size_t config_known_count;

#endif
