//! The three classes of failure, never mixed: frameworks retry by code and text.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pool_manager::{DatabasePool, Discard, Error, Statement};
use test_support::{FaultyLink, TestDatabase};

use crate::common::*;

/// Texts and codes by which Laravel, Doctrine and Cycle recognise a lost connection.
const DETECTORS: [&str; 6] =
    ["connection", "server closed", "terminating", "broken pipe", "0800", "gone away"];

struct Place {
    database: TestDatabase,
    link: FaultyLink,
    pool: DatabasePool,
    direct: DatabasePool,
}

async fn place() -> Place {
    let database = database().await;
    let link = FaultyLink::to(address(&database)).await;
    let direct = pool(&database, 2);
    exec(&direct, "CREATE TABLE t (id int)").await;
    let pool = pool_through(&link, &database, 1, |_| {});
    Place { database, link, pool, direct }
}

impl Place {
    /// Starts a statement, waits until it runs at the server, then resets its connection or kills
    /// its backend.
    async fn cut(&self, sql: &str, simple: bool, kill: bool) -> Result<String, Error> {
        let (pool, sql) = (self.pool.clone(), marked(sql));
        let text = sql.clone();
        let call = async move {
            let mut rows = Texts::default();
            let statement = Statement { simple, ..Statement::new(&text, &[]) };
            pool.execute(&statement, &mut rows).await.map(|_| rows.first())
        };
        self.cut_call(call, &sql, kill).await
    }

    async fn cut_call<F>(&self, call: F, sql: &str, kill: bool) -> Result<String, Error>
    where
        F: Future<Output = Result<String, Error>> + Send + 'static,
    {
        let running = tokio::spawn(call);
        let marker = sql.rsplit("cut").next().unwrap();
        BackendWatch::new(&self.database).await.until_running(marker).await;
        if kill {
            let filter = format!("query LIKE '%{marker}' AND state = 'active'");
            assert_eq!(self.database.kill_backends(&filter).await, 1);
        } else {
            self.link.reset_all();
        }
        running.await.unwrap()
    }
}

