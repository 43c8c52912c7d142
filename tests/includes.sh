#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tests/includes.sh
# No include points upwards (scripts/check_includes.py), and what does is found.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
passed=0 failed=0

# verdict NAME: of the command before it
verdict() {
    if [ "$?" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $1"
    fi
}

# finds LINE: the check of the files in $dir prints this line, and only it, and fails
finds() {
    python3 "$root/scripts/check_includes.py" "$dir" >"$dir/out" && return 1
    printf '%s\n' "$1" | diff - "$dir/out"
}

python3 "$root/scripts/check_includes.py"
verdict "includes of this repository"

mkdir -p "$dir/src/base" "$dir/src/simd" "$dir/src/ops" "$dir/cli" "$dir/lab"
printf '#include <stdio.h>\n/* #include "none.h" */\n' >"$dir/src/base/base.h"
printf '#include "base/base.h"\n' >"$dir/src/simd/simd.h"
python3 "$root/scripts/check_includes.py" "$dir" >"$dir/out"
verdict "includes that point downwards"

printf '#include "base/base.h"\n  #  include "ops/op.h"\n' >"$dir/src/simd/a.c"
: >"$dir/src/ops/op.h"
finds 'src/simd/a.c:2: src/simd must not include "ops/op.h": src/ops is above it'
verdict "an include that points upwards"

printf '#include "../lab/lab.h"\n' >"$dir/cli/cli.h"
: >"$dir/lab/lab.h"
rm "$dir/src/simd/a.c"
finds 'cli/cli.h:1: cli must not include "../lab/lab.h": lab is above it'
verdict "an include by a relative path"
rm "$dir/cli/cli.h"

printf '#include "none.h"\n' >"$dir/src/simd/b.c"
finds 'src/simd/b.c:1: "none.h" is no file of a folder in the order'
verdict "an include of no file"
rm "$dir/src/simd/b.c"

printf '#include "b.h"\n' >"$dir/src/ops/a.h"
printf '#include "ops/op.h"\n#include "ops/a.h"\n' >"$dir/src/ops/b.h"
finds 'these include each other in a circle: src/ops/a.h, src/ops/b.h'
verdict "a circle"
rm "$dir/src/ops/a.h" "$dir/src/ops/b.h"

mkdir "$dir/src/new"
: >"$dir/src/new/new.h"
finds 'src/new/new.h: its folder is not in the order of scripts/check_includes.py: add it'
verdict "a new folder"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
