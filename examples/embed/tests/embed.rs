//! The example works as it says, against a real PostgreSQL.

use std::process::{Command, Output};

use test_support::TestCluster;

fn embed() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_embed"));
    command.env_remove("DATABASE_URL");
    command
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("text")
}

const EXPECTED: &str = "\
INSERT: 2 rows
  alice: 100
  bob: 100
nobody has an account: true
after a commit:
  alice: 70
  bob: 130
after a rollback:
  alice: 70
  bob: 130
the temporary table is gone: true
";

#[tokio::test]
async fn runs_and_leaves_nothing_behind() {
    let database = TestCluster::shared().await.database().await;
    let by_argument = embed().arg(database.dsn()).output().unwrap();
    let by_environment = embed().env("DATABASE_URL", database.dsn()).output().unwrap();
    for output in [&by_argument, &by_environment] {
        assert!(output.status.success(), "{}", stderr(output));
        assert!(stdout(output).contains(EXPECTED), "{}", stdout(output));
        assert!(stdout(output).ends_with("0 errors\nclosed\n"), "{}", stdout(output));
    }
    let client = database.client().await;
    let row = client.query_one("SELECT to_regclass('embed_account') IS NULL", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
}

#[test]
fn says_what_is_wrong() {
    let output = embed().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("say which database"), "{}", stderr(&output));

    let output = embed().arg("postgres://me:secret@127.0.0.1:1/db").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("SQLSTATE 08"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("secret"), "{}", stderr(&output));
}
