/* SPDX-License-Identifier: MIT
 *
 * HTTP dates (RFC 9110 section 5.6.7), written and read without the C library's: strptime(3) and
 * strftime(3) follow the locale, and gmtime(3) knows nothing of the two-digit years of RFC 850.
 */
#include "http/date.h"

#include <string.h>

#define DAY_SECONDS 86400

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char *const day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, and back. Years are counted
 * from March, so that the leap day is the last one; 146097 days make 400 years. */
static int64_t days_from_date(int year, int month, int day) {
    int y = month <= 2 ? year - 1 : year;
    int era = (y >= 0 ? y : y - 399) / 400;
    int year_of_era = y - era * 400;
    int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return (int64_t)era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day) {
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int day_of_era = (int)(z - era * 146097);
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int m = (5 * day_of_year + 2) / 153;

    *ret_day = day_of_year - (153 * m + 2) / 5 + 1;
    *ret_month = m < 10 ? m + 3 : m - 9;
    *ret_year = (int)(era * 400) + year_of_era + (*ret_month <= 2);
}

static char *put_digits(char *at, int value, int count) {
    for (int i = count - 1; i >= 0; i--, value /= 10) at[i] = (char)('0' + value % 10);
    return at + count;
}

static char *put_name(char *at, const char *name, char separator) {
    memcpy(at, name, 3);
    at[3] = separator;
    return at + 4;
}

/* By hand: every answer with a file has one, and snprintf(3) takes longer than the rest of the head. */
bool rondo__http_date_format(int64_t seconds, char ret_text[RONDO__DATE_SIZE]) {
    int year, month, day;
    char *at = ret_text;

    if (seconds < 0 || seconds > INT64_C(253402300799)) /* the last second of 9999 */
        return false;
    int64_t days = seconds / DAY_SECONDS;
    int second = (int)(seconds % DAY_SECONDS);
    date_from_days(days, &year, &month, &day);
    at = put_name(at, day_names[(days + 4) % 7], ',');
    *at++ = ' ';
    at = put_digits(at, day, 2);
    *at++ = ' ';
    at = put_name(at, month_names + (ptrdiff_t)(month - 1) * 3, ' ');
    at = put_digits(at, year, 4);
    *at++ = ' ';
    at = put_digits(at, second / 3600, 2);
    *at++ = ':';
    at = put_digits(at, second / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, second % 60, 2);
    memcpy(at, " GMT", 5);
    return true;
}

/* What is left to read. A step that fails sets bad, and the steps after it do nothing. */
typedef struct reader {
    const char *at, *end;
    bool bad;
} reader;

static void read_text(reader *in, const char *text) {
    size_t len = strlen(text);

    if (in->bad || (size_t)(in->end - in->at) < len || memcmp(in->at, text, len) != 0)
        in->bad = true;
    else
        in->at += len;
}

static int read_digits(reader *in, int count) {
    int value = 0;

    for (; count > 0 && !in->bad; count--) {
        if (in->at == in->end || *in->at < '0' || *in->at > '9')
            in->bad = true;
        else
            value = value * 10 + (*in->at++ - '0');
    }
    return value;
}

static int read_month(reader *in) {
    for (int month = 0; month < 12 && in->end - in->at >= 3; month++) {
        if (memcmp(in->at, month_names + (ptrdiff_t)month * 3, 3) == 0) {
            in->at += 3;
            return month + 1;
        }
    }
    in->bad = true;
    return 0;
}

/* A name of a day; whether it is the right one for the date is not looked at. */
static void read_day_name(reader *in, bool whole) {
    for (int i = 0; i < 7; i++) {
        size_t len = whole ? strlen(day_names[i]) : 3;
        if ((size_t)(in->end - in->at) >= len && memcmp(in->at, day_names[i], len) == 0) {
            in->at += len;
            return;
        }
    }
    in->bad = true;
}

static int read_time(reader *in) {
    int hour = read_digits(in, 2);
    read_text(in, ":");
    int minute = read_digits(in, 2);
    read_text(in, ":");
    int second = read_digits(in, 2);

    if (hour > 23 || minute > 59 || second > 60) /* 60: a leap second */
        in->bad = true;
    return hour * 3600 + minute * 60 + second;
}

/* asctime-date: "Sun Nov  6 08:49:37 1994" */
static void read_asctime(reader *in, int *year, int *month, int *day, int *time) {
    read_day_name(in, false);
    read_text(in, " ");
    *month = read_month(in);
    read_text(in, " ");
    if (in->at < in->end && *in->at == ' ') {
        in->at++;
        *day = read_digits(in, 1);
    } else {
        *day = read_digits(in, 2);
    }
    read_text(in, " ");
    *time = read_time(in);
    read_text(in, " ");
    *year = read_digits(in, 4);
}

/* IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT"; with `separator` "-" and a two-digit year the form
 * of RFC 850: "Sunday, 06-Nov-94 08:49:37 GMT". */
static void read_fixdate(reader *in, bool rfc850, int *year, int *month, int *day, int *time) {
    const char *separator = rfc850 ? "-" : " ";

    read_day_name(in, rfc850);
    read_text(in, ", ");
    *day = read_digits(in, 2);
    read_text(in, separator);
    *month = read_month(in);
    read_text(in, separator);
    *year = read_digits(in, rfc850 ? 2 : 4);
    read_text(in, " ");
    *time = read_time(in);
    read_text(in, " GMT");
}

/* A year of two digits is in this century, unless that is more than 50 years ahead. */
static int whole_year(int two_digits, int64_t now) {
    int year, month, day;

    date_from_days(now / DAY_SECONDS, &year, &month, &day);
    int guess = year / 100 * 100 + two_digits;
    return guess > year + 50 ? guess - 100 : guess;
}

static bool day_exists(int year, int month, int day) {
    static const char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return day >= 1 && day <= lengths[month - 1] + (month == 2 && leap);
}

bool rondo__http_date_parse(rondo_slice text, int64_t now, int64_t *ret_seconds) {
    reader in = {text.data, text.data + text.len, false};
    int year = 0, month = 0, day = 0, time = 0;
    const char *comma = text.len > 0 ? memchr(text.data, ',', text.len) : NULL;

    if (comma == NULL) {
        read_asctime(&in, &year, &month, &day, &time);
    } else {
        bool rfc850 = comma - text.data > 3;
        read_fixdate(&in, rfc850, &year, &month, &day, &time);
        if (rfc850) year = whole_year(year, now);
    }
    if (in.bad || in.at != in.end || !day_exists(year, month, day)) return false;
    *ret_seconds = days_from_date(year, month, day) * DAY_SECONDS + time;
    return true;
}
