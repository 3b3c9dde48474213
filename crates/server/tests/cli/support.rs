//! Running the binary: to its end, or as a server in a directory of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// The binary under test, deaf to the environment of whoever runs the tests.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rr-pgpool"));
    for variable in ["PGPOOL_RPC", "DOTENV_PATH", "NOTIFY_SOCKET", "WATCHDOG_USEC"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    binary().args(args).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Looks again and again until `holds` does.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not after {PATIENCE:?}: {what}");
        std::thread::sleep(POLL);
    }
}

/// A process that is killed when the test is over.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        let script = "kill -s \"$1\" \"$2\"";
        let status = Command::new("sh").args(["-c", script, "kill", name, &pid]).status();
        assert!(status.unwrap().success());
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the process has ended", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server with its configuration, socket and log in a directory of its own.
pub(crate) struct Serving {
    pub(crate) process: Process,
    directory: TempDir,
}

impl Serving {
    /// Starts `serve` and waits until both doors are open. `more` is more of the `pgpool:` section.
    #[track_caller]
    pub(crate) fn start(dsn: &str, more: &str) -> Self {
        Self::start_in(dsn, more, &[])
    }

    /// The same in an environment with these variables.
    #[track_caller]
    pub(crate) fn start_in(dsn: &str, more: &str, env: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let (socket, proxy) = (path.join("rpc.sock"), path.join("pg.sock"));
        let text = format!(
            "version: '3'\npgpool:\n  backends:\n    primary:\n      dsn: {dsn}\n  \
             proxy:\n    address: unix://{}\n  rpc:\n    listen: unix://{}\n{more}",
            proxy.display(),
            socket.display()
        );
        fs::write(path.join(".rr.yaml"), text).unwrap();
        let log = fs::File::create(path.join("log")).unwrap();
        let child = binary()
            .args(["serve", "-c", ".rr.yaml"])
            .envs(env.iter().copied())
            .current_dir(path)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut serving = Self { process: Process(child), directory };
        eventually("it listens", || {
            if let Some(status) = serving.process.0.try_wait().unwrap() {
                panic!("serve ended ({status}): {}", serving.log());
            }
            let is_open = |door| std::os::unix::net::UnixStream::connect(door).is_ok();
            is_open(&socket) && is_open(&proxy)
        });
        serving
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("rpc.sock")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Where PostgreSQL clients connect.
    pub(crate) fn proxy_address(&self) -> String {
        format!("unix://{}", self.directory.path().join("pg.sock").display())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Runs another command against it; `args` begins with the command's name.
    pub(crate) fn command(&self, args: &[&str]) -> Output {
        self.client(args).output().unwrap()
    }

    /// Starts such a command, whose standard output can be read.
    pub(crate) fn spawn(&self, args: &[&str]) -> Process {
        Process(self.client(args).stdout(Stdio::piped()).spawn().unwrap())
    }

    fn client(&self, args: &[&str]) -> Command {
        let (name, rest) = args.split_first().unwrap();
        let mut command = binary();
        command.args([*name, "--address", &self.address(), "--timeout", "20s"]).args(rest);
        command
    }
}
