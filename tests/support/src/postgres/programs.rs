//! Finds PostgreSQL's server programs. It never installs anything.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::run;

/// Directories that hold one directory per installed major version, and what to append to each.
const VERSIONED: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

/// Where the server programs are, and which version they have.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    bin: PathBuf,
    version: String,
}

impl Programs {
    /// Looks in `PGBIN`, then `PATH`, then the usual places of distributions, newest first.
    pub(super) fn find() -> Self {
        let bin = std::env::var_os("PGBIN")
            .map(PathBuf::from)
            .or_else(|| candidates().into_iter().find(|dir| complete(dir)))
            .filter(|dir| complete(dir))
            .expect(
                "PostgreSQL's server programs (initdb, postgres) were not found: \
                 install them (scripts/install-deps.sh) or set PGBIN to their directory",
            );
        let version =
            run(Command::new(bin.join("postgres")).arg("--version"), "postgres --version")
                .trim()
                .to_owned();
        Self { bin, version }
    }

    /// The path of one program.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// What `postgres --version` prints, such as `postgres (PostgreSQL) 15.6`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }
}

fn complete(dir: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| dir.join(program).is_file())
}

fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for (parent, prefix, suffix) in VERSIONED {
        let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(parent)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let number = name.strip_prefix(prefix)?.split('.').next()?.parse().ok()?;
                Some((number, entry.path().join(suffix)))
            })
            .collect();
        versions.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        dirs.extend(versions.into_iter().map(|(_, dir)| dir));
    }
    dirs
}
