/* SPDX-License-Identifier: MIT
 *
 * `rondo get`: by way of whom. What the command line says comes before the environment. The upper-case
 * HTTP_PROXY is not looked at: in a CGI program it is what the client's field "Proxy" says (httpoxy,
 * CVE-2016-5385 and its like), and no field is called "https_proxy".
 */
#include "get.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An empty one is as good as none. */
static const char *from_environment(const char *name, const char *other) {
    const char *value = getenv(name);
    if ((!value || !*value) && other) value = getenv(other);
    return value && *value ? value : NULL;
}

/* "host:port" means http://host:port, as everywhere. The words of a proxy are not repeated whole in a
 * complaint: they may hold a password. */
static bool set_proxy(rondo_http_client *client, bool https, const char *proxy,
                      const char *source) {
    char url[1024];
    bool whole = strstr(proxy, "://") != NULL;
    int len = snprintf(url, sizeof url, "%s%s", whole ? "" : "http://", proxy);
    int status = len < (int)sizeof url ? rondo_http_client_set_scheme_proxy(client, https, url)
                                       : RONDO_EINVAL;
    if (status < 0) complain("what %s says is no proxy; give http://HOST[:PORT]", source);
    return status == 0;
}

bool get_set_proxies(const get_options *given, rondo_http_client *client) {
    const char *http = given->proxy, *https = given->proxy, *source = "--proxy";
    const char *without = given->no_proxy;
    if (!http) {
        http = from_environment("http_proxy", NULL);
        https = from_environment("https_proxy", "HTTPS_PROXY");
    }
    if (!without) without = from_environment("no_proxy", "NO_PROXY");
    if (http && *http && !set_proxy(client, false, http, given->proxy ? source : "http_proxy"))
        return false;
    if (https && *https && !set_proxy(client, true, https, given->proxy ? source : "https_proxy"))
        return false;
    if (without && rondo_http_client_set_no_proxy(client, without) < 0) {
        complain("what --no-proxy or no_proxy says is too long");
        return false;
    }
    return true;
}
