# A function for tables in documents, to be sourced by the scripts that write them.
# shellcheck shell=sh

# table_write DOCUMENT NAME FILE: puts the file between the document's lines <!-- NAME: begin --> and
# <!-- NAME: end -->.
table_write() {
    if ! grep -q "^<!-- $2: begin -->\$" "$1" || ! grep -q "^<!-- $2: end -->\$" "$1"; then
        echo "$1 has no place for the table $2" >&2
        return 1
    fi
    awk -v begin="<!-- $2: begin -->" -v end="<!-- $2: end -->" -v file="$3" '
        $0 == end { inside = 0 }
        !inside { print }
        $0 == begin { inside = 1; while ((getline line < file) > 0) print line }
    ' "$1" >"$1.new"
    # Not moved, so that its owner and rights stay.
    cat "$1.new" >"$1"
    rm "$1.new"
}
