//! The cluster itself: it serves, restarts, authenticates, offers TLS, and leaves nothing behind.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::TestCa;

async fn answer(client: &tokio_postgres::Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn tests_of_one_binary_share_a_cluster_but_not_a_database() {
    let cluster = TestCluster::shared().await;
    let (one, two) = (cluster.database().await, cluster.database().await);
    one.batch("CREATE TABLE only_here (n int)").await;
    let sql = "SELECT coalesce(to_regclass('only_here')::text, 'absent')";
    assert_eq!(answer(&one.client().await, sql).await, "only_here");
    assert_eq!(answer(&two.client().await, sql).await, "absent");
}

#[tokio::test]
async fn a_stopped_server_comes_back_on_the_same_port_with_its_data() {
    let cluster = TestCluster::start().await;
    cluster.batch("CREATE TABLE kept AS SELECT 'here'::text AS v").await;
    for mode in [StopMode::Fast, StopMode::Immediate] {
        let port = cluster.port();
        cluster.stop(mode).await;
        assert!(!cluster.is_running());
        assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err());
        cluster.start_again().await;
        assert_eq!(cluster.port(), port);
        let client = cluster.client_in(DATABASE).await;
        assert_eq!(answer(&client, "SELECT current_user::text").await, ROLE);
    }
    let dir = cluster.socket_dir().to_path_buf();
    drop(cluster);
    assert!(!dir.exists(), "the directory is removed");
}

#[tokio::test]
async fn killed_backends_are_counted_and_gone() {
    let cluster = TestCluster::shared().await;
    let database = cluster.database().await;
    let _clients = [database.client().await, database.client().await];
    assert_eq!(database.count_backends("true").await, 2);
    assert_eq!(database.kill_backends("usename = 'app'").await, 2);
    assert_eq!(database.count_backends("true").await, 0);
}

#[tokio::test]
async fn every_kind_of_authentication_lets_the_role_in() {
    for auth in [Auth::Md5, Auth::Password, Auth::Trust] {
        let cluster = TestCluster::builder().auth(auth).start().await;
        cluster.client_in(DATABASE).await;
        let admin = cluster.admin().await;
        let sql = format!(
            "SELECT string_agg(auth_method, ' ') FROM pg_hba_file_rules \
             WHERE type = 'host' AND user_name = '{{{ROLE}}}'"
        );
        let expected = format!("{auth:?}").to_lowercase();
        assert_eq!(answer(&admin, &sql).await, expected);
    }
}

#[tokio::test]
async fn offers_tls_with_the_given_certificate() {
    let ca = TestCa::new("test authority");
    let files = ca.server(&["localhost", "127.0.0.1"]);
    let builder = TestCluster::builder().tls(&files.cert, &files.key).client_ca(ca.root_file());
    let cluster = builder.setting("work_mem = '123kB'").start().await;
    let admin = cluster.admin().await;
    assert_eq!(answer(&admin, "SHOW ssl").await, "on");
    assert_eq!(answer(&admin, "SHOW work_mem").await, "123kB");
}

/// The child of the next test: starts a cluster, says where, and is killed without warning.
/// Started by the test runner it has nothing to do.
#[tokio::test]
async fn child_that_is_killed() {
    let Some(file) = std::env::var_os("TEST_SUPPORT_CHILD_FILE") else { return };
    let cluster = TestCluster::start().await;
    let pid_file = std::fs::read_to_string(cluster.socket_dir().join("data/postmaster.pid"));
    let pid = pid_file.unwrap().lines().next().unwrap().to_owned();
    let staged = PathBuf::from(&file).with_extension("staged");
    std::fs::write(&staged, format!("{pid}\n{}\n", cluster.socket_dir().display())).unwrap();
    std::fs::rename(staged, file).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_test_process_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("where");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "postgres::tests::child_that_is_killed"])
        .env("TEST_SUPPORT_CHILD_FILE", &file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the child's cluster", || file.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let mut lines = text.lines();
    let pid = lines.next().unwrap();
    let cluster_dir = PathBuf::from(lines.next().unwrap());
    eventually("the directory to be removed", || !cluster_dir.exists());
    let alive = Command::new("sh")
        .args(["-c", "kill -0 \"$1\" 2>/dev/null && ! grep -q '^State:.*Z' /proc/\"$1\"/status"])
        .args(["sh", pid])
        .status();
    assert!(!alive.unwrap().success(), "the server is gone too");
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
