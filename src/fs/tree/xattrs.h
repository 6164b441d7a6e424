/* SPDX-License-Identifier: MIT
 *
 * Extended attributes (xattr(7)), ACLs among them. Linux only. Internal to src/fs/.
 */
#ifndef RONDO__FS_XATTRS_H
#define RONDO__FS_XATTRS_H

/* Copies all from one open file or directory to another. Those other than user.* that the process
 * may not set, or that the destination doesn't know, are left out. */
int rondo__copy_xattrs(int from, int to);

#endif