/// The statement with a mark of its own, to be found among those that run.
fn marked(sql: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(100);
    format!("{sql} -- cut {} here", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn assert_unknown(result: &Result<String, Error>) {
    assert_error(result, "40003", "the outcome of the statement is unknown");
    let text = format!("40003 {}", result.as_ref().unwrap_err());
    for detector in DETECTORS {
        assert!(!text.to_lowercase().contains(detector), "{text:?} contains {detector:?}");
    }
}

const READ: &str = "SELECT pg_sleep(600)";
const WRITE: &str = "INSERT INTO t SELECT 1 FROM pg_sleep(600)";

#[tokio::test]
async fn a_read_that_loses_its_connection_was_not_executed() {
    let place = place().await;
    let lost = place.cut(READ, false, false).await;
    assert_error(&lost, "08006", "server closed the connection unexpectedly");
    let killed = place.cut(READ, false, true).await;
    assert_error(&killed, "57P01", "terminating connection due to administrator command");
    let lost = place.cut(READ, true, false).await;
    assert_error(&lost, "08006", "server closed the connection unexpectedly");
    settled(&place.pool).await;
    // The server would not notice for ten minutes that nobody waits for the answer.
    let watch = BackendWatch::new(&place.database).await;
    eventually("what was cut off is cancelled", || async {
        watch.count("query LIKE '%cut%' AND state = 'active' AND pid <> pg_backend_pid()").await
            == 0
    })
    .await;
}

#[tokio::test]
async fn a_write_that_loses_its_connection_has_an_unknown_outcome() {
    let place = place().await;
    assert_unknown(&place.cut(WRITE, false, false).await);
    assert_unknown(&place.cut(WRITE, true, false).await);
    // The simple protocol may have committed before it was killed.
    assert_unknown(&place.cut(WRITE, true, true).await);
    settled(&place.pool).await;
}

#[tokio::test]
async fn a_write_whose_backend_said_why_it_ends_was_not_executed() {
    let place = place().await;
    let killed = place.cut(WRITE, false, true).await;
    assert_error(&killed, "57P01", "terminating connection due to administrator command");
    assert_eq!(value(&place.direct, "SELECT count(*) FROM t").await.unwrap(), "0");
}

#[tokio::test]
async fn a_procedure_that_commits_by_itself_has_an_unknown_outcome_even_then() {
    let place = place().await;
    let procedure = "CREATE PROCEDURE slow() LANGUAGE plpgsql AS $$ BEGIN \
                     INSERT INTO t VALUES (1); COMMIT; PERFORM pg_sleep(600); END $$";
    exec(&place.direct, procedure).await;
    assert_unknown(&place.cut("CALL slow()", false, true).await);
    assert_eq!(value(&place.direct, "SELECT count(*) FROM t").await.unwrap(), "1");
}

#[tokio::test]
async fn in_a_transaction_a_lost_connection_rolls_everything_back() {
    let place = place().await;
    for (kill, code, text) in [
        (false, "08006", "server closed the connection unexpectedly"),
        (true, "57P01", "terminating connection"),
    ] {
        let mut transaction = place.pool.begin().await.unwrap();
        transaction.value("INSERT INTO t VALUES (1)").await.unwrap();
        let sql = marked(WRITE);
        let text_of_call = sql.clone();
        let call = async move { transaction.value(&text_of_call).await };
        assert_error(&place.cut_call(call, &sql, kill).await, code, text);
        assert_eq!(value(&place.direct, "SELECT count(*) FROM t").await.unwrap(), "0");
    }
    settled(&place.pool).await;
}

#[tokio::test]
async fn a_statement_lost_before_it_was_sent_was_not_executed() {
    let place = place().await;
    let insert = "INSERT INTO t SELECT length($1)";
    place.pool.exec(insert, &["x".into()]).await.unwrap();
    // More than all buffers on the way hold: the end of it never leaves us.
    place.link.stall();
    let large = ["y".repeat(32 * 1024 * 1024).into()];
    let call = place.pool.exec(insert, &large);
    let (lost, ()) = tokio::join!(call, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        place.link.reset_all();
        place.link.resume();
    });
    assert_error(&lost, "08006", "server closed the connection unexpectedly");
    assert_eq!(value(&place.direct, "SELECT count(*) FROM t").await.unwrap(), "1");
}

#[tokio::test]
async fn a_connection_lost_while_preparing_harms_nobody() {
    let place = place().await;
    value(&place.pool, "SELECT 1").await.unwrap();
    place.link.reset_after(Some(20));
    let lost = place.pool.exec("INSERT INTO t VALUES (42)", &[]).await;
    assert_error(&lost, "08006", "server closed the connection unexpectedly");
    place.link.reset_after(None);
    place.pool.exec("INSERT INTO t VALUES (42)", &[]).await.unwrap();
    assert_eq!(value(&place.direct, "SELECT count(*) FROM t").await.unwrap(), "1");
}

#[tokio::test]
async fn errors_of_the_server_pass_untouched() {
    let place = place().await;
    exec(&place.direct, "CREATE TABLE u (id int CONSTRAINT only_small CHECK (id < 5))").await;
    for simple in [false, true] {
        let sql = "INSERT INTO u VALUES (7)";
        let statement = Statement { simple, ..Statement::new(sql, &[]) };
        let failed = place.pool.execute(&statement, &mut Discard).await;
        let Err(Error::Server(error)) = failed else { panic!("untouched") };
        assert_eq!(error.code.as_str(), "23514");
        assert_eq!(error.severity, "ERROR");
        assert_eq!(error.schema.as_deref(), Some("public"));
        assert_eq!(error.table.as_deref(), Some("u"));
        assert_eq!(error.constraint.as_deref(), Some("only_small"));
        assert_eq!(error.detail.as_deref(), Some("Failing row contains (7)."));
    }
    let Err(Error::Server(error)) = value(&place.pool, "SELECT nothing").await else { panic!() };
    assert_eq!(error.position, Some(8));
}
