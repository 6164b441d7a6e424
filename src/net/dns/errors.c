/* SPDX-License-Identifier: MIT
 *
 * The table of the system resolver's codes (RFC 3493, 6.1, and glibc's additions).
 */
#define _GNU_SOURCE
#include "net/dns/errors.h"

#include <rondo/error.h>

#include <errno.h>
#include <netdb.h>

int rondo__dns_error_from_eai(int error) {
    switch (error) {
    case EAI_NONAME: return RONDO_ENOTFOUND;
    case EAI_AGAIN: return RONDO_EDNSAGAIN;
    case EAI_FAIL: return RONDO_EDNSFAIL;
    case EAI_MEMORY: return RONDO_ENOMEM;
    case EAI_FAMILY: return RONDO_EAFNOSUPPORT;
    case EAI_OVERFLOW:
        return RONDO_EPROTO; /* longer than a name can be */
    /* errno may be 0: some plug-ins of nsswitch.conf say no more than that they failed. */
    case EAI_SYSTEM: return errno > 0 ? rondo_error_from_errno(errno) : RONDO_EDNSFAIL;
#ifdef EAI_NODATA
    case EAI_NODATA: return RONDO_ENOTFOUND; /* the name is there, without addresses */
    case EAI_ADDRFAMILY: return RONDO_ENOTFOUND;
#endif
    default: return RONDO_EDNSFAIL;
    }
}
