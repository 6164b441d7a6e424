#!/bin/sh
# Installs into a temporary directory and uses what is there like any other program would: through
# pkg-config, shared and static, first below DESTDIR, then with PREFIX itself; then uninstalls.
set -u
MAKE=${MAKE:-make}
CC=${CC:-cc}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0
failed=0

check() { # NAME COMMAND...
    name=$1
    shift
    if "$@" >"$dir/log" 2>&1; then
        passed=$((passed + 1))
    else
        echo "FAIL $name"
        sed 's/^/    /' "$dir/log"
        failed=$((failed + 1))
    fi
}

cat >"$dir/program.c" <<'PROGRAM'
#include <rondo.h>
#include <stdio.h>

static void on_timeout(rondo_timer *timer, void *arg) {
    *(int *)arg = 1;
    rondo_close(timer);
}

int main(void) {
    int fired = 0;
    rondo_loop *loop = rondo_loop_new();
    rondo_timer *timer = loop ? rondo_timer_new(loop) : NULL;
    if (timer == NULL || rondo_timer_start(timer, 1, 0, on_timeout, &fired) != 0) return 1;
    if (rondo_loop_run(loop, RONDO_RUN_ALL) != 0 || !fired) return 1;
    rondo_loop_free(loop);
    printf("%s\n", rondo_version());
    return 0;
}
PROGRAM

build_shared() {
    $CC "$dir/program.c" -o "$dir/shared" $(pkg-config --cflags --libs rondo)
}
build_static() { # Rondo only: not every library that it uses comes as an archive
    $CC "$dir/program.c" -o "$dir/static" \
        $(pkg-config --static --cflags --libs rondo | sed 's/-lrondo/-l:librondo.a/')
}
runs() { # PROGRAM: it works and has the version that pkg-config says
    [ "$(LD_LIBRARY_PATH=$lib "$dir/$1")" = "$(pkg-config --modversion rondo)" ]
}
needs_shared_library() { readelf -d "$dir/$1" | grep -q 'NEEDED.*librondo.so.0\]'; }
needs_none() { [ -x "$dir/$1" ] && ! readelf -d "$dir/$1" | grep -q librondo; }
command_runs() { [ -x "$1/rondo" ] && LD_LIBRARY_PATH= "$1/rondo" --version; }
nothing_is_left() {
    find "$1" -type f -o -type l
    [ -z "$(find "$1" -type f -o -type l)" ]
}

use() { # NAME, with lib and the variables of pkg-config set
    check "$1: shared program builds" build_shared
    check "$1: shared program runs" runs shared
    check "$1: it uses the shared library" needs_shared_library shared
    check "$1: static program builds" build_static
    check "$1: static program runs" runs static
    check "$1: it needs no shared library" needs_none static
}

check "install DESTDIR" $MAKE install DESTDIR="$dir/dest" PREFIX=/opt/rondo
lib=$dir/dest/opt/rondo/lib
export PKG_CONFIG_PATH="$lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$dir/dest"
use "DESTDIR"
check "DESTDIR: the command runs" command_runs "$dir/dest/opt/rondo/bin"
check "uninstall DESTDIR" $MAKE uninstall DESTDIR="$dir/dest" PREFIX=/opt/rondo
check "DESTDIR: nothing is left" nothing_is_left "$dir/dest"

check "install PREFIX" $MAKE install PREFIX="$dir/prefix"
lib=$dir/prefix/lib
export PKG_CONFIG_PATH="$lib/pkgconfig"
unset PKG_CONFIG_SYSROOT_DIR
use "PREFIX"
check "uninstall PREFIX" $MAKE uninstall PREFIX="$dir/prefix"
check "PREFIX: nothing is left" nothing_is_left "$dir/prefix"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
