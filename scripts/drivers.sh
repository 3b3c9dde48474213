# Functions for the driver tests, to be sourced by scripts: which drivers there are, install or build
# one below target/drivers, run it. tests/drivers/README.md says what a driver's program does.
# shellcheck shell=sh

# One of each language, those that speak the protocol in the most different ways; and all.
# shellcheck disable=SC2034 # scripts/test-matrix.sh reads it
drivers_one="asyncpg pg pgx jdbc tokio-postgres pgsql"
drivers_all="psycopg psycopg2 asyncpg sqlalchemy pg postgres pgx libpq jdbc tokio-postgres sqlx pdo pgsql"

drivers_dir=tests/drivers
drivers_cache=target/drivers

# The names of the behaviours, from the table in the README.
# shellcheck disable=SC2016 # the quotes are those of the table
driver_behaviours() { sed -n 's/^| `\([a-z_]*\)` .*/\1/p' $drivers_dir/README.md; }

driver_language() {
    case "$1" in
        psycopg | psycopg2 | asyncpg | sqlalchemy) echo python ;;
        pg | postgres) echo node ;;
        pgx | libpq) echo go ;;
        jdbc) echo java ;;
        tokio-postgres | sqlx) echo rust ;;
        pdo | pgsql) echo php ;;
        *) echo "no driver is called $1 ($drivers_all)" >&2; return 1 ;;
    esac
}

# driver_lacks LANGUAGE: prints which tool of it is not there.
driver_lacks() {
    case "$1" in
        python) python3 -c 'import venv, ensurepip' 2>/dev/null || echo "Python 3 with venv and pip" ;;
        node) { node --version && npm --version; } >/dev/null 2>&1 || echo "node and npm" ;;
        go) driver_has_go || echo "Go $driver_go_needed or newer" ;;
        java) { javac -version && command -v mvn; } >/dev/null 2>&1 || echo "a JDK and Maven" ;;
        rust) cargo --version >/dev/null 2>&1 || echo cargo ;;
        php) php -r 'exit(extension_loaded("pgsql") && extension_loaded("pdo_pgsql") ? 0 : 1);' \
            2>/dev/null || echo "PHP with pgsql and pdo_pgsql" ;;
    esac
}

driver_go() { PATH=$PATH:/usr/local/go/bin:$HOME/go/bin go "$@"; }

driver_has_go() {
    driver_go_needed=$(sed -n 's/^go //p' $drivers_dir/go/go.mod)
    _found=$(driver_go env GOVERSION 2>/dev/null | sed 's/^go//')
    [ -n "$_found" ] && [ "$(printf '%s\n' "$driver_go_needed" "$_found" | sort -V | head -n 1)" = "$driver_go_needed" ]
}

# driver_unchanged DIR FILE...: whether what is in DIR was made from these files as they are.
driver_unchanged() {
    _kept=$1
    shift
    [ -f "$_kept/made-from" ] && cat "$@" | cmp -s - "$_kept/made-from"
}

# driver_prepare LANGUAGE DRIVERS: installs and builds what its drivers need, if it is not there.
driver_prepare() {
    _source=$drivers_dir/$1
    _cache=$drivers_cache/$1
    mkdir -p "$_cache"
    case "$1" in
        python)
            # The Python that made it may be gone.
            if driver_unchanged "$_cache" "$_source/requirements.txt" && "$_cache/bin/python" -c ''; then
                return 0
            fi
            python3 -m venv --clear "$_cache"
            "$_cache/bin/pip" install --quiet --disable-pip-version-check -r "$_source/requirements.txt"
            cp "$_source/requirements.txt" "$_cache/made-from"
            ;;
        node)
            driver_unchanged "$_cache" "$_source/package-lock.json" && return 0
            cp "$_source/package.json" "$_source/package-lock.json" "$_cache"
            npm ci --silent --no-audit --no-fund --prefix "$_cache"
            cp "$_source/package-lock.json" "$_cache/made-from"
            ;;
        go)
            _cache=$PWD/$_cache
            (
                cd "$_source" || exit
                driver_go vet -mod=readonly ./...
                driver_go build -mod=readonly -o "$_cache/" ./pgx ./libpq
            )
            ;;
        java)
            if ! driver_unchanged "$_cache" "$_source/pom.xml"; then
                rm -rf "$_cache"
                mkdir -p "$_cache"
                mvn --batch-mode --file "$_source/pom.xml" dependency:copy-dependencies \
                    -DoutputDirectory="$PWD/$_cache/lib" >"$_cache/mvn.log" || { cat "$_cache/mvn.log" >&2; return 1; }
                cp "$_source/pom.xml" "$_cache/made-from"
            fi
            javac -Xlint:all -Werror -cp "$_cache/lib/*" -d "$_cache/classes" "$_source"/*.java
            ;;
        rust)
            _features=""
            case " $2 " in *" sqlx "*) _features="--features sqlx" ;; esac
            # shellcheck disable=SC2086
            CARGO_TARGET_DIR=$_cache cargo build --quiet --locked \
                --manifest-path "$_source/Cargo.toml" $_features
            ;;
        php) ;;
    esac
}

# driver_run DRIVER BEHAVIOUR...: its program, which a hanging driver does not keep for ever.
driver_run() {
    _name=$1
    shift
    _language=$(driver_language "$_name")
    _source=$drivers_dir/$_language
    _cache=$drivers_cache/$_language
    _limit=""
    ! command -v timeout >/dev/null 2>&1 || _limit="timeout -k 5 ${DRIVER_TIMEOUT:-180}"
    case "$_language" in
        python) $_limit "$_cache/bin/python" -B "$_source/run_$_name.py" "$@" ;;
        node) NODE_PATH=$_cache/node_modules $_limit node "$_source/$_name.js" "$@" ;;
        go) $_limit "$_cache/$_name" "$@" ;;
        java) $_limit java -cp "$_cache/classes:$_cache/lib/*" Jdbc "$@" ;;
        rust) $_limit "$_cache/debug/$_name" "$@" ;;
        php) $_limit php "$_source/run.php" "$_name" "$@" ;;
    esac
}
