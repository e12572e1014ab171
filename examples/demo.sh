#!/usr/bin/env bash
# `make demo`: the compile example for real, in a temporary folder that is removed afterwards.
set -euo pipefail

examples=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

bold='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; fi

say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
show() {
    printf '\n%s$ %s%s\n' "$bold" "$*" "$plain"
    bash -c "$*"
}

if ! command -v gcc >/dev/null; then
    say "gcc is not installed, so this is the hello example; with gcc it would be the compile example"
    cp "$examples"/01_hello_world/*.py "$folder"
    cd "$folder"
    say "the first run: three jobs"
    show redun run hello_world.py main
    say "again: all of them from the cache"
    show redun run hello_world.py main
    say "another argument: get_planet does not depend on it"
    show redun run hello_world.py main --greet Hi
    say "other code: only what depends on it runs"
    show "sed -i 's|World|Venus|' hello_world.py"
    show redun run hello_world.py main
    say "what has been run"
    show redun log
    show redun log -
    exit
fi

cp "$examples"/02_compile/*.[ch] "$examples"/02_compile/*.py "$folder"
cd "$folder"
say "two programs that share lib.c: nine jobs, lib.c is compiled once"
show redun run make.py make
show "./prog; ./prog2"
say "again: all nine from the cache"
show redun run make.py make
say "edit the library: lib.c is compiled, both programs are linked, the rest is replayed"
show "sed -i 's|Hello|Goodbye|' lib.c"
show redun run make.py make
show "./prog; ./prog2"
say "delete a program: only its link runs"
show rm prog
show redun run make.py make
say "what has been run, and where prog comes from"
show redun log
show redun log prog
