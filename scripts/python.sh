# Functions about Python, to be sourced by scripts.
# shellcheck shell=sh

# Prints a Python that has psycopg 3: PYTHON, then that of PATH, then the system's own, for which
# package managers install it.
python_with_psycopg() {
    for _python in ${PYTHON:-} python3 /usr/bin/python3; do
        if "$_python" -c 'import psycopg' 2>/dev/null; then
            printf '%s\n' "$_python"
            return 0
        fi
    done
    return 1
}
