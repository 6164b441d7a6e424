/* SPDX-License-Identifier: MIT
 *
 * The last words before abort(): the only output of the library itself.
 */
#include "loop/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void rondo__fatal(const char *format, ...) {
    va_list args;
    fflush(stdout); /* what the program said before should stand before what we say */
    fputs("rondo: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    fflush(stderr);
    abort();
}
