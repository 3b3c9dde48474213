//! A shell that outlives the test process for a moment: when the pipe it reads ends, because the
//! cluster was dropped or because the process died in any way, it stops the server and removes the
//! directory. It never acts on a directory other than the one it was given.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `$1` is the cluster's directory. PostgreSQL removes its pid file when it is gone, which also
/// holds for a server that nobody reaps, so the file is what is waited for (up to 5 s).
const SCRIPT: &str = r#"
trap '' INT TERM HUP
while read -r _; do :; done
pidfile="$1/data/postmaster.pid"
if [ -f "$pidfile" ]; then
    pid=$(head -n 1 "$pidfile")
    kill -QUIT "$pid" 2>/dev/null
    tries=0
    while [ -f "$pidfile" ] && [ "$tries" -lt 100 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    [ -f "$pidfile" ] && kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
"#;

/// The running watchdog of one cluster.
#[derive(Debug)]
pub(super) struct Watchdog(Child);

impl Watchdog {
    /// Starts guarding `dir`, which it removes at the end.
    pub(super) fn start(dir: &Path) -> Self {
        let child = Command::new("sh")
            .arg("-c")
            .arg(SCRIPT)
            .arg("test-cluster-watchdog")
            .arg(dir)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the watchdog shell");
        Self(child)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
