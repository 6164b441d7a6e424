/* SPDX-License-Identifier: MIT
 *
 * Names that need no resolver. localhost is one of them (RFC 6761, 6.3): it is this machine whatever
 * /etc/hosts says or does not say, and no name server is asked about it, which could send a
 * program's talk to itself elsewhere.
 */
#include "net/dns/local.h"

#include <rondo/error.h>

#include <sys/socket.h>
#include <unistd.h>

#include "loop/memory.h"
#include "net/address.h"
#include "net/dns/request.h"

static bool is_here(const rondo_address *address) {
    int fd = socket(rondo__address_af(address), SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    bool here = bind(fd, rondo__sockaddr_const(address), address->len) == 0;
    close(fd);
    return here;
}

/* ::1 first, as RFC 6724 (2.1) orders; not where the machine has no IPv6, unless that is asked for. */
static size_t loopback(uint16_t port, unsigned flags, rondo_address *addresses) {
    size_t count = 0;
    rondo_address v6;
    (void)rondo_address_parse("::1", 0, &v6);
    bool only = !(flags & RONDO_DNS_IPV4) || (flags & RONDO_DNS_ALL);
    if (flags & RONDO_DNS_IPV6 && (only || is_here(&v6))) addresses[count++] = v6;
    if (flags & RONDO_DNS_IPV4) (void)rondo_address_parse("127.0.0.1", 0, &addresses[count++]);
    for (size_t i = 0; i < count; i++) rondo__address_set_port(&addresses[i], port);
    return count;
}

int rondo__dns_local(const char *host, uint16_t port, unsigned flags, rondo_address **ret_addresses,
                     size_t *ret_count) {
    rondo_address found[2];
    size_t count = 1;
    if (rondo__dns_is_localhost(host)) {
        count = loopback(port, flags, found);
    } else if (rondo_address_parse(host, port, &found[0]) < 0) {
        return RONDO_EAGAIN;
    } else if (!(flags &
                 (rondo__address_af(&found[0]) == AF_INET ? RONDO_DNS_IPV4 : RONDO_DNS_IPV6))) {
        return RONDO_ENOTFOUND;
    }
    rondo_address *addresses = rondo__alloc(count * sizeof *addresses);
    if (!addresses) return RONDO_ENOMEM;
    for (size_t i = 0; i < count; i++) addresses[i] = found[i];
    *ret_addresses = addresses;
    *ret_count = count;
    return 0;
}
