//! Finding PostgreSQL's server programs on this machine. It never installs anything.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::DemoError;

/// Where a system keeps one directory for each major version.
struct Place {
    parent: &'static str,
    /// What a version's directory is called before its number.
    prefix: &'static str,
    /// Where the programs are inside it.
    bin: &'static str,
}

const PLACES: [Place; 7] = [
    // Debian, Ubuntu
    Place { parent: "/usr/lib/postgresql", prefix: "", bin: "bin" },
    // Fedora and RHEL with the packages of postgresql.org
    Place { parent: "/usr", prefix: "pgsql-", bin: "bin" },
    // Alpine
    Place { parent: "/usr/libexec", prefix: "postgresql", bin: "" },
    // openSUSE
    Place { parent: "/usr/lib", prefix: "postgresql", bin: "bin" },
    // macOS: Homebrew on Apple silicon and on Intel, Postgres.app
    Place { parent: "/opt/homebrew/opt", prefix: "postgresql@", bin: "bin" },
    Place { parent: "/usr/local/opt", prefix: "postgresql@", bin: "bin" },
    Place { parent: "/Applications/Postgres.app/Contents/Versions", prefix: "", bin: "bin" },
];

/// The directory that holds `initdb` and `postgres`: PGBIN when it is set, else the first in PATH,
/// else the newest in the usual places.
pub(super) fn find() -> Result<PathBuf, DemoError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_in(std::env::var_os("PGBIN").as_deref(), &path, Path::new("/"))
}

/// [`find`] with everything that it looks at; the places are below `root`.
fn find_in(pgbin: Option<&OsStr>, path: &OsStr, root: &Path) -> Result<PathBuf, DemoError> {
    if let Some(dir) = pgbin.filter(|dir| !dir.is_empty()).map(PathBuf::from) {
        let wrong = DemoError::WrongBin(dir.display().to_string());
        return if is_complete(&dir) { Ok(dir) } else { Err(wrong) };
    }
    let on_path = std::env::split_paths(path).find(|dir| is_complete(dir));
    on_path.or_else(|| newest(root)).ok_or(DemoError::NoPrograms)
}

fn is_complete(dir: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| dir.join(program).is_file())
}

fn newest(root: &Path) -> Option<PathBuf> {
    let mut found: Vec<_> = PLACES.iter().flat_map(|place| versions(root, place)).collect();
    found.sort_by_key(|(version, _)| Reverse(*version));
    found.into_iter().map(|(_, dir)| dir).find(|dir| is_complete(dir))
}

/// The versions at one place: number and directory of the programs.
fn versions(root: &Path, place: &Place) -> Vec<(u32, PathBuf)> {
    let parent = root.join(place.parent.trim_start_matches('/'));
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = major_version(name.strip_prefix(place.prefix)?)?;
            Some((version, entry.path().join(place.bin)))
        })
        .collect()
}

/// `16` of `16`, 9 of `9.6`; nothing of `latest`.
fn major_version(text: &str) -> Option<u32> {
    text.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root directory in which `dirs` hold both programs.
    fn machine(dirs: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for dir in dirs {
            let dir = root.path().join(dir);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("initdb"), "").unwrap();
            fs::write(dir.join("postgres"), "").unwrap();
        }
        root
    }

    fn found(root: &Path) -> String {
        let dir = find_in(None, OsStr::new(""), root).unwrap();
        dir.strip_prefix(root).unwrap().to_str().unwrap().trim_end_matches('/').to_owned()
    }

    #[test]
    fn every_system_has_its_place() {
        for dir in [
            "usr/lib/postgresql/15/bin",
            "usr/pgsql-17/bin",
            "usr/libexec/postgresql16",
            "usr/lib/postgresql17/bin",
            "opt/homebrew/opt/postgresql@16/bin",
            "usr/local/opt/postgresql@14/bin",
            "Applications/Postgres.app/Contents/Versions/17/bin",
        ] {
            assert_eq!(found(machine(&[dir]).path()), dir);
        }
    }

    #[test]
    fn the_newest_complete_version_wins() {
        let root = machine(&["usr/lib/postgresql/9.6/bin", "usr/lib/postgresql/15/bin"]);
        fs::create_dir_all(root.path().join("usr/lib/postgresql/16/bin")).unwrap();
        fs::create_dir_all(root.path().join("usr/lib/postgresql/latest/bin")).unwrap();
        assert_eq!(found(root.path()), "usr/lib/postgresql/15/bin");
    }

    #[test]
    fn pgbin_comes_before_path_and_path_before_the_places() {
        let root = machine(&["own", "path", "usr/lib/postgresql/15/bin"]);
        let dir = |name: &str| root.path().join(name);
        let (own, path) = (dir("own"), dir("path"));
        let find = |pgbin: Option<&Path>| {
            find_in(pgbin.map(Path::as_os_str), path.as_os_str(), root.path())
        };
        assert_eq!(find(Some(&own)).unwrap(), own);
        assert_eq!(find(Some(Path::new(""))).unwrap(), path);
        assert_eq!(find(None).unwrap(), path);
        assert!(matches!(find(Some(&dir("elsewhere"))), Err(DemoError::WrongBin(_))));
    }

    #[test]
    fn a_machine_without_them_is_told_how_to_get_them() {
        let error = find_in(None, OsStr::new(""), machine(&[]).path()).unwrap_err();
        assert!(error.to_string().contains("apt-get install postgresql"), "{error}");
    }
}
