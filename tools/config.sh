#!/bin/sh
# Prints build/config.mk: where this system has libev and llhttp.
# Optional libraries come first: NAME_CFLAGS, NAME_LIBS, NAME_REQUIRES (for rondo.pc), and
# -DRONDO__HAVE_NAME for the room that uses it. WITHOUT names those that are to be ignored.
set -eu
CC=${CC:-cc}
WITHOUT=${WITHOUT:-}

fail() {
    echo "$1 was not found. Try: make deps" >&2
    exit 1
}

has_header() { # FLAGS HEADER
    echo "#include <$2>" | $CC $1 -E - >/dev/null 2>&1
}

optional() { # NAME VARIABLE PACKAGES...: of pkg-config; a version may be asked for ('x >= 1')
    case " $WITHOUT " in *" $1 "*) return ;; esac
    name=$2
    shift 2
    if pkg-config --exists "$@" 2>/dev/null; then
        echo "${name}_CFLAGS := $(pkg-config --cflags "$@") -DRONDO__HAVE_$name=1"
        echo "${name}_LIBS := $(pkg-config --libs "$@")"
        echo "${name}_REQUIRES := $*"
    fi
}
optional openssl OPENSSL 'openssl >= 3.0'
optional cares CARES 'libcares >= 1.16'
optional zlib ZLIB 'zlib >= 1.2.11'
# Debian's wslay has no pkg-config file.
case " $WITHOUT " in *" wslay "*) ;; *)
    if has_header "" wslay/wslay.h; then
        echo "WSLAY_CFLAGS := -DRONDO__HAVE_WSLAY=1"
        echo "WSLAY_LIBS := -lwslay"
    fi ;;
esac

# libev has no pkg-config file; some systems put its header one folder down.
ev_cflags=
if ! has_header "" ev.h; then
    ev_cflags="-isystem /usr/include/libev"
    has_header "$ev_cflags" ev.h || fail "libev (ev.h)"
fi
echo "EV_CFLAGS := $ev_cflags"
echo "EV_LIBS := -lev"

# llhttp as a library, or else the generated sources that Debian packages for Node.
if pkg-config --exists libllhttp 2>/dev/null; then
    echo "LLHTTP_CFLAGS := $(pkg-config --cflags libllhttp)"
    echo "LLHTTP_LIBS := $(pkg-config --libs libllhttp)"
    echo "LLHTTP_REQUIRES := libllhttp"
    exit
fi

packaged=$(dpkg -L node-llhttp 2>/dev/null || true)
find_file() { # NAME: among the package's files, else in the usual places
    for file in $(echo "$packaged" | grep "/$1\$") \
        "/usr/share/llhttp/$1" "/usr/share/include/llhttp/$1"; do
        if [ -f "$file" ]; then
            dirname "$file"
            return
        fi
    done
}
include=$(find_file llhttp.h)
source=$(find_file llhttp.c)
[ -n "$include" ] && [ -n "$source" ] || fail "llhttp (libllhttp, or Debian's node-llhttp)"

# The header and the sources must agree on the strict mode: it changes the numbers of the errors.
echo "LLHTTP_CFLAGS := -isystem $include -DLLHTTP_STRICT_MODE=1"
echo "LLHTTP_SRC := $source"
echo "LLHTTP_SRCS := $source/api.c $source/http.c $source/llhttp.c"
