/* SPDX-License-Identifier: MIT
 *
 * A scanner over trailer sections that runs before the parser: it finds the end, counts lines, and
 * refuses what the parser lets through or can't tell. Heads don't need it: they are kept whole, and
 * head_check.c accounts for every octet of them. Internal.
 */
#ifndef RONDO__TRAILER_SCAN_H
#define RONDO__TRAILER_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Between calls: all zero at the start of a section. */
typedef struct rondo__trailer_scan {
    uint32_t lines; /* that are complete and not empty */
    bool in_line;   /* octets of the current line have been seen */
    bool only_cr;   /* just a CR so far */
    bool last_cr;   /* the last octet was a CR */
} rondo__trailer_scan;

typedef enum rondo__scan {
    RONDO__SCAN_MORE, /* all octets belong to the section, and more must come */
    RONDO__SCAN_END,  /* the empty line that ends it has been found */
    RONDO__SCAN_MANY, /* more lines than allowed: nothing behind the first of those was looked at */
    RONDO__SCAN_BAD   /* 400 */
} rondo__scan;

/* Looks at len octets, of which *ret_used belong to the section; they are for the parser before anything but
 * RONDO__SCAN_BAD is acted on: what is refused first, and why, must not depend on how they arrived. */
rondo__scan rondo__trailer_scan_run(rondo__trailer_scan *scan, const char *data, size_t len,
                                    size_t most_lines, size_t *ret_used);

#endif
