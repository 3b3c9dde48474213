//! # The pool in a program of one's own
//!
//! `pool-manager` is a library: this program uses it without RoadRunner, goridge or PHP. It makes
//! a pool, runs statements and two transactions on it, looks at its health and its figures, and
//! closes it. It keeps what it writes in a table `embed_account`, which it drops at the end.
//!
//! Run it against any PostgreSQL:
//!
//! ```sh
//! cargo run -p embed -- postgres://user:password@127.0.0.1/dbname
//! DATABASE_URL='host=/run/postgresql user=me' cargo run -p embed
//! ```
//!
//! In a `Cargo.toml` of one's own: `pool-manager`, and `tokio` with a runtime.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use pool_manager::config::BackendConfig;
use pool_manager::values::Arg;
use pool_manager::{DatabasePool, Error, Transaction};

/// How long running statements may take when the pool is closed.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

const ADD: &str = "UPDATE embed_account SET balance = balance + $2 WHERE owner = $1";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let dsn = std::env::args().nth(1).or_else(|| std::env::var("DATABASE_URL").ok());
    let Some(dsn) = dsn else {
        return fail("say which database: embed postgres://user:password@host/dbname");
    };
    match run(&dsn).await {
        Ok(()) => ExitCode::SUCCESS,
        // For everything that PostgreSQL refused there is a SQLSTATE beside the text.
        Err(error) => fail(&format!("{error} (SQLSTATE {})", error.sqlstate())),
    }
}

fn fail(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "embed: {text}");
    ExitCode::FAILURE
}

async fn run(dsn: &str) -> Result<(), Error> {
    let mut config = BackendConfig::from_dsn(dsn);
    config.pool.max_connections = 4;
    let pool = DatabasePool::new("primary", &config)?;

    // An unreachable server is no error of `new`, but it is one here.
    pool.health_check().await?;
    println!("connected to PostgreSQL {}", pool.server_version().await?);

    statements(&pool).await?;
    transactions(&pool).await?;
    session(&pool).await?;
    pool.exec("DROP TABLE embed_account", &[]).await?;

    let stats = pool.stats();
    println!(
        "{} statements on {} connections of at most {}, {} errors",
        stats.query_count, stats.total_connections, stats.max_connections, stats.error_count,
    );
    pool.close(CLOSE_LIMIT).await;
    println!("closed");
    Ok(())
}

/// `exec` for what returns no rows, `query` for rows, `query_row` for one.
async fn statements(pool: &DatabasePool) -> Result<(), Error> {
    pool.exec("DROP TABLE IF EXISTS embed_account", &[]).await?;
    let table = "CREATE TABLE embed_account (owner text PRIMARY KEY, balance int NOT NULL)";
    pool.exec(table, &[]).await?;
    let owners = Arg::List(vec![text("alice"), text("bob")]);
    let insert = "INSERT INTO embed_account SELECT unnest($1::text[]), $2";
    let tag = pool.exec(insert, &[owners, Arg::Int(100)]).await?;
    println!("{}: {} rows", tag.command(), tag.rows_affected());
    print_balances(pool).await?;

    let sql = "SELECT balance FROM embed_account WHERE owner = $1";
    let nobody = pool.query_row(sql, &[text("nobody")]).await?;
    println!("nobody has an account: {}", nobody.is_none());
    Ok(())
}

async fn print_balances(pool: &DatabasePool) -> Result<(), Error> {
    let sql = "SELECT owner, balance FROM embed_account ORDER BY owner";
    for row in &pool.query(sql, &[]).await? {
        println!("  {}: {}", row.get::<String>(0)?, row.get::<i64>(1)?);
    }
    Ok(())
}

/// One that commits and one that does not: a transaction that is dropped is rolled back.
async fn transactions(pool: &DatabasePool) -> Result<(), Error> {
    let mut kept = pool.begin().await?;
    transfer(&mut kept, "alice", "bob", 30).await?;
    kept.commit().await?;
    println!("after a commit:");
    print_balances(pool).await?;

    let mut undone = pool.begin().await?;
    transfer(&mut undone, "alice", "bob", 1000).await?;
    undone.rollback().await?;
    println!("after a rollback:");
    print_balances(pool).await
}

async fn transfer(
    transaction: &mut Transaction,
    from: &str,
    to: &str,
    amount: i64,
) -> Result<(), Error> {
    for (owner, change) in [(from, -amount), (to, amount)] {
        transaction.exec(ADD, &[text(owner), Arg::Int(change)]).await?;
    }
    Ok(())
}

/// `acquire` gives a connection of one's own, for what only makes sense on one connection.
async fn session(pool: &DatabasePool) -> Result<(), Error> {
    let mut session = pool.acquire().await?;
    for sql in ["CREATE TEMP TABLE basket (item text)", "INSERT INTO basket VALUES ('apple')"] {
        session.exec(sql, &[]).await?;
    }
    session.end().await?;
    // The connection went back to the pool without the table.
    let sql = "SELECT to_regclass('basket') IS NULL";
    if let Some(row) = pool.query_row(sql, &[]).await? {
        println!("the temporary table is gone: {}", row.get::<bool>(0)?);
    }
    Ok(())
}

fn text(value: &str) -> Arg {
    Arg::Text(value.to_owned())
}
