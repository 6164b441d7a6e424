/* SPDX-License-Identifier: MIT
 *
 * The table of error codes, read in its three directions, and the version.
 */
#include <rondo/error.h>

#include <errno.h>

#include "loop/assert.h"

const char *rondo_version(void) {
    return RONDO__TEXT(RONDO_VERSION_MAJOR) "." RONDO__TEXT(RONDO_VERSION_MINOR) "." RONDO__TEXT(
        RONDO_VERSION_PATCH);
}

const char *rondo_error_name(int error) {
    if (error >= 0) return "OK";
    switch (error) {
#define NAME(name, value, text) \
    case value: return #name;
        RONDO_ERRORS(NAME)
#undef NAME
    }
    return "EUNKNOWN";
}

const char *rondo_error_text(int error) {
    if (error >= 0) return "no error";
    switch (error) {
#define TEXT(name, value, text) \
    case value: return text;
        RONDO_ERRORS(TEXT)
#undef TEXT
    }
    return "an error that Rondo has no name for";
}

int rondo_error_from_errno(int errno_value) {
    switch (errno_value) {
    case 0: return 0;
#define CODE(name) \
    case name: return RONDO_##name;
        /* clang-format off */
    CODE(EAGAIN) CODE(ECANCELED) CODE(EINVAL) CODE(ENOMEM) CODE(EBUSY) CODE(ENOENT) CODE(EEXIST)
    CODE(EACCES) CODE(EPERM) CODE(EADDRINUSE) CODE(EADDRNOTAVAIL) CODE(EAFNOSUPPORT)
    CODE(ECONNREFUSED) CODE(ECONNRESET) CODE(ECONNABORTED) CODE(ENOTCONN) CODE(EPIPE)
    CODE(ETIMEDOUT) CODE(EHOSTUNREACH) CODE(ENETUNREACH) CODE(ENOBUFS) CODE(EMSGSIZE) CODE(EMFILE)
    CODE(ENFILE) CODE(ENOSPC) CODE(EDQUOT) CODE(EFBIG) CODE(EROFS) CODE(EIO) CODE(EISDIR)
    CODE(ENOTDIR) CODE(ENOTEMPTY) CODE(ELOOP) CODE(ENAMETOOLONG) CODE(EXDEV) CODE(EBADF)
    CODE(ESPIPE) CODE(ENOTSUP) CODE(ENOSYS) CODE(EOVERFLOW) CODE(EPROTO) CODE(ENODEV) CODE(ENXIO)
    CODE(ETXTBSY) CODE(EINTR) CODE(ENOTSOCK) CODE(EISCONN)
#undef CODE
    /* Near enough to share a code. */
    case EDESTADDRREQ: return RONDO_ENOTCONN;
    case EHOSTDOWN: return RONDO_EHOSTUNREACH;
    case ENETDOWN: return RONDO_ENETUNREACH;
    case ENOPROTOOPT: return RONDO_ENOTSUP;
    case ETOOMANYREFS: return RONDO_EMFILE;
        /* clang-format on */
    }
    return RONDO_EUNKNOWN;
}
