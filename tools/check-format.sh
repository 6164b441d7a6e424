#!/bin/sh
# check-format.sh FILE...: shows what clang-format would change.
if [ "$1" = --one ]; then # by itself, several at once
    clang-format "$2" | diff -u --label "$2" --label "$2 (formatted)" "$2" -
    exit
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
printf '%s\n' "$@" | xargs -P 4 -I FILE sh -c "'$0' --one FILE || echo 'not as clang-format has it: FILE'" >"$log"
cat "$log"
failed=$(grep -c '^not as clang-format has it: ' "$log")
echo "$(($# - failed)) passed, $failed failed"
[ "$failed" = 0 ]
