//! Finding PostgreSQL's server programs on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where distributions put versioned installations; `*` stands for one directory.
const INSTALLATIONS: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr", "bin"),
    ("/usr/local/opt", "bin"),
    ("/opt/homebrew/opt", "bin"),
];

/// The directory that holds `initdb` and `postgres`, the newest version first.
pub(super) fn find() -> Result<PathBuf, String> {
    let complete = |dir: &PathBuf| dir.join("initdb").is_file() && dir.join("postgres").is_file();
    let mut found: Vec<PathBuf> = INSTALLATIONS
        .iter()
        .flat_map(|(root, bin)| subdirectories(Path::new(root)).map(move |dir| dir.join(bin)))
        .filter(|dir| {
            dir.to_string_lossy().contains("postgres") || dir.to_string_lossy().contains("pgsql")
        })
        .filter(complete)
        .collect();
    found.sort_by_key(|dir| std::cmp::Reverse(version(dir)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(complete);
    found.into_iter().next().or(on_path).ok_or_else(|| {
        "PostgreSQL's server programs (initdb, postgres) are not on this machine; install them, \
         for instance with `apt-get install postgresql` or `make demo`"
            .to_owned()
    })
}

fn subdirectories(root: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The version number in a path such as `/usr/lib/postgresql/15/bin`.
fn version(dir: &Path) -> u32 {
    let text = dir.to_string_lossy();
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).max().unwrap_or(0)
}

/// Whether this process is root: PostgreSQL refuses to run as root.
pub(super) fn am_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// A user to run the server as when we are root.
pub(super) fn unprivileged_user() -> Option<&'static str> {
    ["postgres", "nobody"].into_iter().find(|user| {
        Command::new("id").args(["-u", user]).output().is_ok_and(|o| o.status.success())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_sort_higher() {
        assert!(
            version(Path::new("/usr/lib/postgresql/15/bin"))
                > version(Path::new("/usr/lib/postgresql/9.6/bin"))
        );
        assert_eq!(version(Path::new("/usr/bin")), 0);
    }
}
