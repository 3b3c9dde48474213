//! The account that PostgreSQL's programs run under: ours, or an unprivileged one when we are
//! root, since PostgreSQL refuses to run as root. It never changes the account of this process.

use std::io;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::error::DemoError;

/// Who runs PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    /// User and group to switch to; `None`: stay who we are.
    switch_to: Option<(u32, u32)>,
}

impl Account {
    /// Ourselves; when we are root, `postgres` or else `nobody`.
    pub(super) async fn find() -> Result<Self, DemoError> {
        if id(&["-u"]).await != Some(0) {
            return Ok(Self { switch_to: None });
        }
        for name in ["postgres", "nobody"] {
            if let (Some(user), Some(group)) = (id(&["-u", name]).await, id(&["-g", name]).await) {
                return Ok(Self { switch_to: Some((user, group)) });
            }
        }
        Err(DemoError::NoAccount)
    }

    /// A command under this account that reads nothing from our terminal, and nothing of what
    /// PostgreSQL would read from our environment.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // The account may not be allowed to enter where we are.
        command.current_dir("/").stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if let Some((user, group)) = self.switch_to {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes this account the owner of `path`.
    pub(super) fn own(self, path: &Path) -> io::Result<()> {
        match self.switch_to {
            Some((user, group)) => chown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }
}

/// What `id` prints, when that is a number.
async fn id(args: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(args).stderr(Stdio::null()).output().await.ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
