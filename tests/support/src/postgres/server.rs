//! One `postgres` process: start it on a port, wait until it is ready, signal it, reap it. It
//! never decides which port or which settings.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::account::{Account, run};
use super::programs::Programs;

/// How long a start or a stop may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// How to stop a server, in the terms of `pg_ctl stop -m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits until every client has disconnected by itself.
    Smart,
    /// Ends the clients' backends, then shuts down cleanly.
    Fast,
    /// Ends at once; the next start recovers from the log, as after a crash.
    Immediate,
}

impl StopMode {
    const fn signal(self) -> &'static str {
        match self {
            Self::Smart => "TERM",
            Self::Fast => "INT",
            Self::Immediate => "QUIT",
        }
    }
}

/// Why a server did not start.
#[derive(Debug)]
pub(super) enum StartError {
    /// Somebody else has the port.
    PortTaken,
    /// Everything else, with the server's log.
    Failed(String),
}

/// A running server process.
#[derive(Debug)]
pub(super) struct Server(Child);

impl Server {
    /// Starts the server of `dir` (which holds `data` and is where the socket goes) on `port` and
    /// returns once it accepts connections.
    pub(super) fn start(
        dir: &Path,
        port: u16,
        programs: &Programs,
        account: &Account,
    ) -> Result<Self, StartError> {
        let log = log_file(dir);
        let from = std::fs::metadata(&log).map_or(0, |meta| meta.len());
        let file = std::fs::File::options().create(true).append(true).open(&log);
        let file = file.unwrap_or_else(|error| panic!("cannot open {}: {error}", log.display()));
        let child = account
            .command(&programs.path("postgres"))
            .arg("-D")
            .arg(dir.join("data"))
            .args(["-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start postgres: {error}"));
        let mut server = Self(child);
        match server.wait_ready(dir) {
            Ok(()) => Ok(server),
            Err(why) => {
                let _ = server.0.kill();
                let _ = server.0.wait();
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                let said = log.get(usize::try_from(from).unwrap_or(0)..).unwrap_or_default();
                if said.contains("Address already in use") {
                    return Err(StartError::PortTaken);
                }
                Err(StartError::Failed(format!("{why}; the server's log:\n{said}")))
            }
        }
    }

    fn wait_ready(&mut self, dir: &Path) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.0.try_wait() {
                return Err(format!("postgres ended while starting ({status})"));
            }
            if is_ready(dir, self.0.id()) {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        Err(format!("postgres was not ready after {PATIENCE:?}"))
    }

    /// Whether the process still runs.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Stops the server and returns when it is gone.
    pub(super) fn stop(mut self, mode: StopMode) {
        self.signal(mode.signal());
        let deadline = Instant::now() + PATIENCE;
        while self.is_running() {
            if Instant::now() > deadline {
                let _ = self.0.kill();
                let _ = self.0.wait();
                panic!("postgres did not stop ({mode:?}) within {PATIENCE:?}");
            }
            std::thread::sleep(POLL);
        }
    }

    /// Tells the server to read its configuration files again.
    pub(super) fn reload(&self) {
        self.signal("HUP");
    }

    fn signal(&self, name: &str) {
        // The shell's built-in: the only way to send a signal without unsafe code or a crate.
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -s \"$1\" \"$2\"", "kill", name, &self.0.id().to_string()]);
        run(&mut kill, "kill");
    }
}

/// Where the server writes its log.
pub(super) fn log_file(dir: &Path) -> PathBuf {
    dir.join("postgres.log")
}

/// The pid file is the server's own account of itself, and what `pg_ctl -w` waits for: its first
/// line is the pid, its eighth the state.
fn is_ready(dir: &Path, pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(dir.join("data/postmaster.pid")) else { return false };
    let mut lines = text.lines();
    let same = lines.next().and_then(|line| line.trim().parse().ok()) == Some(pid);
    same && lines.nth(6).is_some_and(|state| state.trim() == "ready")
}
