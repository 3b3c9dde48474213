//! `check-config`, `health`, `stats`, `exec`.

use serde_json::{Value, json};
use test_support::{StopMode, TestCluster};

use super::support::{Serving, run, stderr, stdout};

#[test]
fn check_config_prints_what_it_comes_down_to_with_secrets_masked() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rr.yaml");
    let text = "version: '3'\npgpool:\n  backends:\n    primary:\n      \
                dsn: postgres://app:hunter2@db/shop\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let over = "pgpool.backends.primary.pool.max_connections=7";
    let output = run(&["check-config", "-c", file, "-o", over]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown = stdout(&output);
    assert!(shown.contains("valid") && shown.contains("max_connections: 7"), "{shown}");
    assert!(shown.contains("acquire_timeout: 5s"), "defaults are shown: {shown}");
    assert!(!shown.contains("hunter2") && shown.contains("app"), "{shown}");
    let output =
        run(&["check-config", "-c", file, "-o", "pgpool.backends.primary.pool.max_held=0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("pgpool.backends.primary.pool.max_held"));
}

#[tokio::test]
async fn health_tells_by_its_exit_code() {
    let cluster = TestCluster::start().await;
    let more = "  databases:\n    down:\n      primary:\n        \
                dsn: postgres://app:secret@127.0.0.1:1/none\n";
    let serving = Serving::start(&cluster.dsn(), more);
    let healthy = serving.command(&["health", "--database", "primary"]);
    assert_eq!((healthy.status.code(), stdout(&healthy)), (Some(0), "primary: healthy\n".into()));
    let all = serving.command(&["health"]);
    assert_eq!(all.status.code(), Some(1), "one of them is not");
    let text = stdout(&all);
    assert!(text.contains("primary: healthy\n") && text.contains("down: unhealthy: "), "{text}");
    assert!(!text.contains("secret"), "{text}");
    let as_json = serving.command(&["health", "--json"]);
    let answer: Value = serde_json::from_slice(&as_json.stdout).unwrap();
    assert_eq!(answer["health"], json!({"down": false, "primary": true}));
    let unknown = serving.command(&["health", "--database", "nope"]);
    assert_eq!(unknown.status.code(), Some(1));
    cluster.stop(StopMode::Immediate).await;
    assert_eq!(serving.command(&["health", "--database", "primary"]).status.code(), Some(1));
    let output = run(&["health", "--address", "unix:///nonexistent.sock"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("unix:///nonexistent.sock"));
    let output = run(&["health", "--address", "nonsense"]);
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn health_gives_up_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("silent.sock");
    let silent = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let address = format!("unix://{}", path.display());
    let output = run(&["health", "--address", &address, "--timeout", "100ms"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("100 ms"), "{}", stderr(&output));
    drop(silent);
}

#[tokio::test]
async fn stats_are_a_table_or_json() {
    let db = TestCluster::shared().await.database().await;
    let serving = Serving::start(&db.dsn(), "");
    serving.command(&["exec", "SELECT 1"]);
    let text = stdout(&serving.command(&["stats"]));
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    let value = |title: &str| {
        let column = lines[0].iter().position(|name| *name == title).unwrap();
        lines[1][column]
    };
    assert_eq!((value("pool"), value("queries"), value("max")), ("primary", "1", "25"));
    let output = serving.command(&["stats", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["stats"]["primary"]["query_count"], 1);
    let output = serving.command(&["stats", "--database", "nope"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nope"));
    let output = run(&["stats", "--address", "unix:///nonexistent.sock"]);
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn exec_prints_rows_and_errors() {
    let db = TestCluster::shared().await.database().await;
    let serving = Serving::start(&db.dsn(), "");
    let output = serving.command(&[
        "exec",
        "SELECT $1::int4 + 1 AS a, $2 AS b, NULL AS c, E'x\\ty\\n' AS d, ARRAY[1,2] AS e",
        "41",
        "é",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), "a\tb\tc\td\te\n42\té\tNULL\tx\\ty\\n\t{1,2}\n");
    let output = serving.command(&["exec", "SELECT 1 AS a WHERE false"]);
    assert_eq!(stdout(&output), "a\n");
    let output = serving.command(&["exec", "CREATE TABLE t (a int PRIMARY KEY)"]);
    assert_eq!(stdout(&output), "0 rows affected\n");
    let output = serving.command(&["exec", "INSERT INTO t VALUES (1), ($1)", "2"]);
    assert_eq!(stdout(&output), "2 rows affected\n");
    let output = serving.command(&["exec", "INSERT INTO t VALUES (1)"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()));
    let text = stderr(&output);
    assert!(text.contains("duplicate key") && text.contains("SQLSTATE 23505"), "{text}");
    assert!(text.contains("detail: Key (a)=(1) already exists."), "{text}");
    let output = serving.command(&["exec", "--json", "SELECT 7 AS a"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["rows"], output.status.code()), (&json!([[7]]), Some(0)));
    let output = serving.command(&["exec", "--json", "SELEC"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((answer["sqlstate"].as_str(), output.status.code()), (Some("42601"), Some(1)));
    let output = serving.command(&["exec", "--database", "nope", "SELECT 1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("3D000"));
}

#[tokio::test]
async fn stats_show_statements_and_can_be_watched() {
    let db = TestCluster::shared().await.database().await;
    let serving = Serving::start(&db.dsn(), "");
    for n in 0..3 {
        serving.command(&["exec", &format!("SELECT {n}")]);
    }
    let text = stdout(&serving.command(&["stats", "--top", "5", "--order", "calls"]));
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0].first().copied(), Some("database"), "{text}");
    assert_eq!((lines[1][0], lines[1][1], lines[1][7]), ("primary", "3", "SELECT ?"), "{text}");
    let output = serving.command(&["stats", "--order", "calls"]);
    assert!(stderr(&output).contains("--top"), "{}", stderr(&output));
    let output = serving.command(&["stats", "--top", "--order", "name"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("\"p99\""), "{}", stderr(&output));

    // What reads goes away after the titles and two lines, and the watching ends by itself.
    let mut watching = serving.spawn(&["stats", "--watch", "0.1"]);
    let mut reader = std::io::BufReader::new(watching.0.stdout.take().unwrap());
    let mut lines = Vec::new();
    for _ in 0..3 {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        lines.push(line);
    }
    assert!(lines[0].starts_with("time\tpool\t") && lines[0].contains("q/s"), "{lines:?}");
    assert!(lines[1..].iter().all(|line| line.contains("Z\tprimary\t")), "{lines:?}");
    drop(reader);
    assert!(watching.wait().success());
}
