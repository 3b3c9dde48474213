//! The demo's directory, and the guard that empties it however this process ends.
//!
//! The guard is a small shell that reads a pipe of ours. When the pipe ends, because a [`Scratch`]
//! was dropped or because this process was killed, it stops every program that runs in its process
//! group and removes the directory. It never touches anything else.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::account::Account;
use super::error::DemoError;

/// `$1` is the directory. SIGINT is PostgreSQL's fast shutdown, and ends initdb; a server removes
/// its pid file when it is done, for which it gets 10 s.
const GUARD: &str = r#"
trap '' INT TERM HUP
while read -r _; do :; done
kill -s INT 0
pid_file=$1/data/postmaster.pid
tries=0
while [ -f "$pid_file" ] && [ "$tries" -lt 200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
[ ! -f "$pid_file" ] || kill -s KILL "$(head -n 1 "$pid_file")"
# What was started in the background of a script ignores SIGINT.
kill -s TERM 0
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
"#;

/// A directory with whatever runs in it. Dropped, all of it is gone.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    guard: Child,
}

impl Scratch {
    /// Makes the directory, owned by `account` and closed to everybody else.
    pub(super) fn new(account: Account) -> Result<Self, DemoError> {
        let directory = tempfile::Builder::new()
            .prefix("rr-pgpool-demo-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(DemoError::Directory)?;
        account.own(directory.path()).map_err(DemoError::Directory)?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "rr-pgpool-demo-guard"])
            .arg(directory.path())
            .current_dir("/")
            // Ctrl-C in a terminal is for us alone; PostgreSQL goes when we have stopped serving.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(DemoError::run("sh"))?;
        // From here on the guard removes it.
        Ok(Self { path: directory.keep(), guard })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The process group whose programs the guard stops.
    pub(super) fn process_group(&self) -> i32 {
        self.guard.id().cast_signed()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // The script's own limits end it.
        let _ = self.guard.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn scratch() -> Scratch {
        Scratch::new(Account::find().await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn dropping_it_stops_its_group_and_removes_the_directory() {
        let scratch = scratch().await;
        let path = scratch.path().to_owned();
        std::fs::write(path.join("file"), "content").unwrap();
        let mut sleeper = Command::new("sleep")
            .arg("600")
            .process_group(scratch.process_group())
            .spawn()
            .unwrap();
        drop(scratch);
        assert!(!sleeper.wait().unwrap().success());
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn strangers_are_not_let_in() {
        let scratch = scratch().await;
        let mode = std::fs::metadata(scratch.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
