/* SPDX-License-Identifier: MIT
 *
 * rondo_dns_query() of a library that was built without c-ares.
 */
#include <rondo/dns.h>

#include <rondo/error.h>

#include "loop/handle.h"

int rondo_dns_query(rondo_loop *loop, const char *name, rondo_dns_type type,
                    const rondo_dns_query_options *options, rondo_dns_request **ret_request,
                    rondo_dns_query_cb cb, void *arg) {
    RONDO__CHECK_LOOP(loop);
    (void)name, (void)type, (void)options, (void)ret_request, (void)cb, (void)arg;
    return RONDO_ENOSYS;
}
