//! A data directory made once by `initdb` and copied for every cluster: a copy takes a tenth of
//! initdb's time. It lives in Cargo's target directory, so `cargo clean` removes it, and it is
//! never started as a server.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::account::{Account, run};
use super::programs::Programs;
use super::{DATABASE, PASSWORD, ROLE, SUPERUSER};

/// Raised when the way the template is made changes, so that old ones are not used.
const RECIPE: u32 = 1;

/// One build at a time within the process; other processes are handled by the atomic rename.
static BUILDING: Mutex<()> = Mutex::new(());

/// Copies the template to `to`, making it first when there is none yet.
pub(super) fn copy_to(to: &Path, programs: &Programs, account: &Account) {
    let template = find_or_build(programs, account);
    run(Command::new("cp").arg("-Rp").arg(&template).arg(to), "cp of the template cluster");
    account.own_tree(to);
}

fn find_or_build(programs: &Programs, account: &Account) -> PathBuf {
    let _one = BUILDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let home = home();
    let template = home.join(name(programs, account));
    if template.join("PG_VERSION").is_file() {
        return template;
    }
    std::fs::create_dir_all(&home)
        .unwrap_or_else(|error| panic!("cannot create {}: {error}", home.display()));
    let scratch = scratch_dir(account);
    let made = scratch.path().join("data");
    build(&made, programs, account);
    // Copied beside its final place first, because the scratch directory may be another file
    // system and only a rename within one is atomic.
    let staged = home.join(format!(".staged-{:016x}", rand::random::<u64>()));
    run(Command::new("cp").arg("-Rp").arg(&made).arg(&staged), "cp of the new template");
    if std::fs::rename(&staged, &template).is_err() {
        // Another test process was faster: its template is as good.
        let _ = std::fs::remove_dir_all(&staged);
        assert!(template.join("PG_VERSION").is_file(), "no template at {}", template.display());
    }
    template
}

/// A fresh directory that the account may enter; short, since a socket's path may not be long.
pub(super) fn scratch_dir(account: &Account) -> tempfile::TempDir {
    let parent = std::env::var_os("TEST_PG_TMPDIR").map_or_else(|| "/tmp".into(), PathBuf::from);
    let dir = tempfile::Builder::new()
        .prefix("rrpg-")
        .tempdir_in(&parent)
        .unwrap_or_else(|error| panic!("no directory in {}: {error}", parent.display()));
    account.own(dir.path());
    dir
}

fn home() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    target.join("test-postgres")
}

fn name(programs: &Programs, account: &Account) -> String {
    let version: String = programs
        .version()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("{version}-u{}-r{RECIPE}", account.uid())
}

fn build(data: &Path, programs: &Programs, account: &Account) {
    let mut initdb = account.command(&programs.path("initdb"));
    initdb
        .args(["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C"])
        .args(["--wal-segsize=1", "--auth=trust", "--username", SUPERUSER, "-D"])
        .arg(data);
    run(&mut initdb, "initdb");
    // A single-user server runs the set-up without sockets; each line is one command.
    let script = format!(
        "ALTER ROLE {SUPERUSER} PASSWORD '{PASSWORD}'\n\
         CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'\n\
         CREATE DATABASE {DATABASE} OWNER {ROLE}\n"
    );
    let mut single = account.command(&programs.path("postgres"));
    single.args(["--single", "-F", "-c", "password_encryption=scram-sha-256", "-D"]);
    single.arg(data).arg("postgres");
    single.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = single.spawn().expect("start the single-user server");
    let mut stdin = child.stdin.take().expect("the server's standard input");
    stdin.write_all(script.as_bytes()).expect("write the set-up");
    drop(stdin);
    let output = child.wait_with_output().expect("wait for the single-user server");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("ERROR") && !said.contains("FATAL"),
        "setting up the template failed: {said}"
    );
}
