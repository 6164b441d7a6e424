/* SPDX-License-Identifier: MIT
 *
 * rondo compare: text that grows, and how each format wants what comes from outside. Versions, reasons and names may hold any octets:
 * each of the add functions makes of them what is valid and harmless in its format. What is no UTF-8, or no character of a text
 * (controls, the two halves of a surrogate pair), becomes U+FFFD.
 */
#ifndef CMD_COMPARE_REPORT_TEXT_H
#define CMD_COMPARE_REPORT_TEXT_H

#include <rondo.h>

#include <stdbool.h>
#include <stddef.h>

/* Starts as {0}. After an allocation failed `failed` stays set, and nothing is added. */
typedef struct text {
    char *data; /* ends with a 0; NULL while empty */
    size_t len, room;
    bool failed;
} text;

void text_add(text *self, const char *format, ...) RONDO_PRINTF(2, 3);
void text_octets(text *self, const char *data, size_t len);
void text_free(text *self);

/* Content and quoted attributes of HTML and SVG. */
void text_html(text *self, const char *from);
/* A JSON string with its quotes, or null. */
void text_json(text *self, const char *from);
/* A field of RFC 4180, quoted where it must be. What a spreadsheet would take for a formula gets a ' in front. */
void text_csv(text *self, const char *from);
/* A string of gnuplot with its single quotes, in which only ' means something; on one line. */
void text_gnuplot(text *self, const char *from);
/* At most `columns` characters for a terminal, with no controls; padded to `columns` (pad -1: left, 0: not, 1: right). */
void text_columns(text *self, const char *from, int columns, int pad);

/* A number as JSON and CSV have it; what was NOT_MEASURED is `missing`. */
void text_number(text *self, double value, const char *missing);

/* For people: "12,300", "1.23", "0.0041"; "-" when not measured. Three digits that mean something, at least. */
#define SHOWN_MOST 32
const char *show_number(double value, char buf[static SHOWN_MOST]);
/* Of microseconds: "870 µs", "1.2 ms", "3.4 s". */
const char *show_time(double us, char buf[static SHOWN_MOST]);
/* "870 B", "12.3 KiB", "1.2 MiB". */
const char *show_bytes(double bytes, char buf[static SHOWN_MOST]);

#endif
