#!/bin/sh
# check-headers.sh HEADER...: each compiles alone, with both compilers, as C99 and as C++11.
set -u
passed=0
failed=0

check() { # LANGUAGE HEADER COMPILER...
    language=$1 header=$2
    shift 2
    # From standard input, as an include, because a header itself would not be a main file.
    if echo "#include <${header#include/}>" | "$@" -x "$language" -pedantic -Wall -Wextra -Werror \
        -Iinclude -fsyntax-only -; then
        passed=$((passed + 1))
    else
        echo "FAIL $header: $*"
        failed=$((failed + 1))
    fi
}

for header in "$@"; do
    for compiler in gcc clang; do check c "$header" $compiler -std=c99 -Wstrict-prototypes -Wundef; done
    for compiler in g++ clang++; do check c++ "$header" $compiler -std=c++11 -Wundef; done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
