//! The demo's PostgreSQL: made, filled, started, and removed with everything in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::account::Account;
use super::error::DemoError;
use super::programs;
use super::scratch::Scratch;

/// How long the server may take to accept its first session.
const START_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// In the name of the socket's file only: the server listens on no TCP port.
pub(super) const PORT: u16 = 5432;
pub(super) const USER: &str = "demo";
pub(super) const DATABASE: &str = "postgres";

/// What the sample tables hold; run by the server in single-user mode, one statement per line.
const SAMPLE_DATA: &str = include_str!("sample.sql");

/// A running throw-away cluster. Dropped, it is stopped and removed.
#[derive(Debug)]
pub(super) struct Cluster {
    // The fields are dropped in this order: a server that the guard did not stop is killed.
    scratch: Scratch,
    server: Child,
}

impl Cluster {
    /// Makes and starts one. Dropping the future stops and removes what there is of it.
    pub(super) async fn start() -> Result<Self, DemoError> {
        let bin = programs::find()?;
        let account = Account::find().await?;
        let workshop = Workshop { bin, account, scratch: Scratch::new(account)? };
        workshop.init().await?;
        workshop.fill().await?;
        let server = workshop.serve()?;
        let mut cluster = Self { scratch: workshop.scratch, server };
        cluster.wait_until_ready().await?;
        Ok(cluster)
    }

    /// The directory of the server's socket.
    pub(super) fn socket_directory(&self) -> &Path {
        self.scratch.path()
    }

    /// The server's major version.
    pub(super) fn version(&self) -> String {
        let file = data(&self.scratch).join("PG_VERSION");
        fs::read_to_string(file).unwrap_or_default().trim().to_owned()
    }

    /// The server writes `ready` into its pid file when it accepts sessions.
    async fn wait_until_ready(&mut self) -> Result<(), DemoError> {
        let pid_file = data(&self.scratch).join("postmaster.pid");
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let state = fs::read_to_string(&pid_file).unwrap_or_default();
            if state.lines().last().is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            if let Ok(Some(status)) = self.server.try_wait() {
                return Err(DemoError::Ended { status, said: last_words(&self.scratch) });
            }
            if Instant::now() > deadline {
                return Err(DemoError::NotReady { said: last_words(&self.scratch) });
            }
            sleep(POLL).await;
        }
    }
}

/// What it takes to make a cluster.
struct Workshop {
    bin: PathBuf,
    account: Account,
    scratch: Scratch,
}

impl Workshop {
    fn command(&self, program: &str) -> Command {
        let mut command = self.account.command(&self.bin.join(program));
        command.process_group(self.scratch.process_group());
        command
    }

    async fn init(&self) -> Result<(), DemoError> {
        let output = self
            .command("initdb")
            .args(["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust"])
            .args(["-U", USER, "-D"])
            .arg(data(&self.scratch))
            .output()
            .await
            .map_err(DemoError::run("initdb"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(DemoError::Failed { program: "initdb".to_owned(), said })
    }

    /// Runs the sample's statements in single-user mode: no client program is needed.
    async fn fill(&self) -> Result<(), DemoError> {
        let failed = DemoError::run("postgres --single");
        let run = async {
            let mut server = self
                .command("postgres")
                .args(["--single", "-c", "fsync=off", "-D"])
                .arg(data(&self.scratch))
                .arg(DATABASE)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()?;
            if let Some(mut input) = server.stdin.take() {
                input.write_all(SAMPLE_DATA.as_bytes()).await?;
            }
            server.wait_with_output().await
        };
        let output = run.await.map_err(failed)?;
        // A failed statement does not fail the program.
        let errors = String::from_utf8_lossy(&output.stderr);
        match errors.lines().find(|line| line.contains("ERROR:") || line.contains("FATAL:")) {
            None if output.status.success() => Ok(()),
            line => Err(DemoError::Failed {
                program: "loading the sample data".to_owned(),
                said: line.unwrap_or(&errors).to_owned(),
            }),
        }
    }

    fn serve(&self) -> Result<Child, DemoError> {
        let log = fs::File::create(log(&self.scratch)).map_err(DemoError::Directory)?;
        self.command("postgres")
            .arg("-D")
            .arg(data(&self.scratch))
            .arg("-k")
            .arg(self.scratch.path())
            .args(["-p", &PORT.to_string(), "-c", "listen_addresses=", "-c", "fsync=off"])
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(DemoError::run("postgres"))
    }
}

fn data(scratch: &Scratch) -> PathBuf {
    scratch.path().join("data")
}

fn log(scratch: &Scratch) -> PathBuf {
    scratch.path().join("log")
}

/// The end of the server's log, on one line.
fn last_words(scratch: &Scratch) -> String {
    let log = fs::read_to_string(log(scratch)).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cluster_is_there_and_then_gone() {
        let cluster = Cluster::start().await.unwrap();
        let directory = cluster.socket_directory().to_owned();
        assert!(directory.join(format!(".s.PGSQL.{PORT}")).exists());
        assert!(cluster.version().parse::<u32>().is_ok(), "{}", cluster.version());
        drop(cluster);
        assert!(!directory.exists());
    }

    #[tokio::test]
    async fn an_interrupted_start_leaves_nothing() {
        let account = Account::find().await.unwrap();
        let scratch = Scratch::new(account).unwrap();
        let directory = scratch.path().to_owned();
        let workshop = Workshop { bin: programs::find().unwrap(), account, scratch };
        let init = async move { workshop.init().await };
        let data_appears = async {
            while !directory.join("data").exists() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            result = init => panic!("initdb was faster: {result:?}"),
            () = data_appears => {}
        }
        assert!(!directory.exists());
    }
}
