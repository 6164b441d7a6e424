#!/bin/sh
# Every function that the library calls is one that tests can make fail (test/harness/calls.def), or
# is on the list below of those that need no test: they can't fail, or not for a reason of the
# system's. So a new system call is not used before a test can make it fail.

cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
passed=0
failed=0
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT

result() { # NAME STATUS
    if [ "$2" = 0 ]; then
        passed=$((passed + 1)) && echo "ok $1"
    else
        failed=$((failed + 1)) && echo "FAIL $1"
    fi
}

# Fails when there is something on standard input, and shows it after the words given.
nothing() { ! sed "s/^/$*: /" | grep .; }

# Anchored patterns, one a line. Other libraries: what they answer is tested where they are used.
cat > "$work/harmless" <<'END'
_GLOBAL_OFFSET_TABLE_
__(asan|tsan|ubsan|lsan|sanitizer|stack_chk)_.*
ev_.*
llhttp_.*
(SSL|TLS|X509|BIO|ERR|ASN1|GENERAL|OPENSSL|CRYPTO|EVP|PEM|BN|OBJ|SHA|RAND)_.*
(OPENSSL|TLS)[a-z_]+.*
ares_.*
(de|in)flate[A-Za-z0-9_]*
wslay_frame_.*
__errno_location
__tls_get_addr
__sched_cpucount
__ctype_.*_loc
__isoc(99|23)_(sscanf|strto.*)
abort
(mem|str)[a-z]+
bcmp
[hn]to[hn][ls]
__cmsg_nxthdr
gnu_dev_makedev
strto[a-z]+
bsearch
qsort
(malloc|calloc|realloc|free)
(f|v|sn|vsn|vf)printf
f(flush|putc|puts|write)
stdout
stderr
clock_gettime
gmtime_r
localtime_r
getpid
getauxval
getenv
secure_getenv
inet_ntop
inet_pton
if_nametoindex
if_indextoname
inflate(Init2_|Reset|End)?
freeaddrinfo
freeifaddrs
gai_strerror
getservbyname_r
sched_getaffinity
sched_yield
setpriority
sysconf
umask
isatty
atexit
raise
cfmakeraw
get(pgrp|sid)
sig(add|del|empty|fill|is)(set|member)
sigtimedwait
pthread_(sigmask|self|join|detach|once|equal|setname_np|atfork|kill)
pthread_(attr|cond|condattr|mutex|mutexattr)_[a-z]+
END

known=$(sed -n 's/^CALL[A-Z_]*(\(.*\))/\1/p' test/harness/calls.def)
for name in $known; do echo "$name"; done > "$work/known"

nm "$BUILD/librondo.a" > "$work/symbols" || exit 1
awk '$1 == "U" { print $2 }' "$work/symbols" | sort -u > "$work/used"
awk 'NF == 3 && $2 ~ /[TDBRVW]/ { print $3 }' "$work/symbols" | sort -u > "$work/own"

comm -23 "$work/used" "$work/own" | grep -vxE -f "$work/harmless" | grep -vxF -f "$work/known" |
    nothing "no test can make this fail"
result every_call_is_known $?

# What the linker did: no call of the library reaches the C library directly.
sed -n 's/^CALL(\(.*\))/\1/p' test/harness/calls.def > "$work/wrapped"
nm -u "$BUILD/obj/test/librondo.o" | awk '{ print $2 }' | grep -xF -f "$work/wrapped" |
    nothing "not replaced"
result every_known_call_is_replaced $?

# Of the pattern, so that a list that matches everything is noticed.
printf 'read\nsend\nopen\nmmap\nfork\nkill\n' | grep -xE -f "$work/harmless" |
    nothing "not harmless"
result the_list_is_narrow $?

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
