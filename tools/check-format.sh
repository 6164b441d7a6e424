#!/bin/sh
# check-format.sh FILE...: shows what clang-format would change.
passed=0
failed=0
for file in "$@"; do
    if clang-format "$file" | diff -u --label "$file" --label "$file (formatted)" "$file" -; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
