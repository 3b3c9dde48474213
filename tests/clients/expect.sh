# Functions for the checks of the shell tests, to be sourced by them. A failed check is told on
# standard error and counted; the test goes on.
# shellcheck shell=sh

checks=0
failures=0

# same WHAT EXPECTED FOUND
same() {
    checks=$((checks + 1))
    [ "$2" != "$3" ] || return 0
    failures=$((failures + 1))
    printf 'FAILED: %s\n--- expected\n%s\n--- found\n%s\n---\n' "$1" "$2" "$3" >&2
}

# holds WHAT TEXT FOUND: whether the text is a part of what was found.
holds() {
    case "$3" in
        *"$2"*) checks=$((checks + 1)) ;;
        *) same "$1" "(something with) $2" "$3" ;;
    esac
}

# await COMMAND...: until the command succeeds; false when it does not within 20 s.
await() {
    _left=400
    until "$@"; do
        _left=$((_left - 1))
        [ "$_left" -gt 0 ] || return 1
        sleep 0.05
    done
}

# direct SQL: what PostgreSQL itself says.
direct() { psql -XAt "$DIRECT" -c "$1"; }

# finish NAME: ends the test.
finish() {
    if [ "$failures" -eq 0 ]; then
        echo "$1: $checks checks passed"
        exit 0
    fi
    echo "$1: $failures of $checks checks FAILED" >&2
    exit 1
}
