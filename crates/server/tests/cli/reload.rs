//! `reload` and SIGHUP: the file read again by a process that serves.

use std::fs;
use std::os::unix::net::UnixStream;

use test_support::TestCluster;

use super::support::{Serving, eventually, stderr, stdout};

/// Replaces a part of the server's file.
fn rewrite(serving: &Serving, from: &str, to: &str) {
    let path = serving.directory().join(".rr.yaml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[tokio::test]
async fn the_file_is_read_again_by_command_and_by_signal() {
    let database = TestCluster::shared().await.database().await;
    let serving = Serving::start(&database.dsn(), "  shutdown:\n    grace: 1s\n");
    let nothing = serving.command(&["reload"]);
    assert_eq!(stdout(&nothing), "nothing has changed\n");
    rewrite(&serving, "grace: 1s", "grace: 2s");
    let changed = serving.command(&["reload"]);
    assert_eq!(stdout(&changed), "shutdown.grace: 1s -> 2s\n");
    assert!(changed.status.success());
    rewrite(&serving, "grace: 2s", "grace: 3s\n  threads: 2");
    serving.process.signal("HUP");
    eventually("the log says so", || serving.log().contains("shutdown.grace: 2s -> 3s"));
    assert!(serving.log().contains("threads: 1 -> 2 (needs a restart"), "{}", serving.log());
    rewrite(&serving, "grace: 3s", "grass: 3s");
    let refused = serving.command(&["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(said.contains("nothing was changed") && said.contains("grass"), "{said}");
    assert!(serving.log().contains("configuration not reloaded"), "{}", serving.log());
    assert!(UnixStream::connect(serving.socket()).is_ok());
    assert!(!serving.log().contains("secret"), "{}", serving.log());
}

/// As with PgBouncer: over the socket, whoever runs the process is let in by that name.
#[tokio::test]
async fn the_console_is_open_to_the_processs_own_user_over_its_socket() {
    let database = TestCluster::shared().await.database().await;
    let serving = Serving::start(&database.dsn(), "");
    let parameters = [("user", "pgbouncer"), ("database", "pgbouncer")];
    let address = serving.proxy_address();
    let mut console = test_support::WireClient::login(&address, "", &parameters).await.unwrap();
    assert!(console.rows("SHOW VERSION").await[0].starts_with("rr-pgpool"));
    assert_eq!(console.rows("SHOW CLIENTS").await, Vec::<String>::new());
    console.query("DISABLE primary").await.unwrap();
    let others = [("user", "app"), ("database", "pgbouncer")];
    let refused = test_support::WireClient::login(&address, "secret", &others).await;
    let why = refused.err().expect("not let in").to_string();
    assert!(why.contains("may not use the admin console"), "{why}");
}
