/* json_shim: see the header. No exception leaves this file, as simdjson is used without. */
#include "base/json_shim.h"

#include <cstring>
#include <new>

#include <simdjson.h>

namespace
{

using simdjson::ondemand::json_type;
using simdjson::ondemand::value;

/* Deeper documents are refused: walking them needs stack. */
constexpr int depth_max = 200;

using visitor = int (*)(void *, const json_shim_item *);

/* Whether the letter is one of these; strchr would find NUL in any. */
bool is_one_of(char letter, const char *letters)
{
    return letter != '\0' && std::strchr(letters, letter) != nullptr;
}

/* A number as RFC 8259 writes it; simdjson refuses those beyond 64 bits, which are right, too. */
bool is_number(std::string_view token)
{
    while (!token.empty() && is_one_of(token.back(), " \t\r\n"))
        token.remove_suffix(1);
    std::size_t at = 0;
    auto digits = [&] {
        std::size_t start = at;
        while (at < token.size() && token[at] >= '0' && token[at] <= '9')
            at++;
        return at - start;
    };
    auto is_at = [&](const char *characters) {
        return at < token.size() && is_one_of(token[at], characters);
    };
    at += is_at("-") ? 1U : 0U;
    bool is_zero = is_at("0");
    std::size_t whole = digits();
    if (whole == 0 || (is_zero && whole > 1))
        return false;
    if (is_at(".")) {
        at++;
        if (digits() == 0)
            return false;
    }
    if (is_at("eE")) {
        at++;
        at += is_at("+-") ? 1U : 0U;
        if (digits() == 0)
            return false;
    }
    return at == token.size();
}

bool is_valid(value item, int depth);

bool is_valid_object(value item, int depth)
{
    simdjson::ondemand::object object;
    if (item.get_object().get(object) != simdjson::SUCCESS)
        return false;
    for (auto field : object) {
        std::string_view name;
        value inner;
        if (field.unescaped_key().get(name) != simdjson::SUCCESS ||
            field.value().get(inner) != simdjson::SUCCESS || !is_valid(inner, depth))
            return false;
    }
    return true;
}

bool is_valid_array(value item, int depth)
{
    simdjson::ondemand::array array;
    if (item.get_array().get(array) != simdjson::SUCCESS)
        return false;
    for (auto element : array) {
        value inner;
        if (element.get(inner) != simdjson::SUCCESS || !is_valid(inner, depth))
            return false;
    }
    return true;
}

bool is_valid(value item, int depth)
{
    json_type type;
    std::string_view text;
    bool flag;
    if (depth > depth_max || item.type().get(type) != simdjson::SUCCESS)
        return false;
    switch (type) {
    case json_type::object:
        return is_valid_object(item, depth + 1);
    case json_type::array:
        return is_valid_array(item, depth + 1);
    case json_type::string:
        return item.get_string().get(text) == simdjson::SUCCESS;
    case json_type::number:
        return is_number(item.raw_json_token());
    case json_type::boolean:
        return item.get_bool().get(flag) == simdjson::SUCCESS;
    case json_type::null:
        return item.is_null().get(flag) == simdjson::SUCCESS && flag;
    }
    return false;
}

json_shim_kind kind_of(json_type type)
{
    switch (type) {
    case json_type::object:
        return JSON_SHIM_OBJECT;
    case json_type::array:
        return JSON_SHIM_ARRAY;
    case json_type::string:
        return JSON_SHIM_TEXT;
    case json_type::number:
        return JSON_SHIM_NUMBER;
    case json_type::boolean:
        return JSON_SHIM_BOOL;
    case json_type::null:
        break;
    }
    return JSON_SHIM_NULL;
}

std::string_view without_space(std::string_view token)
{
    while (!token.empty() && is_one_of(token.back(), " \t\r\n"))
        token.remove_suffix(1);
    return token;
}

/* Shows one item, known to be valid. */
int show(value item, std::string_view name, visitor visit, void *context)
{
    json_type type = item.type().value_unsafe();
    std::string_view text;
    if (type == json_type::string)
        text = item.get_string().value_unsafe();
    else if (type == json_type::object)
        text = item.get_object().value_unsafe().raw_json().value_unsafe();
    else if (type == json_type::array)
        text = item.get_array().value_unsafe().raw_json().value_unsafe();
    else
        text = without_space(item.raw_json_token());
    json_shim_item shown = {name.data(), name.size(), kind_of(type), text.data(), text.size()};
    return visit(context, &shown);
}

int show_object(simdjson::ondemand::document &document, visitor visit, void *context)
{
    simdjson::ondemand::object object = document.get_object().value_unsafe();
    for (auto field : object) {
        std::string_view name = field.unescaped_key().value_unsafe();
        if (show(field.value().value_unsafe(), name, visit, context) != 0)
            return 1;
    }
    return 0;
}

int show_array(simdjson::ondemand::document &document, visitor visit, void *context)
{
    simdjson::ondemand::array array = document.get_array().value_unsafe();
    for (auto element : array) {
        if (show(element.value_unsafe(), std::string_view(), visit, context) != 0)
            return 1;
    }
    return 0;
}

} // namespace

struct json_shim {
    simdjson::ondemand::parser parser;
    char *room = nullptr; /* simdjson reads beyond the end, up to its padding */
    std::size_t room_size = 0;
};

struct json_shim *json_shim_create(void)
{
    return new (std::nothrow) json_shim;
}

void json_shim_destroy(struct json_shim *shim)
{
    if (shim == nullptr)
        return;
    delete[] shim->room;
    delete shim;
}

/* Copies the text to where it is padded. */
static bool take_text(json_shim *shim, const char *text, std::size_t size)
{
    std::size_t needed = size + simdjson::SIMDJSON_PADDING;
    if (needed > shim->room_size) {
        char *room = new (std::nothrow) char[2 * needed];
        if (room == nullptr)
            return false;
        delete[] shim->room;
        shim->room = room;
        shim->room_size = 2 * needed;
    }
    if (size > 0)
        std::memcpy(shim->room, text, size);
    std::memset(shim->room + size, 0, simdjson::SIMDJSON_PADDING);
    return true;
}

enum json_shim_result json_shim_visit(struct json_shim *shim, const char *text, size_t size,
                                      enum json_shim_kind *kind, visitor visit, void *context)
{
    if (!take_text(shim, text, size))
        return JSON_SHIM_NO_MEMORY;
    simdjson::padded_string_view view(shim->room, size, shim->room_size);
    simdjson::ondemand::document document;
    simdjson::error_code code = shim->parser.iterate(view).get(document);
    if (code == simdjson::MEMALLOC)
        return JSON_SHIM_NO_MEMORY;
    json_type type;
    value whole;
    if (code != simdjson::SUCCESS || document.type().get(type) != simdjson::SUCCESS)
        return JSON_SHIM_INVALID;
    *kind = kind_of(type);
    if (*kind != JSON_SHIM_OBJECT && *kind != JSON_SHIM_ARRAY)
        return JSON_SHIM_INVALID;
    const char *location;
    if (document.get_value().get(whole) != simdjson::SUCCESS || !is_valid(whole, 0) ||
        document.current_location().get(location) != simdjson::OUT_OF_BOUNDS)
        return JSON_SHIM_INVALID;
    document.rewind();
    int stopped = *kind == JSON_SHIM_OBJECT ? show_object(document, visit, context)
                                            : show_array(document, visit, context);
    return stopped != 0 ? JSON_SHIM_STOPPED : JSON_SHIM_FINE;
}
