/* SPDX-License-Identifier: MIT
 *
 * The `rondo` command: what all commands say in the same way. Apart from main.c, so that tests can link the commands.
 */
#include "cmd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void complain(const char *format, ...) {
    char text[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* What was typed, or is in a file, must not move the cursor or look like another line. */
    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f) *at = '?';
    fprintf(stderr, "rondo: %s\n", text);
}

int flush_stdout(void) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return EXIT_OK;
    complain("can't write to the standard output: %s", strerror(errno));
    return EXIT_RUNTIME;
}
