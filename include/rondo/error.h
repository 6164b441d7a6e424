/* SPDX-License-Identifier: MIT
 *
 * Error codes. A function that can fail returns a negative RONDO_E* and leaves its outputs
 * untouched; callbacks get the same codes. errno is not part of the API. Every function here may
 * be called from any thread.
 */
#ifndef RONDO_ERROR_H
#define RONDO_ERROR_H

#include <rondo/base.h>

/* X(name, value, text): the one table of codes. The values are Rondo's own, stable across platforms
 * and releases; new codes are added at the end. */
#define RONDO_ERRORS(X)                                                            \
    X(EAGAIN, -1, "not possible right now; try again later")                       \
    X(ECANCELED, -2, "canceled before it was done")                                \
    X(ECLOSED, -3, "the handle is closing or closed")                              \
    X(EINVAL, -4, "invalid argument")                                              \
    X(ENOMEM, -5, "out of memory")                                                 \
    X(EBUSY, -6, "busy: already in use or running")                                \
    X(ENOENT, -7, "no such file, listener or entry")                               \
    X(EEXIST, -8, "it exists already")                                             \
    X(EACCES, -9, "permission denied")                                             \
    X(EPERM, -10, "operation not permitted")                                       \
    X(EADDRINUSE, -11, "address already in use")                                   \
    X(EADDRNOTAVAIL, -12, "no such address on this machine")                       \
    X(EAFNOSUPPORT, -13, "address family not supported")                           \
    X(ECONNREFUSED, -14, "connection refused")                                     \
    X(ECONNRESET, -15, "connection reset by the peer")                             \
    X(ECONNABORTED, -16, "connection aborted")                                     \
    X(ENOTCONN, -17, "not connected")                                              \
    X(EPIPE, -18, "the other end reads no more, or this end has ended")            \
    X(ETIMEDOUT, -19, "timed out")                                                 \
    X(EHOSTUNREACH, -20, "no route to the host")                                   \
    X(ENETUNREACH, -21, "network unreachable")                                     \
    X(ENOBUFS, -22, "a buffer limit was reached")                                  \
    X(EMSGSIZE, -23, "message too large")                                          \
    X(EMFILE, -24, "too many open files in this process (see ulimit -n)")          \
    X(ENFILE, -25, "too many open files in this system")                           \
    X(ENOSPC, -26, "no space left on the device")                                  \
    X(EDQUOT, -27, "disk quota exceeded")                                          \
    X(EFBIG, -28, "file too large")                                                \
    X(EROFS, -29, "read-only file system")                                         \
    X(EIO, -30, "input/output error")                                              \
    X(EISDIR, -31, "it is a directory")                                            \
    X(ENOTDIR, -32, "it is not a directory")                                       \
    X(ENOTEMPTY, -33, "the directory is not empty")                                \
    X(ELOOP, -34, "too many symbolic links, or one that is not allowed")           \
    X(ENAMETOOLONG, -35, "name too long")                                          \
    X(EXDEV, -36, "not on the same file system, or outside the allowed directory") \
    X(EBADF, -37, "bad file descriptor")                                           \
    X(ESPIPE, -38, "it can't seek")                                                \
    X(ENOTSUP, -39, "not supported here")                                          \
    X(ENOSYS, -40, "not built in, or the kernel lacks it")                         \
    X(EOVERFLOW, -41, "a value is too large")                                      \
    X(EPROTO, -42, "protocol error")                                               \
    X(ERUNAWAY, -43, "a chain of next ticks went over its budget")                 \
    X(ENODEV, -44, "no such device")                                               \
    X(ENXIO, -45, "no such device or address")                                     \
    X(ETXTBSY, -46, "the file is being executed")                                  \
    X(EINTR, -47, "interrupted by a signal")                                       \
    X(ENOTSOCK, -48, "it is not a socket")                                         \
    X(EUNKNOWN, -49, "an error that Rondo has no name for")                        \
    X(EISCONN, -50, "it is connected already")                                     \
    X(ENOTFOUND, -51, "no such name: nobody has an address for it")                \
    X(ENODATA, -52, "the name exists, but has no record of that type")             \
    X(EDNSAGAIN, -53, "the name servers do not answer; try again later")           \
    X(EDNSFAIL, -54, "the name servers could not resolve it")                      \
    X(EDNSREFUSED, -55, "the name servers refuse to answer")                       \
    X(ETLS, -56, "TLS failed; see rondo_tls_error_text()")                         \
    X(ECERT, -57, "the peer's certificate was not accepted; see rondo_tls_error_text()")

#ifdef __cplusplus
extern "C" {
#endif

enum rondo_error {
#define RONDO__ERROR_ENUM(name, value, text) RONDO_##name = (value),
    RONDO_ERRORS(RONDO__ERROR_ENUM)
#undef RONDO__ERROR_ENUM
        RONDO_OK = 0
};

/* "ECONNRESET" for RONDO_ECONNRESET; "OK" for 0 and above; "EUNKNOWN" for anything else. Static. */
RONDO_API const char *rondo_error_name(int error);

/* One line of English for a code, without a full stop. Static. */
RONDO_API const char *rondo_error_text(int error);

/* The code for a positive errno value (as of <errno.h>); RONDO_EUNKNOWN where there is none. */
RONDO_API int rondo_error_from_errno(int errno_value);

#ifdef __cplusplus
}
#endif
#endif
