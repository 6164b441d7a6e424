#!/bin/sh
# deps.sh GROUP...: installs the Debian packages of the groups that are missing, and says which.
# A thing counts as present when it can be used, however it was installed.
set -eu

missing=
need() { # PACKAGE COMMAND...
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
have() { command -v "$1"; }
has_header() { echo "#include <$1>" | "${CC:-cc}" -E -; }
has_fuzzer() { ls "$(clang -print-resource-dir)"/lib/*/libclang_rt.fuzzer*.a; }
have_nginx() { have nginx || [ -x /usr/sbin/nginx ]; }
have_apache() { have apache2 || [ -x /usr/sbin/apache2 ]; }
has_llhttp() { pkg-config --exists libllhttp || [ -f /usr/share/llhttp/llhttp.c ]; }

for group in "$@"; do
    case $group in
    build)
        need gcc have "${CC:-cc}"
        need make have make
        need binutils have objcopy
        need pkg-config have pkg-config
        need libc6-dev has_header stdio.h
        need libev-dev has_header ev.h
        need node-llhttp has_llhttp
        # Optional: without them TLS, rondo_dns_query() and WebSockets answer RONDO_ENOSYS, and
        # nothing is compressed.
        need libssl-dev pkg-config --exists openssl
        need libc-ares-dev pkg-config --exists libcares
        need zlib1g-dev pkg-config --exists zlib
        need libwslay-dev has_header wslay/wslay.h
        ;;
    test)
        need python3 python3 -c 'import socket'
        need curl have curl
        need openssl have openssl
        need libsqlite3-dev pkg-config --exists sqlite3
        ;;
    dev)
        need g++ have g++
        need clang have clang
        need libclang-rt-dev has_fuzzer
        need clang-format have clang-format
        need valgrind have valgrind
        need strace have strace
        need python3-websockets sh -c '/usr/bin/python3 -c "import websockets" || python3 -c "import websockets"'
        need node-ws sh -c '[ -d /usr/share/nodejs/ws ]'
        ;;
    bench)
        need strace have strace
        need valgrind have valgrind
        need libuv1-dev pkg-config --exists libuv
        need libmicrohttpd-dev pkg-config --exists libmicrohttpd
        need libevent-dev pkg-config --exists libevent
        need nginx-light have_nginx
        need nodejs have node
        need golang-go have go
        need procps have pgrep
        need node-ws sh -c '[ -d /usr/share/nodejs/ws ]'
        need python3-websockets sh -c '/usr/bin/python3 -c "import websockets" || python3 -c "import websockets"'
        need wrk have wrk
        need nghttp2-client have h2load
        ;;
    peers) # of compare: see compare/peers.def. apache2-bin has no service that would start.
        need nodejs have node
        need nginx-light have_nginx
        need apache2-bin have_apache
        need golang-go have go
        need python3-gevent /usr/bin/python3 -c 'import gevent'
        need ocaml-nox have ocamlopt
        need ocaml-findlib have ocamlfind
        need liblwt-ocaml-dev ocamlfind query lwt.unix
        need erlang-base have erlc
        ;;
    compare)
        # Without it the report of `rondo compare` has no curves.
        need gnuplot-nox have gnuplot
        ;;
    lint)
        need cppcheck have cppcheck
        ;;
    *)
        echo "deps.sh: no group '$group'" >&2
        exit 2
        ;;
    esac
done

[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing (by the names of their Debian packages):$missing" >&2
    echo "This system has no apt-get: please install them in its own way, then try again." >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null 2>&1; then
    sudo=sudo
else
    echo "Missing packages:$missing" >&2
    echo "Neither root nor sudo here. As root, run: apt-get install$missing" >&2
    exit 1
fi

echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
install="$sudo apt-get install -y -q --no-install-recommends"
# The package lists are fetched only when the ones at hand don't do: that is the slow part.
$install $missing </dev/null >/dev/null 2>&1 || {
    $sudo apt-get update -q </dev/null
    $install $missing </dev/null
}
