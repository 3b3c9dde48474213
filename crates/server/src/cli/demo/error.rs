//! Why the demo cannot run, in words for the person at the terminal.

use std::io;
use std::process::ExitStatus;

use pool_manager::config::SettingError;

use crate::listen::ListenError;
use crate::serve::ServeError;

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    #[error(
        "PostgreSQL's server programs (initdb and postgres) were not found in PGBIN, in PATH or in \
         the usual places. Install them:\n  \
         Debian, Ubuntu  apt-get install postgresql\n  \
         Fedora, RHEL    dnf install postgresql-server\n  \
         Alpine          apk add postgresql\n  \
         macOS           brew install postgresql\n\
         or set PGBIN to their directory"
    )]
    NoPrograms,
    #[error("PGBIN is {0}, but initdb and postgres are not both there")]
    WrongBin(String),
    #[error(
        "PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody` to run \
         it under"
    )]
    NoAccount,
    #[error(
        "{address} is in use, perhaps by another rr-pgpool; choose another address with {option}, \
         such as {option} tcp://127.0.0.1:{}",
        if *option == "--proxy" { 6433 } else { 6012 }
    )]
    Taken { option: &'static str, address: String },
    #[error(transparent)]
    Listen(ListenError),
    #[error("{0}")]
    Setting(#[from] SettingError),
    #[error("cannot make a directory for PostgreSQL: {0}")]
    Directory(io::Error),
    #[error("cannot run {program}: {source}")]
    Run { program: String, source: io::Error },
    #[error("{program} failed: {said}")]
    Failed { program: String, said: String },
    #[error("postgres ended while starting ({status}): {said}")]
    Ended { status: ExitStatus, said: String },
    #[error("postgres was not ready in time: {said}")]
    NotReady { said: String },
    #[error("cannot receive signals: {0}")]
    Signals(io::Error),
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl From<ListenError> for DemoError {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::InUse { key, address } => Self::Taken { option: key, address },
            other => Self::Listen(other),
        }
    }
}

impl DemoError {
    /// For `map_err`: why `program` could not be run.
    pub(super) fn run(program: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Run { program: program.to_owned(), source }
    }
}
