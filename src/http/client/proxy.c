/* SPDX-License-Identifier: MIT
 *
 * Who is asked by way of whom. There is one proxy for http and one for https, and a list of hosts that
 * are asked without; all of it may change at any time, for the calls that have no connection yet.
 */
#include <string.h>

#include "http/chars.h"
#include "http/client/pool.h"
#include "http/networks.h"
#include "loop/memory.h"

/* ---- the list ---- */

/* host[":" port], or "[" IPv6 "]" [":" port]: the port, 0 for none, -1 when it can't be; *entry becomes
 * the host, without brackets. Two colons are an address without a port. */
static int cut_port(rondo_slice *entry) {
    const char *at = entry->data, *end = at + entry->len, *colon = NULL;
    if (*at == '[') {
        const char *bracket = memchr(at, ']', entry->len);
        if (!bracket || (bracket + 1 < end && bracket[1] != ':')) return -1;
        *entry = rondo_slice_of(at + 1, (size_t)(bracket - at - 1));
        if (bracket + 1 < end) colon = bracket + 1;
    } else {
        colon = memchr(at, ':', entry->len);
        if (colon && memchr(colon + 1, ':', (size_t)(end - colon - 1))) return 0;
        if (colon) entry->len = (size_t)(colon - at);
    }
    if (!colon) return 0;
    int port = 0;
    for (at = colon + 1; at < end && port <= 65535; at++) {
        if (*at < '0' || *at > '9') return -1;
        port = port * 10 + (*at - '0');
    }
    return port >= 1 && port <= 65535 ? port : -1;
}

/* An address or a network. */
static bool has_address(rondo_slice entry, const char *host) {
    char text[64];
    rondo__network network;
    rondo__ip ip;
    if (entry.len >= sizeof text || !rondo__ip_parse(rondo_slice_text(host), &ip)) return false;
    memcpy(text, entry.data, entry.len);
    text[entry.len] = '\0';
    return rondo__network_parse(text, &network) && rondo__network_has(&network, &ip);
}

/* The host is the entry, or below it. */
static bool has_name(rondo_slice entry, const char *host) {
    size_t len = strlen(host);
    if (entry.len > 1 && entry.data[0] == '*' && entry.data[1] == '.') entry.data++, entry.len--;
    if (entry.len > 0 && entry.data[0] == '.') entry.data++, entry.len--;
    if (entry.len > 0 && entry.data[entry.len - 1] == '.') entry.len--;
    if (len > 0 && host[len - 1] == '.') len--;
    if (entry.len == 0 || entry.len > len) return false;
    const char *tail = host + (len - entry.len);
    for (size_t i = 0; i < entry.len; i++)
        if (rondo__http_lower(entry.data[i]) != tail[i]) return false;
    return tail == host || tail[-1] == '.';
}

static bool has(rondo_slice entry, const rondo__url *url, const char *host) {
    if (entry.len == 1 && *entry.data == '*') return true;
    int port = cut_port(&entry);
    if (port < 0 || (port > 0 && port != url->port)) return false;
    rondo__ip ip;
    bool is_address = rondo__ip_parse(rondo_slice_text(host), &ip);
    return is_address ? has_address(entry, host) : has_name(entry, host);
}

static bool is_listed(const char *list, const rondo__url *url) {
    static const char between[] = ", \t";
    char host[RONDO__HOST_MOST + 1];
    rondo__url_host(url, host);
    for (const char *at = list + strspn(list, between); *at; at += strspn(at, between)) {
        size_t len = strcspn(at, between);
        if (has(rondo_slice_of(at, len), url, host)) return true;
        at += len;
    }
    return false;
}

const rondo__proxy *rondo__client_proxy(const rondo_http_client *client, const rondo__url *url) {
    const rondo__proxy *proxy = &client->proxies[url->https];
    if (!proxy->url.text) return NULL;
    return client->no_proxy && is_listed(client->no_proxy, url) ? NULL : proxy;
}

/* ---- setting ---- */

static void free_proxy(rondo__proxy *proxy) {
    rondo__url_free(&proxy->url);
    rondo__free(proxy->credentials);
    *proxy = (rondo__proxy){0};
}

void rondo__client_free_proxies(rondo_http_client *client) {
    free_proxy(&client->proxies[0]);
    free_proxy(&client->proxies[1]);
    rondo__free(client->no_proxy);
}

static int parse_proxy(const char *url, rondo__proxy *ret_proxy) {
    rondo__proxy proxy = {0};
    int status = url ? rondo__url_parse(rondo_slice_text(url), true, &proxy.url) : 0;
    if (status == 0 && proxy.url.user) {
        proxy.credentials = rondo__basic_credentials(proxy.url.user);
        if (!proxy.credentials) status = RONDO_ENOMEM;
    }
    if (status < 0)
        free_proxy(&proxy);
    else
        *ret_proxy = proxy;
    return status;
}

static void put_proxy(rondo_http_client *client, bool https, rondo__proxy proxy) {
    free_proxy(&client->proxies[https]);
    client->proxies[https] = proxy;
}

int rondo_http_client_set_scheme_proxy(rondo_http_client *client, bool https, const char *url) {
    RONDO__CHECK(client, &rondo__client_kind);
    rondo__proxy proxy = {0};
    if (rondo__client_closing(client)) return RONDO_ECLOSED;
    int status = parse_proxy(url, &proxy);
    if (status < 0) return status;
    put_proxy(client, https, proxy);
    rondo__client_renew(client);
    return 0;
}

int rondo_http_client_set_proxy(rondo_http_client *client, const char *url) {
    RONDO__CHECK(client, &rondo__client_kind);
    rondo__proxy http = {0}, https = {0};
    if (rondo__client_closing(client)) return RONDO_ECLOSED;
    int status = parse_proxy(url, &http);
    if (status == 0) status = parse_proxy(url, &https);
    if (status < 0) {
        free_proxy(&http);
        return status;
    }
    put_proxy(client, false, http);
    put_proxy(client, true, https);
    rondo__client_renew(client);
    return 0;
}

int rondo_http_client_set_no_proxy(rondo_http_client *client, const char *list) {
    RONDO__CHECK(client, &rondo__client_kind);
    char *copy = NULL;
    if (rondo__client_closing(client)) return RONDO_ECLOSED;
    if (list && strlen(list) > RONDO__NO_PROXY_MOST) return RONDO_EINVAL;
    if (list && !(copy = rondo__strdup(list))) return RONDO_ENOMEM;
    rondo__free(client->no_proxy);
    client->no_proxy = copy;
    rondo__client_renew(client);
    return 0;
}
