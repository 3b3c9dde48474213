//! `serve`: starting, signals, and errors that say where and why.

use serde_json::json;
use test_support::{RpcClient, TestCluster};

use super::support::{Process, Serving, binary, eventually, run, stderr};

#[tokio::test]
async fn an_interrupt_drains_and_ends_with_zero() {
    let db = TestCluster::shared().await.database().await;
    for signal in ["INT", "TERM"] {
        let mut serving = Serving::start(&db.dsn(), "  shutdown:\n    grace: 10m\n");
        let mut client = RpcClient::connect(&serving.address()).await.unwrap();
        client.execute("SELECT 1", json!([])).await.unwrap();
        serving.process.signal(signal);
        // Still connected: it goes on for this client and for new ones.
        client.execute("SELECT 2", json!([])).await.unwrap();
        let mut late = RpcClient::connect(&serving.address()).await.unwrap();
        late.execute("SELECT 3", json!([])).await.unwrap();
        drop((client, late));
        assert_eq!(serving.process.wait().code(), Some(0), "{signal}: {}", serving.log());
        assert!(!serving.socket().exists());
        assert!(serving.log().contains("draining"), "{}", serving.log());
        assert!(!serving.log().contains("secret"), "the log holds no password");
    }
    assert_eq!(db.count_backends("usename = 'app'").await, 0);
}

#[tokio::test]
async fn a_second_interrupt_ends_at_once() {
    let db = TestCluster::shared().await.database().await;
    let mut serving = Serving::start(&db.dsn(), "  shutdown:\n    grace: 10m\n");
    let mut client = RpcClient::connect(&serving.address()).await.unwrap();
    client.call("TransactionBegin", json!({"tx_id": "t"})).await.unwrap();
    serving.process.signal("INT");
    client.execute("SELECT 1", json!([])).await.unwrap();
    serving.process.signal("INT");
    assert_eq!(serving.process.wait().code(), Some(0));
    assert!(client.is_closed_by_server().await);
}

#[tokio::test]
async fn it_serves_on_several_threads_and_without_a_database() {
    let dsn = "postgres://app:secret@127.0.0.1:1/none";
    let serving = Serving::start(dsn, "  threads: 3\n  shutdown:\n    grace: 0s\n");
    let mut client = RpcClient::connect(&serving.address()).await.unwrap();
    let reply = client.execute("SELECT 1", json!([])).await.unwrap();
    assert_eq!(reply["sqlstate"], "08001", "{reply}");
    assert!(!reply.to_string().contains("secret"), "{reply}");
}

#[tokio::test]
async fn a_second_server_on_the_same_address_refuses_to_start() {
    let db = TestCluster::shared().await.database().await;
    let serving = Serving::start(&db.dsn(), "");
    let file = serving.directory().join(".rr.yaml");
    let output = run(&["serve", "-c", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("is in use") && text.contains("process_num: 1"), "{text}");
    let mut client = RpcClient::connect(&serving.address()).await.unwrap();
    client.execute("SELECT 1", json!([])).await.unwrap();
}

#[test]
fn a_wrong_configuration_ends_with_file_key_and_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rr.yaml");
    std::fs::write(&file, "version: '3'\npgpool:\n  backend: {}\n").unwrap();
    for command in ["serve", "check-config"] {
        let output = run(&[command, "-c", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let text = stderr(&output);
        assert!(text.contains("rr.yaml:3") && text.contains("pgpool.backend"), "{text}");
        assert!(text.contains("did you mean") && text.contains("backends"), "{text}");
        assert!(output.stdout.is_empty());
    }
    let output = run(&["serve", "-c", "/nonexistent/rr.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/nonexistent/rr.yaml"));
}

#[tokio::test]
async fn the_log_is_one_object_a_line_on_request() {
    let db = TestCluster::shared().await.database().await;
    let mut serving = Serving::start(&db.dsn(), "  logging:\n    format: json\n");
    serving.process.signal("TERM");
    serving.process.wait();
    let log = serving.log();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let with = |message: &str| lines.iter().find(|line| line["message"] == message);
    assert_eq!(with("pool").unwrap()["pool"], "primary", "{log}");
    assert_eq!(with("stopped").unwrap()["level"], "INFO", "{log}");
}

#[tokio::test]
async fn it_ends_with_its_parent_if_asked_to() {
    let db = TestCluster::shared().await.database().await;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("rpc.sock");
    let text = format!(
        "version: '3'\npgpool:\n  backends:\n    primary:\n      dsn: {}\n  proxy:\n    \
         address: ''\n  rpc:\n    listen: unix://{}\n",
        db.dsn(),
        socket.display()
    );
    std::fs::write(directory.path().join(".rr.yaml"), text).unwrap();
    let script = format!(
        "'{}' serve -c .rr.yaml --exit-with-parent & wait",
        binary().get_program().to_str().unwrap()
    );
    let parent = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(directory.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let mut parent = Process(parent.unwrap());
    let connects = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    eventually("it listens", connects);
    parent.0.kill().unwrap();
    parent.wait();
    eventually("it has ended, and taken its socket away", || !socket.exists());
}

/// CPU time of a process so far, in ticks of which a second has a hundred.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test]
async fn without_file_descriptors_it_waits_for_some_and_does_not_spin() {
    let db = TestCluster::shared().await.database().await;
    let serving = Serving::start(&db.dsn(), "");
    let pid = serving.process.0.id();
    let mut client = RpcClient::connect(&serving.address()).await.unwrap();
    client.execute("SELECT 1", json!([])).await.unwrap();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let limit = std::process::Command::new("prlimit")
        .args([format!("--pid={pid}"), format!("--nofile={}", open + 3)])
        .status();
    assert!(limit.unwrap().success());
    // They connect to the socket; whether they are accepted is another matter.
    let socket = serving.socket();
    let waiting: Vec<_> =
        (0..20).map(|_| std::os::unix::net::UnixStream::connect(&socket).unwrap()).collect();
    eventually("the log says so", || serving.log().contains("cannot accept"));
    // What it does while nothing can be done.
    let before = ticks(pid);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(ticks(pid) - before < 30, "it spins: {}", ticks(pid) - before);
    assert!(serving.log().matches("cannot accept").count() < 40);
    client.execute("SELECT 2", json!([])).await.unwrap();
    drop(waiting);
    let mut late = RpcClient::connect(&serving.address()).await.unwrap();
    late.execute("SELECT 3", json!([])).await.unwrap();
}
