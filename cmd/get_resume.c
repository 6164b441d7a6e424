/* SPDX-License-Identifier: MIT
 *
 * `rondo get -C`: goes on with the file of an earlier run. The ETag with which its beginning came is kept
 * in an extended attribute of the file, so that If-Range (RFC 9110 section 13.1.5) makes the server send
 * all of it when it has changed. Where there is none, the length is all there is to go by, as with
 * others of this kind.
 */
#include "get.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define ATTRIBUTE "user.rondo.etag"

void get_look(const char *path, get_file *ret_file) {
    struct stat found;
    memset(ret_file, 0, sizeof *ret_file);
    if (stat(path, &found) < 0 || !S_ISREG(found.st_mode)) return;
    ret_file->size = found.st_size;
    ssize_t len = getxattr(path, ATTRIBUTE, ret_file->etag, sizeof ret_file->etag - 1);
    ret_file->etag[len > 0 ? len : 0] = '\0';
}

void get_remember(int fd, const char *etag) {
    /* A weak one does not say that octets are the same. */
    if (etag && strncmp(etag, "W/", 2) != 0 && strlen(etag) < sizeof((get_file *)0)->etag)
        fsetxattr(fd, ATTRIBUTE, etag, strlen(etag), 0);
    else
        fremovexattr(fd, ATTRIBUTE);
}

/* Digits at *at, which goes behind them; -1: none, or more than any number of octets has. */
static int64_t read_number(const char **at, const char *end) {
    const char *start = *at;
    int64_t number = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
        if (*at - start < 18) number = number * 10 + (**at - '0');
    return *at > start && *at - start <= 18 ? number : -1;
}

static bool skip(const char **at, const char *end, const char *text) {
    size_t len = strlen(text);
    bool is = (size_t)(end - *at) >= len && strncasecmp(*at, text, len) == 0;
    if (is) *at += len;
    return is;
}

/* "bytes FIRST-LAST/TOTAL", or with '*' for a total that is not known. */
bool get_range_read(rondo_slice content_range, get_range *ret_range) {
    const char *at = content_range.data, *end = at + content_range.len;
    get_range range = {.total = -1};
    if (!skip(&at, end, "bytes ")) return false;
    range.first = read_number(&at, end);
    if (!skip(&at, end, "-")) return false;
    range.last = read_number(&at, end);
    if (!skip(&at, end, "/")) return false;
    if (!skip(&at, end, "*") && (range.total = read_number(&at, end)) < 0) return false;
    if (at != end || range.first < 0 || range.last < range.first) return false;
    if (range.total >= 0 && range.last >= range.total) return false;
    *ret_range = range;
    return true;
}

bool get_etag_fits(rondo_slice etag, const get_file *before) {
    if (!etag.data || before->etag[0] == '\0') return true;
    return etag.len == strlen(before->etag) && memcmp(etag.data, before->etag, etag.len) == 0;
}

bool get_range_complete(rondo_slice content_range, int64_t size) {
    char expected[40];
    int len = snprintf(expected, sizeof expected, "bytes */%lld", (long long)size);
    return content_range.len == (size_t)len &&
           memcmp(content_range.data, expected, (size_t)len) == 0;
}
