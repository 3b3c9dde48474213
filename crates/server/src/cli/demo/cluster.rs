//! The demo's PostgreSQL: made, started, filled, and removed with everything in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::programs;

/// How long the server may take to accept its first session.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);
/// In the name of the socket file only: the server listens on no TCP port.
const PORT: u16 = 5432;

/// What the sample tables hold; run by the server in single-user mode, one statement per line.
const SAMPLE_DATA: &str = include_str!("sample.sql");

/// A running throw-away cluster. Dropped, it is stopped and removed.
pub(super) struct Cluster {
    directory: TempDir,
    server: Child,
    version: String,
}

impl Cluster {
    pub(super) fn start() -> Result<Self, String> {
        let programs = programs::find()?;
        let user = if programs::am_root() {
            let none =
                "running as root, and PostgreSQL needs another user: create one named postgres";
            Some(programs::unprivileged_user().ok_or(none)?)
        } else {
            None
        };
        let directory = tempfile::Builder::new()
            .prefix("rr-pgpool-demo-")
            .tempdir()
            .map_err(|error| format!("cannot create a directory: {error}"))?;
        if let Some(user) = user {
            run(Command::new("chown").arg(user).arg(directory.path()))?;
        }
        let data = directory.path().join("data");
        let options = ["--no-sync", "--auth=trust", "--username=demo", "--encoding=UTF8", "-D"];
        run(as_user(user, &programs.join("initdb")).args(options).arg(&data))?;
        fill(user, &programs, &data)?;
        let server = as_user(user, &programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(directory.path())
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "unix_socket_permissions=0777",
            ])
            .args(["-p", &PORT.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log_file(directory.path())?)
            .spawn()
            .map_err(|error| format!("cannot start postgres: {error}"))?;
        let version = fs::read_to_string(data.join("PG_VERSION")).unwrap_or_default();
        let mut cluster = Self { directory, server, version: version.trim().to_owned() };
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    pub(super) fn dsn(&self) -> String {
        format!("host={} port={PORT} user=demo dbname=postgres", self.directory.path().display())
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The server writes `ready` into its pid file when it accepts sessions.
    fn wait_until_ready(&mut self) -> Result<(), String> {
        let pid_file = self.directory.path().join("data/postmaster.pid");
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let status = fs::read_to_string(&pid_file).unwrap_or_default();
            if status.lines().last().is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            if let Ok(Some(status)) = self.server.try_wait() {
                return Err(format!("postgres ended ({status}): {}", self.log()));
            }
            if Instant::now() > deadline {
                return Err(format!("postgres is not ready: {}", self.log()));
            }
            sleep(POLL);
        }
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        let last: Vec<_> = log.lines().rev().take(5).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("; ")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGINT: fast shutdown. It may have had it already, from the same Ctrl-C.
        let pid = self.server.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).stderr(Stdio::null()).status();
        let deadline = Instant::now() + STOP_LIMIT;
        while matches!(self.server.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.server.kill();
            }
            sleep(POLL);
        }
    }
}

fn as_user(user: Option<&str>, program: &Path) -> Command {
    match user {
        None => Command::new(program),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", user, "--regid", user, "--clear-groups", "--"]).arg(program);
            command.current_dir("/");
            command
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} failed: {}", stderr.trim()))
}

/// Runs the sample's statements in single-user mode: no client program is needed.
fn fill(user: Option<&str>, programs: &Path, data: &Path) -> Result<(), String> {
    use std::io::Write;
    let mut server = as_user(user, &programs.join("postgres"))
        .args(["--single", "-D"])
        .arg(data)
        .args(["-c", "fsync=off", "postgres"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run postgres: {error}"))?;
    if let Some(mut input) = server.stdin.take() {
        input
            .write_all(SAMPLE_DATA.as_bytes())
            .map_err(|error| format!("cannot load the sample data: {error}"))?;
    }
    let output = server.wait_with_output().map_err(|error| error.to_string())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    match errors.lines().find(|line| line.contains("ERROR:") || line.contains("FATAL:")) {
        None if output.status.success() => Ok(()),
        line => Err(format!("cannot load the sample data: {}", line.unwrap_or(&errors))),
    }
}

fn log_file(directory: &Path) -> Result<fs::File, String> {
    let path: PathBuf = directory.join("log");
    fs::File::create(path).map_err(|error| format!("cannot create the log: {error}"))
}
