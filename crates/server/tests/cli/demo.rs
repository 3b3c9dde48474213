//! `demo`: it starts, answers, and leaves nothing behind.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use super::support::{Process, binary, eventually, run, stderr, stdout};

fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn it_starts_answers_and_leaves_nothing_behind() {
    for signal in ["INT", "TERM"] {
        let home = tempfile::tempdir().unwrap();
        // PostgreSQL runs as another user when the tests run as root.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let sockets = tempfile::tempdir().unwrap();
        let address = format!("unix://{}/rpc.sock", sockets.path().display());
        let said = sockets.path().join("said");
        let child = binary()
            .args(["demo", "--listen", &address, "--proxy", "tcp://127.0.0.1:0"])
            .env("TMPDIR", home.path())
            .stdout(std::fs::File::create(&said).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut demo = Process(child);
        eventually("it is healthy", || {
            assert!(demo.0.try_wait().unwrap().is_none(), "the demo has ended");
            run(&["health", "--address", &address]).status.success()
        });
        let query = "SELECT count(*) > 0 AS filled FROM users";
        let output = run(&["exec", "--address", &address, query]);
        assert_eq!(stdout(&output), "filled\ntrue\n", "{}", stderr(&output));
        assert_eq!(entries(home.path()).len(), 1);
        let pid_file = home.path().join(&entries(home.path())[0]).join("data/postmaster.pid");
        let pid = std::fs::read_to_string(pid_file).unwrap();
        let pid = Path::new("/proc").join(pid.lines().next().unwrap());
        assert!(pid.exists());
        demo.signal(signal);
        assert_eq!(demo.wait().code(), Some(0));
        assert!(!pid.exists(), "PostgreSQL has ended");
        assert_eq!(entries(home.path()), Vec::<String>::new());
        let said = std::fs::read_to_string(said).unwrap();
        assert!(said.contains(&address) && said.contains("rr-pgpool exec"), "{said}");
        assert!(said.contains("  psql -h 127.0.0.1 -p "), "{said}");
    }
}
