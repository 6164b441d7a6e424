/* SPDX-License-Identifier: MIT
 *
 * Request targets on their way to files: whatever is asked for, the path stays beneath the root, and
 * is what a second, naive reading of the target says. A redirect leads to the same host.
 */
#include "fuzz.h"

#include "http/files/files.h"

static int hex(uint8_t c) {
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at && !(c >= 0x10 && c < 0x20) ? (int)(at - digits) : -1;
}

/* Octet by octet, everything decoded: no slash may come from an escape, and no segment be special. */
static bool read_naively(const uint8_t *target, size_t size, char *ret_path) {
    size_t used = 0;
    for (size_t i = 1; i < size && target[i] != '?'; i++) {
        uint8_t c = target[i];
        if (c == '%') {
            if (i + 2 >= size) return false;
            int high = hex(target[i + 1]), low = hex(target[i + 2]);
            if (high < 0 || low < 0) return false;
            c = (uint8_t)(high * 16 + low);
            i += 2;
            if (c == '/' || c == '\0') return false;
        }
        ret_path[used++] = (char)c;
    }
    ret_path[used] = '\0';
    return true;
}

static void check_path(const char *path, size_t len) {
    MUST(strlen(path) == len);
    for (const char *at = path; *at;) {
        size_t segment = strcspn(at, "/");
        MUST(segment > 0 && at[0] != '.');
        at += segment;
        if (*at) at++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[512], naive[8192], small[16], location[8192];
    rondo_slice target = rondo_slice_of((const char *)data, size);
    if (size > 4000) return 0;
    int len = rondo__http_path(target, path, sizeof path);
    MUST(len >= 0 || len == RONDO_EINVAL || len == RONDO_ENOENT);
    if (len >= 0) {
        check_path(path, (size_t)len);
        if (data[0] == '/') MUST(read_naively(data, size, naive) && strcmp(naive, path) == 0);
    }
    int less = rondo__http_path(target, small, sizeof small);
    MUST(less == len || (less == RONDO_ENOENT && len >= (int)sizeof small - 2));
    int to = rondo__http_path_location(target, location, sizeof location);
    MUST(to > 0 || to == RONDO_EINVAL || to == RONDO_ENOBUFS);
    if (to > 0) {
        MUST(strlen(location) == (size_t)to && strncmp(location, "./", 2) == 0);
        for (int i = 0; i < to; i++) MUST(location[i] > ' ' && location[i] < 0x7f);
    }
    return 0;
}
