/* Reads and writes the lines of the contract; see wire.h. */
#include "wire.h"

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

json_t *wire_read(void)
{
    static char *line;
    static size_t capacity;
    ssize_t size = getline(&line, &capacity, stdin);
    if (size < 0) {
        return NULL;
    }
    json_error_t error;
    json_t *command = json_loadb(line, (size_t)size, 0, &error);
    if (!command) {
        fprintf(stderr, "bad command: %s\n", error.text);
        exit(1);
    }
    return command;
}

bool wire_waiting(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&in, 1, 0) > 0;
}

void wire_send(json_t *line)
{
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

static uint32_t digit(char c)
{
    const char *at = strchr(alphabet, c);
    return at && c ? (uint32_t)(at - alphabet) : 0;
}

struct bytes wire_decode(const json_t *text)
{
    if (!json_is_string(text)) {
        return (struct bytes){NULL, 0};
    }
    const char *in = json_string_value(text);
    size_t length = json_string_length(text);
    unsigned char *out = malloc(length / 4 * 3 + 1);
    size_t size = 0;
    for (size_t i = 0; i + 4 <= length; i += 4) {
        uint32_t word =
            digit(in[i]) << 18 | digit(in[i + 1]) << 12 | digit(in[i + 2]) << 6 | digit(in[i + 3]);
        out[size++] = (unsigned char)(word >> 16);
        out[size++] = (unsigned char)(word >> 8);
        out[size++] = (unsigned char)word;
    }
    while (length && in[--length] == '=') {
        size--;
    }
    return (struct bytes){out, size};
}

json_t *wire_encode(const void *data, size_t size)
{
    if (!data) {
        return json_null();
    }
    const unsigned char *in = data;
    char *out = malloc(size / 3 * 4 + 5);
    size_t length = 0;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t word = (uint32_t)in[i] << 16;
        word |= i + 1 < size ? (uint32_t)in[i + 1] << 8 : 0;
        word |= i + 2 < size ? in[i + 2] : 0;
        out[length++] = alphabet[word >> 18];
        out[length++] = alphabet[word >> 12 & 63];
        out[length++] = i + 1 < size ? alphabet[word >> 6 & 63] : '=';
        out[length++] = i + 2 < size ? alphabet[word & 63] : '=';
    }
    json_t *text = json_stringn(out, length);
    free(out);
    return text;
}

const char *wire_text(const json_t *command, const char *name)
{
    const char *text = json_string_value(json_object_get(command, name));
    return text ? text : "";
}
