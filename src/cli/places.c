/* places: reads offsets and times, and asks the cluster what they are. */
#include "cli/places.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/checked.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)

/* Takes the word from the front of *text where it stands there whole. */
static bool take_word(const char **text, const char *word)
{
    size_t size = strlen(word);
    if (strncmp(*text, word, size) != 0 || ((*text)[size] != '\0' && (*text)[size] != ':'))
        return false;
    *text += size;
    return true;
}

/* Takes digits from the front; false where there are none or too many. */
static bool take_number(const char **text, int64_t *out)
{
    int64_t number = 0;
    const char *at = *text;
    for (; isdigit((unsigned char)*at); at++)
        if (!checked_mul_i64(number, 10, &number) || !checked_add_i64(number, *at - '0', &number))
            return false;
    if (at == *text)
        return false;
    *text = at;
    *out = number;
    return true;
}

/* Takes exactly count digits whose number lies within the bounds. */
static bool take_field(const char **text, int count, int64_t min, int64_t max, int64_t *out)
{
    int64_t number = 0;
    for (int i = 0; i < count; i++) {
        if (!isdigit((unsigned char)(*text)[i]))
            return false;
        number = number * 10 + (*text)[i] - '0';
    }
    if (number < min || number > max)
        return false;
    *text += count;
    *out = number;
    return true;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, days_from_civil). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static bool take_date(const char **text, int64_t *out)
{
    const char *at = *text;
    int64_t year;
    int64_t month;
    int64_t day;
    if (!take_field(&at, 4, 1970, 9999, &year) || *at++ != '-' ||
        !take_field(&at, 2, 1, 12, &month) || *at++ != '-' || !take_field(&at, 2, 1, 31, &day))
        return false;
    int64_t next = month == 12 ? days_of(year + 1, 1, 1) : days_of(year, month + 1, 1);
    if (days_of(year, month, day) >= next)
        return false;
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    if (*at == 'T') {
        at++;
        if (!take_field(&at, 2, 0, 23, &hour) || *at++ != ':' ||
            !take_field(&at, 2, 0, 59, &minute))
            return false;
        if (at[0] == ':' && isdigit((unsigned char)at[1]) && isdigit((unsigned char)at[2])) {
            at++;
            if (!take_field(&at, 2, 0, 59, &second))
                return false;
        }
    }
    at += *at == 'Z';
    *text = at;
    *out = days_of(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000;
    return true;
}

static bool take_duration(const char **text, int64_t *out)
{
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {
        {'s', 1000}, {'m', 60 * 1000}, {'h', 3600 * 1000}, {'d', DAY_MS}, {'w', 7 * DAY_MS}};
    int64_t number;
    if (!take_number(text, &number))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (**text == units[i].letter) {
            (*text)++;
            return checked_mul_i64(number, units[i].ms, out);
        }
    return false;
}

static bool take_time(const char **text, int64_t now_ms, int64_t *out)
{
    if (**text == '-') {
        (*text)++;
        int64_t ago;
        if (!take_duration(text, &ago))
            return false;
        *out = ago > now_ms ? 0 : now_ms - ago;
        return true;
    }
    return take_date(text, out) || take_number(text, out);
}

static bool take_place(const char **text, int64_t now_ms, struct place *out)
{
    *out = (struct place){.kind = PLACE_EARLIEST};
    if (take_word(text, "earliest") || take_word(text, "beginning"))
        return true;
    out->kind = PLACE_LATEST;
    if (take_word(text, "latest") || take_word(text, "end"))
        return true;
    if (**text == '@') {
        (*text)++;
        out->kind = PLACE_TIME;
        return take_time(text, now_ms, &out->value);
    }
    out->kind = PLACE_OFFSET;
    if (**text == '-') {
        (*text)++;
        out->kind = PLACE_BACK;
    }
    return take_number(text, &out->value);
}

static struct err refuse(const char *text, struct diag *diag)
{
    return diag_fail(diag, ERR_INVALID,
                     "%s is no offset: earliest, latest, end, 42, -10, @2024-05-01T12:30, @-1h, "
                     "or two of these with : between",
                     text);
}

struct err place_parse(const char *text, int64_t now_ms, struct place *out, struct diag *diag)
{
    const char *rest = text;
    struct place place;
    if (!take_place(&rest, now_ms, &place) || *rest != '\0')
        return refuse(text, diag);
    *out = place;
    return ERR_NONE;
}

struct err range_parse(const char *text, int64_t now_ms, struct range *out, struct diag *diag)
{
    const char *rest = text;
    struct range range = {.from = {.kind = PLACE_EARLIEST}};
    if (*rest != ':' && !take_place(&rest, now_ms, &range.from))
        return refuse(text, diag);
    if (*rest == ':') {
        rest++;
        range.has_to = true;
        if (!take_place(&rest, now_ms, &range.to))
            return refuse(text, diag);
    }
    if (*rest != '\0')
        return refuse(text, diag);
    *out = range;
    return ERR_NONE;
}

struct err places_find(struct session *session, const struct client_topic *topic, int64_t asked,
                       struct client_offset **out)
{
    struct client_offset *offsets =
        arena_alloc_array(&session->arena, topic->partition_count, sizeof *offsets);
    if (offsets == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < topic->partition_count; i++)
        offsets[i] = (struct client_offset){
            .topic = topic->name, .partition = topic->partitions[i].id, .offset = asked};
    TRY(client_offsets_find(session->client, offsets, topic->partition_count, &session->diag));
    *out = offsets;
    return ERR_NONE;
}

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
    if (value < min)
        return min;
    return value > max ? max : value;
}

struct err places_resolve(struct session *session, const struct client_topic *topic,
                          const struct place *place, struct client_offset **out)
{
    if (place->kind == PLACE_EARLIEST)
        return places_find(session, topic, CLIENT_OFFSET_EARLIEST, out);
    struct client_offset *latest;
    TRY(places_find(session, topic, CLIENT_OFFSET_LATEST, &latest));
    if (place->kind == PLACE_LATEST) {
        *out = latest;
        return ERR_NONE;
    }
    struct client_offset *earliest;
    TRY(places_find(session, topic, CLIENT_OFFSET_EARLIEST, &earliest));
    struct client_offset *found = earliest;
    if (place->kind == PLACE_TIME)
        TRY(places_find(session, topic, place->value, &found));
    for (size_t i = 0; i < topic->partition_count; i++) {
        int64_t wanted = place->value;
        if (place->kind == PLACE_BACK)
            wanted = latest[i].offset - place->value;
        else if (place->kind == PLACE_TIME)
            wanted = found[i].offset < 0 ? latest[i].offset : found[i].offset;
        found[i].offset = clamp(wanted, earliest[i].offset, latest[i].offset);
    }
    *out = found;
    return ERR_NONE;
}
