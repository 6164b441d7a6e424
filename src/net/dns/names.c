/* SPDX-License-Identifier: MIT
 *
 * What is a name: what may be asked for, and what is believed when it comes back.
 */
#include "net/dns/request.h"

#include <string.h>
#include <strings.h>

/* The length without a final dot, which says that the name is complete. */
static size_t length_of(const char *host) {
    size_t len = strlen(host);
    return len > 1 && host[len - 1] == '.' ? len - 1 : len;
}

/* The rest is left to the system's resolver, whose files may hold names in any spelling. */
bool rondo__dns_may_ask(const char *host) {
    if (!host || !*host || length_of(host) > RONDO__DNS_NAME_MAX) return false;
    for (const char *c = host; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 127) return false;
    return true;
}

static bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 1123, 2.1: labels of letters, digits and inner hyphens; and underscores, which names of
 * services have (RFC 2782). Names end up in logs, headers, paths and arguments of commands, so what
 * an attacker's server makes up besides, a leading hyphen included, does not get there. */
bool rondo__dns_is_host_name(const char *name) {
    size_t len = length_of(name), label = 0;
    if (len > RONDO__DNS_NAME_MAX) return false;
    for (size_t i = 0; i < len; i++) {
        bool ends = i + 1 == len || name[i + 1] == '.';
        if (name[i] == '.') {
            if (label == 0) return false;
            label = 0;
            continue;
        }
        if (name[i] == '-' ? label == 0 || ends : !is_alnum(name[i]) && name[i] != '_')
            return false;
        if (++label > 63) return false;
    }
    return label > 0;
}

bool rondo__dns_is_localhost(const char *host) {
    static const char name[] = "localhost";
    size_t len = length_of(host), name_len = sizeof name - 1;
    if (len < name_len || strncasecmp(host + len - name_len, name, name_len) != 0) return false;
    return len == name_len || host[len - name_len - 1] == '.';
}
