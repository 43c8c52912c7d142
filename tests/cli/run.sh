#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tests/cli/run.sh BUILD_DIR/ntk [--update] [NAME...]
#
# Each test is a script NAME.sh, run in an empty directory with the command `ntk` on its path and the
# functions of lib.sh. NAME.out is what it prints (standard output and error), line by line; a `*`
# there stands for any text. NAME.exit, if there is one, is its exit code (else 0); a script that
# ends with 77 is skipped. --update writes NAME.out anew and keeps the lines that still match.
set -u
[ $# -ge 1 ] || {
    echo "usage: tests/cli/run.sh BUILD_DIR/ntk [--update] [NAME...]" >&2
    exit 2
}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
ntk=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
update=no
[ "${1:-}" = --update ] && update=yes && shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" && ln -s "$ntk" "$work/bin/ntk"
PATH=$work/bin:$PATH
export PATH root
passed=0 failed=0 skipped=0

# Whether line $1 is what pattern $2, in which only `*` is special, describes.
matches() {
    [ "$1" = "$2" ] && return 0
    glob=$(printf '%s\n' "$2" | sed 's/[][?\\]/\\&/g')
    # shellcheck disable=SC2254
    case $1 in
    $glob) return 0 ;;
    esac
    return 1
}

# Compares file $1 with the expected lines in $2; prints the first line that differs.
compare() {
    number=0
    while :; do
        number=$((number + 1)) more=no wanted=no line='' pattern=''
        IFS= read -r line <&3 && more=yes
        IFS= read -r pattern <&4 && wanted=yes
        [ $more$wanted = nono ] && return 0
        if [ $more$wanted != yesyes ] || ! matches "$line" "$pattern"; then
            [ $wanted = yes ] || pattern='(end)'
            [ $more = yes ] || line='(end)'
            printf '    line %d\n    expected: %s\n    printed:  %s\n' $number "$pattern" "$line"
            return 1
        fi
    done 3<"$1" 4<"$2"
}

# The lines of file $1, each replaced by the first expected line of $2 that describes it.
merge() {
    while IFS= read -r line; do
        [ -f "$2" ] && while IFS= read -r pattern; do
            matches "$line" "$pattern" && line=$pattern && break
        done <"$2"
        printf '%s\n' "$line"
    done <"$1"
}

run_test() {
    name=$1
    mkdir "$work/dir"
    (cd "$work/dir" && sh -c '. "$0"; . "$1"' "$here/lib.sh" "$here/$name.sh") >"$work/out" 2>&1 </dev/null
    code=$?
    rm -rf "$work/dir"
    expected=0
    [ -f "$here/$name.exit" ] && expected=$(cat "$here/$name.exit")
    if [ $code -eq 77 ]; then
        echo "SKIP $name: $(tail -n 1 "$work/out")"
        skipped=$((skipped + 1))
        return
    fi
    if [ $update = yes ]; then
        merge "$work/out" "$here/$name.out" >"$work/new"
        mv "$work/new" "$here/$name.out"
    fi
    if why=$(compare "$work/out" "$here/$name.out" 2>&1) && [ $code -eq "$expected" ]; then
        echo "PASS $name"
        passed=$((passed + 1))
    else
        echo "FAIL $name: exit code $code, expected $expected"
        [ -z "$why" ] || printf '%s\n' "$why"
        failed=$((failed + 1))
    fi
}

if [ $# -eq 0 ]; then
    for script in "$here"/*.sh; do
        name=$(basename "$script" .sh)
        case $name in run | lib) ;; *) set -- "$@" "$name" ;; esac
    done
fi
for name in "$@"; do
    run_test "$name"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
