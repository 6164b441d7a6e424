/* SPDX-License-Identifier: MIT
 *
 * The scanner. Bad is a line that begins with SP or HTAB (obs-fold: RFC 9112 section 5.2) or with
 * ':' (an empty name), and an LF that no CR stands before. The parser's callbacks can't always see
 * these: CVE-2024-27982 was one of them. Works line by line with memchr(3), on pieces split anywhere.
 */
#include "http/trailer_scan.h"

#include <string.h>

rondo__scan rondo__trailer_scan_run(rondo__trailer_scan *scan, const char *data, size_t len,
                                    size_t most_lines, size_t *ret_used) {
    const char *at = data, *end = data + len;
    while (at < end) {
        if (!scan->in_line && (*at == ' ' || *at == '\t' || *at == ':')) return RONDO__SCAN_BAD;
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        if (!lf) {
            scan->only_cr = !scan->in_line && end - at == 1 && *at == '\r';
            scan->in_line = true;
            scan->last_cr = end[-1] == '\r';
            break;
        }
        if (!(lf > at ? lf[-1] == '\r' : scan->last_cr)) return RONDO__SCAN_BAD;
        bool empty = scan->in_line ? scan->only_cr && lf == at : lf - at == 1;
        at = lf + 1;
        scan->in_line = scan->only_cr = scan->last_cr = false;
        if (empty) {
            *ret_used = (size_t)(at - data);
            return RONDO__SCAN_END;
        }
        if (++scan->lines > most_lines) {
            *ret_used = (size_t)(at - data);
            return RONDO__SCAN_MANY;
        }
    }
    *ret_used = len;
    return RONDO__SCAN_MORE;
}
