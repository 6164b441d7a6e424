/* SPDX-License-Identifier: MIT
 *
 * The `rondo` command: what all commands say in the same way. Apart from main.c, so that tests can link the commands.
 */
#include "cmd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void complain(const char *format, ...) {
    char text[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* What was typed, is in a file, or was said by a server must not move the cursor or look like another
     * line. 0x80 to 0x9f are control characters in Latin 1, and behind 0xc2 in UTF-8; behind others
     * they are parts of letters. */
    unsigned follow = 0; /* octets of the letter that is under way */
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        bool part = follow > 0 && *at >= 0x80 && *at < 0xc0;
        bool control = *at < ' ' || *at == 0x7f || (*at >= 0x80 && *at < 0xa0 && !part);
        follow = part ? follow - 1 : *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : *at >= 0xc3 ? 1 : 0;
        if (control) *at = '?';
    }
    fprintf(stderr, "rondo: %s\n", text);
}

int flush_stdout(void) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return EXIT_OK;
    complain("can't write to the standard output: %s", strerror(errno));
    return EXIT_RUNTIME;
}
