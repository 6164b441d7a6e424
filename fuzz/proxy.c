/* SPDX-License-Identifier: MIT
 *
 * The header that a proxy sends before everything else. Whatever the pieces in which it comes: it ends at
 * one place, no octet behind that is ever asked for, and an address is told of a whole one only.
 */
#include "fuzz.h"

#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    size_t whole = 0, most = size < 3000 ? size : 3000, farthest = 0;
    for (size_t len = 0; len <= most && whole == 0; len++) {
        rondo_address address, before;
        size_t sure = 0;
        memset(&address, 0x55, sizeof address);
        before = address;
        int64_t result = rondo__proxy_header(text, len, &sure, &address);
        bool told = memcmp(&address, &before, sizeof address) != 0;
        MUST(result == 0 || result == RONDO_EPROTO || (result == (int64_t)len && len > 0));
        MUST(!told || result > 0);
        if (result < 0) return 0; /* the reader stops here */
        if (result > 0) whole = len;
        if (result == 0 && len + sure > farthest) farthest = len + sure;
    }
    if (whole > 0) MUST(whole <= RONDO__PROXY_HEADER_MOST && farthest <= whole);
    return 0;
}
