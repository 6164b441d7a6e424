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

bool get_range_fits(rondo_slice content_range, int64_t size) {
    char expected[40];
    int len = snprintf(expected, sizeof expected, "bytes %lld-", (long long)size);
    return content_range.len > (size_t)len &&
           memcmp(content_range.data, expected, (size_t)len) == 0;
}

bool get_range_complete(rondo_slice content_range, int64_t size) {
    char expected[40];
    int len = snprintf(expected, sizeof expected, "bytes */%lld", (long long)size);
    return content_range.len == (size_t)len &&
           memcmp(content_range.data, expected, (size_t)len) == 0;
}
