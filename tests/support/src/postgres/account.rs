//! Which operating system account the server programs run under: ours, or, as root, an
//! unprivileged one, because PostgreSQL refuses to run as root. It never changes our own account.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The account for server programs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    /// User and group to switch to; `None` when we are not root and stay who we are.
    switch_to: Option<(u32, u32)>,
    own_uid: u32,
}

impl Account {
    /// Ourselves, or `postgres` or else `nobody` when we are root.
    pub(super) fn find() -> Self {
        let own_uid = id(&["-u"]).expect("id -u must work");
        let switch_to = (own_uid == 0).then(|| {
            ["postgres", "nobody"]
                .iter()
                .find_map(|name| Some((id(&["-u", name])?, id(&["-g", name])?)))
                .expect("as root, PostgreSQL needs an account `postgres` or `nobody` to run under")
        });
        Self { switch_to, own_uid }
    }

    /// The user id that owns what the server writes.
    pub(super) fn uid(&self) -> u32 {
        self.switch_to.map_or(self.own_uid, |(uid, _)| uid)
    }

    /// A command that runs under this account, in a neutral directory and language, without
    /// anything libpq or the server would read from our environment, in a process group of its own
    /// so that Ctrl-C in a terminal reaches us first.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null()).process_group(0);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").env("TZ", "UTC");
        if let Some((uid, gid)) = self.switch_to {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives a file or directory to this account; nothing to do when it is ours already.
    pub(super) fn own(&self, path: &Path) {
        if let Some((uid, gid)) = self.switch_to {
            std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .unwrap_or_else(|error| panic!("cannot give {} away: {error}", path.display()));
        }
    }

    /// [`Account::own`] for a directory with all that is in it.
    pub(super) fn own_tree(&self, path: &Path) {
        if let Some((uid, gid)) = self.switch_to {
            let owner = format!("{uid}:{gid}");
            run(Command::new("chown").arg("-R").arg(owner).arg(path), "chown -R");
        }
    }
}

/// Runs a command to its end; panics with its output when it fails.
pub(super) fn run(command: &mut Command, what: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {what}: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!("{what} failed ({}):\n{stdout}{stderr}", output.status);
    }
    stdout
}

fn id(args: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(args).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
