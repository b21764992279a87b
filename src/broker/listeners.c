/* listeners: parsing, and matching what is advertised to what is listened on. */
#include "broker/listeners.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

bool listener_is_wildcard(const char *host)
{
    return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static struct err parse_port(struct span text, uint16_t *port, struct diag *diag)
{
    uint32_t value = 0;
    bool is_number = text.size != 0 && text.size <= 5;
    for (size_t i = 0; i < text.size && is_number; i++) {
        is_number = text.data[i] >= '0' && text.data[i] <= '9';
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (!is_number || value > UINT16_MAX)
        return diag_fail(diag, ERR_INVALID, "port \"%.*s\" is not between 0 and 65535",
                         SPAN_ARGS(text));
    *port = (uint16_t)value;
    return ERR_NONE;
}

struct err listener_parse_address(struct span text, char host[LISTENER_HOST_SIZE], uint16_t *port,
                                  struct diag *diag)
{
    const uint8_t *colon = text.size == 0 ? NULL : memrchr(text.data, ':', text.size);
    if (colon == NULL)
        return diag_fail(diag, ERR_INVALID, "\"%.*s\" is not HOST:PORT", SPAN_ARGS(text));
    struct span name = span_make(text.data, (size_t)(colon - text.data));
    struct span number = span_make(colon + 1, text.size - name.size - 1);
    if (name.size >= 2 && name.data[0] == '[' && name.data[name.size - 1] == ']')
        name = span_make(name.data + 1, name.size - 2);
    else if (name.size != 0 && memchr(name.data, ':', name.size) != NULL)
        return diag_fail(diag, ERR_INVALID, "an IPv6 address is written [%.*s]:PORT",
                         SPAN_ARGS(name));
    if (name.size >= LISTENER_HOST_SIZE)
        return diag_fail(diag, ERR_INVALID, "host names have at most %d characters",
                         LISTENER_HOST_SIZE - 1);
    TRY(parse_port(number, port, diag));
    memcpy(host, name.data, name.size);
    host[name.size] = '\0';
    return ERR_NONE;
}

/* Splits the next comma-separated word off rest; false at the end. */
static bool next_word(struct span *rest, struct span *word)
{
    while (rest->size != 0 && (rest->data[0] == ',' || rest->data[0] == ' '))
        *rest = span_make(rest->data + 1, rest->size - 1);
    if (rest->size == 0)
        return false;
    const uint8_t *comma = memchr(rest->data, ',', rest->size);
    size_t size = comma == NULL ? rest->size : (size_t)(comma - rest->data);
    *word = span_make(rest->data, size);
    *rest = span_make(rest->data + size, rest->size - size);
    while (word->size != 0 && word->data[word->size - 1] == ' ')
        word->size--;
    return true;
}

/* Whether a comma-separated list holds the word. */
static bool list_holds(const char *list, const char *wanted)
{
    struct span rest = span_text(list == NULL ? "" : list);
    struct span word;
    while (next_word(&rest, &word)) {
        if (span_equal_text(word, wanted))
            return true;
    }
    return false;
}

/* Splits NAME://HOST:PORT. */
static struct err parse_listener(struct span word, char name[LISTENER_NAME_SIZE],
                                 char host[LISTENER_HOST_SIZE], uint16_t *port, struct diag *diag)
{
    const uint8_t *mark = memmem(word.data, word.size, "://", 3);
    if (mark == NULL)
        return diag_fail(diag, ERR_INVALID, "listener \"%.*s\" is not NAME://HOST:PORT",
                         SPAN_ARGS(word));
    size_t size = (size_t)(mark - word.data);
    if (size == 0 || size >= LISTENER_NAME_SIZE)
        return diag_fail(diag, ERR_INVALID, "listener \"%.*s\" has no name of 1 to %d characters",
                         SPAN_ARGS(word), LISTENER_NAME_SIZE - 1);
    struct span address = span_make(mark + 3, word.size - size - 3);
    TRY(diag_wrap(diag, listener_parse_address(address, host, port, diag), "listener %.*s",
                  SPAN_ARGS(word)));
    memcpy(name, word.data, size);
    name[size] = '\0';
    return ERR_NONE;
}

/* Only PLAINTEXT is served; a map names the protocol of listeners with names of their own. */
static struct err check_protocol(const struct config *config, const char *name, struct diag *diag)
{
    struct span rest = span_text(config_text(config, CONFIG_SECURITY_PROTOCOL_MAP));
    struct span protocol = span_text(name);
    struct span word;
    while (next_word(&rest, &word)) {
        const uint8_t *colon = memchr(word.data, ':', word.size);
        if (colon == NULL)
            continue;
        size_t size = (size_t)(colon - word.data);
        if (span_equal_text(span_make(word.data, size), name))
            protocol = span_make(colon + 1, word.size - size - 1);
    }
    if (!span_equal_text(protocol, "PLAINTEXT"))
        return diag_fail(diag, ERR_INVALID,
                         "listener %s has the protocol %.*s, but only PLAINTEXT is served yet",
                         name, SPAN_ARGS(protocol));
    return ERR_NONE;
}

static struct listener_address *find_name(struct listeners *listeners, const char *name)
{
    for (size_t i = 0; i < listeners->count; i++) {
        if (strcmp(listeners->addresses[i].name, name) == 0)
            return &listeners->addresses[i];
    }
    return NULL;
}

static struct err add_listener(const struct config *config, struct span word,
                               struct listeners *listeners, struct diag *diag)
{
    struct listener_address made = {0};
    TRY(parse_listener(word, made.name, made.host, &made.port, diag));
    if (list_holds(config_text(config, CONFIG_CONTROLLER_LISTENER_NAMES), made.name))
        return ERR_NONE;
    TRY(check_protocol(config, made.name, diag));
    if (find_name(listeners, made.name) != NULL)
        return diag_fail(diag, ERR_INVALID, "two listeners are named %s", made.name);
    if (listeners->count == LISTENER_COUNT_MAX)
        return diag_fail(diag, ERR_INVALID, "more than %d listeners", LISTENER_COUNT_MAX);
    if (!listener_is_wildcard(made.host))
        (void)snprintf(made.advertised_host, sizeof made.advertised_host, "%s", made.host);
    made.advertised_port = made.port;
    listeners->addresses[listeners->count++] = made;
    return ERR_NONE;
}

static struct err add_advertised(const struct config *config, struct span word,
                                 struct listeners *listeners, struct diag *diag)
{
    struct listener_address parsed = {0};
    TRY(parse_listener(word, parsed.name, parsed.host, &parsed.port, diag));
    if (list_holds(config_text(config, CONFIG_CONTROLLER_LISTENER_NAMES), parsed.name))
        return ERR_NONE;
    struct listener_address *address = find_name(listeners, parsed.name);
    if (address == NULL)
        return diag_fail(diag, ERR_INVALID, "advertised listener %s is not among the listeners",
                         parsed.name);
    if (listener_is_wildcard(parsed.host))
        return diag_fail(diag, ERR_INVALID,
                         "advertised listener %s names no host that a client can connect to",
                         parsed.name);
    (void)snprintf(address->advertised_host, sizeof address->advertised_host, "%s", parsed.host);
    address->advertised_port = parsed.port;
    return ERR_NONE;
}

struct err listeners_from_config(const struct config *config, struct listeners *out,
                                 struct diag *diag)
{
    struct listeners listeners = {0};
    struct span rest = span_text(config_text(config, CONFIG_LISTENERS));
    struct span word;
    while (next_word(&rest, &word))
        TRY(add_listener(config, word, &listeners, diag));
    if (listeners.count == 0)
        return diag_fail(diag, ERR_INVALID, "listeners names no listener for clients");
    const char *advertised = config_text(config, CONFIG_ADVERTISED_LISTENERS);
    rest = span_text(advertised == NULL ? "" : advertised);
    while (next_word(&rest, &word))
        TRY(add_advertised(config, word, &listeners, diag));
    for (size_t i = 0; i < listeners.count; i++) {
        const struct listener_address *address = &listeners.addresses[i];
        if (address->advertised_host[0] == '\0')
            return diag_fail(diag, ERR_INVALID,
                             "listener %s is on all addresses, so advertised.listeners must say "
                             "what clients connect to, such as %s://localhost:%u",
                             address->name, address->name, address->port);
    }
    CHECK(listeners.count <= LISTENER_COUNT_MAX);
    *out = listeners;
    return ERR_NONE;
}
