/* SPDX-License-Identifier: MIT
 *
 * Copying extended attributes. See xattrs.h.
 *
 * The kernel's limits (64 KiB for all names, 64 KiB for a value) bound the two buffers, so there is
 * no asking for sizes that are wrong a moment later.
 */
#include "fs/tree/xattrs.h"

#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/tree/steps.h"
#include "loop/memory.h"

static int copy_one(int from, int to, const char *name, char *value) {
    ssize_t len;
    int error;
    RONDO__RETRY(len, fgetxattr(from, name, value, XATTR_SIZE_MAX));
    if (len < 0) return errno == ENODATA ? 0 : rondo__errno(); /* removed meanwhile */
    RONDO__RETRY(error, fsetxattr(to, name, value, (size_t)len, 0));
    if (error == 0) return 0;
    bool may_miss = errno == EPERM || errno == EOPNOTSUPP || errno == EINVAL;
    return may_miss && strncmp(name, "user.", 5) != 0 ? 0 : rondo__errno();
}

int rondo__copy_xattrs(int from, int to) {
    char *names = rondo__alloc(XATTR_LIST_MAX + XATTR_SIZE_MAX);
    if (!names) return RONDO_ENOMEM;
    ssize_t len;
    RONDO__RETRY(len, flistxattr(from, names, XATTR_LIST_MAX));
    int error = len >= 0 || errno == EOPNOTSUPP ? 0 : rondo__errno();
    for (ssize_t at = 0; at < len && error == 0; at += (ssize_t)strlen(names + at) + 1)
        error = copy_one(from, to, names + at, names + XATTR_LIST_MAX);
    rondo__free(names);
    return error;
}
