#!/bin/sh
# Builds what is released, into dist/: a tarball with the program, linked statically, and what
# belongs to it; a Debian package where dpkg-deb is there; SHA256SUMS. For this machine's processor.
#
# The same commit, toolchain and musl give the same bytes, in whatever directory they are built:
# times are the commit's (or SOURCE_DATE_EPOCH), and no path of this machine is in them.
#
#   DIST_PROGRAM_ONLY=1: nothing but the program, dist/rr-pgpool
set -eu
cd "$(dirname "$0")/.."

say() { printf 'dist: %s\n' "$*"; }
fail() { printf 'dist: %s\n' "$*" >&2; exit 1; }

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
machine=$(uname -m)
case "$(uname -s)/$machine" in
    Linux/x86_64) deb=amd64 ;;
    Linux/aarch64) deb=arm64 ;;
    *) fail "releases are built on Linux, for x86_64 or aarch64; this is $(uname -s) on $machine" ;;
esac
target=$machine-unknown-linux-musl
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

# ---- the program ----

command -v musl-gcc >/dev/null || fail "musl-gcc is missing, for ring's C: apt-get install musl-tools"
if ! [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    command -v rustup >/dev/null || fail "Rust's standard library for $target is missing, and no rustup here"
    say "running: rustup target add $target"
    rustup target add "$target"
fi
root=$(pwd -P)
cargo_home=$(cd "${CARGO_HOME:-$HOME/.cargo}" && pwd -P)
separator=$(printf '\037')
CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$cargo_home=/cargo${separator}--remap-path-prefix=$root=/rr-pgpool"
map="-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$root=/rr-pgpool"
export CARGO_ENCODED_RUSTFLAGS
export CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_INCREMENTAL=0
export "CC_$(echo "$target" | tr - _)=musl-gcc" "CFLAGS_$(echo "$target" | tr - _)=$map"
say "building rr-pgpool $version for $target"
cargo build --release --locked --target "$target" --package rr-pgpool
program=${CARGO_TARGET_DIR:-target}/$target/release/rr-pgpool
rm -rf dist
mkdir dist
if [ -n "${DIST_PROGRAM_ONLY:-}" ]; then
    cp "$program" dist/
    exit 0
fi

# ---- what belongs to it ----

stage=$(mktemp -d "${TMPDIR:-/tmp}/rr-pgpool-dist.XXXXXX")
trap 'rm -rf "$stage"' EXIT
umask 022
name=rr-pgpool-$version-linux-$machine
tree=$stage/$name
mkdir -p "$tree/man" "$tree/completions"
cp "$program" LICENSE README.md CHANGELOG.md rr.yaml.example schema.json packaging/rr-pgpool.service packaging/rr.yaml "$tree"
cp -R docs "$tree/docs"
"$program" man "$tree/man"
"$program" completions bash >"$tree/completions/rr-pgpool.bash"
"$program" completions zsh >"$tree/completions/_rr-pgpool"
"$program" completions fish >"$tree/completions/rr-pgpool.fish"

# Puts a directory's content into a tarball that depends on nothing else.
pack() {
    tar --directory "$1" --sort=name --owner=0 --group=0 --numeric-owner --mode=go=u-w \
        --mtime="@$SOURCE_DATE_EPOCH" --format=gnu --create "$2" | gzip --no-name --best
}
pack "$stage" "$name" >"dist/$name.tar.gz"

# ---- the Debian package ----

if command -v dpkg-deb >/dev/null; then
    package=$stage/deb
    put() { mkdir -p "$(dirname "$package/$2")"; cp -R "$1" "$package/$2"; }
    put "$tree/rr-pgpool" usr/bin/rr-pgpool
    put packaging/rr-pgpool.service usr/lib/systemd/system/rr-pgpool.service
    put packaging/rr-pgpool.sysusers usr/lib/sysusers.d/rr-pgpool.conf
    put packaging/rr.yaml etc/rr-pgpool/rr.yaml
    put "$tree/completions/rr-pgpool.bash" usr/share/bash-completion/completions/rr-pgpool
    put "$tree/completions/_rr-pgpool" usr/share/zsh/vendor-completions/_rr-pgpool
    put "$tree/completions/rr-pgpool.fish" usr/share/fish/vendor_completions.d/rr-pgpool.fish
    put LICENSE usr/share/doc/rr-pgpool/copyright
    put CHANGELOG.md usr/share/doc/rr-pgpool/CHANGELOG.md
    put rr.yaml.example usr/share/doc/rr-pgpool/rr.yaml.example
    put README.md usr/share/doc/rr-pgpool/README.md
    put docs usr/share/doc/rr-pgpool/docs
    for page in "$tree"/man/*.1; do
        put "$page" "usr/share/man/man1/$(basename "$page")"
    done
    gzip --no-name --best "$package"/usr/share/man/man1/*.1
    mkdir "$package/DEBIAN"
    size=$(du -sk --apparent-size "$package" | cut -f1)
    sed "s/@VERSION@/$version/; s/@ARCH@/$deb/; s/@SIZE@/$size/" packaging/debian/control \
        >"$package/DEBIAN/control"
    echo /etc/rr-pgpool/rr.yaml >"$package/DEBIAN/conffiles"
    cp packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm "$package/DEBIAN"
    (cd "$package" && find . -path ./DEBIAN -prune -o -type f ! -path './etc/*' -printf '%P\n' \
        | LC_ALL=C sort | xargs md5sum >DEBIAN/md5sums)
    chmod -R go=u-w "$package"
    find "$package" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz --build "$package" "dist/rr-pgpool_${version}_$deb.deb" >/dev/null
else
    say "no dpkg-deb here: no Debian package"
fi

(cd dist && sha256sum -- * >SHA256SUMS)
say "in dist/:"
cat dist/SHA256SUMS
