//! sqlx through the PostgreSQL door. It prepares statements and caches them, asks the server for their
//! columns first, and wants results in binary.

mod harness;

use std::process::ExitCode;
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use sqlx::postgres::{
    PgConnectOptions, PgConnection, PgListener, PgPoolCopyExt, PgPoolOptions, PgSslMode,
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Postgres, QueryBuilder, Row, query, query_scalar,
    raw_sql,
};
use tokio::time::timeout;

use harness::{
    Client, Driver, Failure, Login, Outcome, Skip, connect, connections, fails, mode, numbers,
    same, shared, table, text, variable, walk, walked_all, word,
};

const LARGE: usize = 4 << 20;

struct Sqlx;

impl Client for PgConnection {
    async fn execute(&mut self, sql: &str) -> Outcome {
        raw_sql(AssertSqlSafe(sql)).execute(self).await?;
        Ok(())
    }

    async fn texts(&mut self, sql: &str) -> Outcome<Vec<Option<String>>> {
        let rows = query(AssertSqlSafe(sql)).fetch_all(self).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

impl Driver for Sqlx {
    type Client = PgConnection;
    const NAME: &'static str = "sqlx";

    async fn open(login: Login) -> Outcome<PgConnection> {
        let zone = login.settings.iter().find(|(name, _)| *name == "TimeZone").copied();
        let mut client = options(login).connect().await?;
        // At login it asks for UTC itself, whatever the options say.
        if let Some((name, value)) = zone {
            client.execute(&format!("SET {name} = '{value}'")).await?;
        }
        Ok(client)
    }

    fn sqlstate(error: &Failure) -> Option<String> {
        let error = error.downcast_ref::<sqlx::Error>()?;
        Some(error.as_database_error()?.code()?.into_owned())
    }
}

/// It reads libpq's variables itself.
fn options(login: Login) -> PgConnectOptions {
    let mut options = PgConnectOptions::new();
    if login.wrong_password {
        options = options.password("wrong");
    }
    for (name, value) in login.settings {
        options = match name {
            "application_name" => options.application_name(value),
            _ => options.options([(name, value)]),
        };
    }
    if login.verify_certificate {
        let authorities = variable("PGPOOL_TLS_CA");
        options = options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(authorities);
    }
    options
}

async fn open() -> Outcome<PgConnection> {
    connect::<Sqlx>().await
}

/// Something of sqlx's with its errors in the form of all drivers.
fn told<T>(outcome: Result<T, sqlx::Error>) -> Outcome<T> {
    Ok(outcome?)
}

async fn encrypted() -> Outcome {
    if variable("PGPOOL_TLS_CA").is_empty() {
        return Err(Skip("PGPOOL_TLS_CA is not set").into());
    }
    let mut client = Sqlx::open(Login { verify_certificate: true, ..Login::default() }).await?;
    same(text(&mut client, "SELECT 'well'").await?, "well".to_owned())
}

async fn types() -> Outcome {
    let mut client = open().await?;
    macro_rules! round_trip {
        ($($name:literal: $type:ty = $value:expr;)*) => {$({
            let value: $type = $value;
            let sql = concat!("SELECT $1::", $name);
            let found: $type = query_scalar(sql).bind(value.clone()).fetch_one(&mut client).await?;
            same(found, value)?;
        })*};
    }
    round_trip! {
        "int2": i16 = i16::MIN;
        "int4": i32 = i32::MAX;
        "int8": i64 = i64::MIN;
        "float8": f64 = 1.5e-300;
        "bool": bool = true;
        "bool": bool = false;
        "text": String = "tea \u{2615} 'and' \\ \"more\"\n$1 %s ?".to_owned();
        "bytea": Vec<u8> = (0..=255).collect();
        "int4[]": Vec<Option<i32>> = vec![Some(1), None, Some(3)];
        "text[]": Vec<String> = vec!["a,b".to_owned(), "c\"d".to_owned(), String::new()];
    }
    Ok(())
}

async fn null_and_empty() -> Outcome {
    type Fields = (i32, Option<String>, Option<Vec<u8>>);
    let mut client = open().await?;
    let table = table::<Sqlx>(&mut client, "null_and_empty", "n int, t text, b bytea").await?;
    let rows: Vec<Fields> = vec![
        (1, None, None),
        (2, Some(String::new()), Some(vec![])),
        (3, Some("x".to_owned()), Some(vec![0])),
    ];
    let insert = format!("INSERT INTO {table} VALUES ($1, $2, $3)");
    for (n, t, b) in rows.clone() {
        let insert = query(AssertSqlSafe(insert.as_str())).bind(n).bind(t).bind(b);
        same(insert.execute(&mut client).await?.rows_affected(), 1)?;
    }
    let select = format!("SELECT n, t, b FROM {table} ORDER BY n");
    let found: Vec<Fields> = sqlx::query_as(AssertSqlSafe(select)).fetch_all(&mut client).await?;
    same(found, rows)?;
    for (argument, expected) in [(None, 1), (Some(""), 2)] {
        let select = format!("SELECT n FROM {table} WHERE t IS NOT DISTINCT FROM $1");
        let select = query_scalar(AssertSqlSafe(select)).bind(argument);
        same(select.fetch_one(&mut client).await?, expected)?;
    }
    Ok(())
}

async fn unnamed_parameters() -> Outcome {
    let mut client = open().await?;
    for n in 0..20_i32 {
        let number = query_scalar("SELECT $1 + 1").bind(n).persistent(false);
        same(number.fetch_one(&mut client).await?, n + 1)?;
        let words = query_scalar("SELECT 'tea ' || $1").bind(n.to_string()).persistent(false);
        same(words.fetch_one(&mut client).await?, format!("tea {n}"))?;
        let truth = query_scalar("SELECT $1").bind(n % 2 == 0).persistent(false);
        same(truth.fetch_one(&mut client).await?, n % 2 == 0)?;
    }
    Ok(())
}

async fn prepared_named() -> Outcome {
    // The least recently used of more statements than this is dropped at the server.
    let mut client = options(Login::default()).statement_cache_capacity(3).connect().await?;
    for turn in 0..3_i32 {
        for n in 0..6_i32 {
            let number = query_scalar(AssertSqlSafe(format!("SELECT {n} + $1"))).bind(turn);
            same(number.fetch_one(&mut client).await?, n + turn)?;
        }
    }
    let failed = query("SELECT FROM FROM").execute(&mut client).await;
    fails::<Sqlx, _>("42601", told(failed))?;
    client.clear_cached_statements().await?;
    same(query_scalar("SELECT $1 + 1").bind(1).fetch_one(&mut client).await?, 2)
}

async fn prepared_reused() -> Outcome {
    let mut client = open().await?;
    let pids = walk::<Sqlx, i32>(async || {
        let mut transaction = client.begin().await?;
        let select = query("SELECT pg_backend_pid(), $1 + 1").bind(41);
        let row = select.fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        same(row.try_get(1)?, 42)?;
        Ok(row.try_get(0)?)
    })
    .await?;
    same(pids.len(), walked_all())
}

/// It has no pipeline: many rows in one statement, and several statements in one text.
async fn pipeline() -> Outcome {
    let mut client = open().await?;
    let table = table::<Sqlx>(&mut client, "pipeline", "n int PRIMARY KEY").await?;
    let mut builder = QueryBuilder::<Postgres>::new(format!("INSERT INTO {table} "));
    builder.push_values(0..200, |mut row, n| {
        row.push_bind(n);
    });
    same(builder.build().execute(&mut client).await?.rows_affected(), 200)?;
    let failing = format!("INSERT INTO {table} VALUES (200); INSERT INTO {table} VALUES (7)");
    fails::<Sqlx, _>("23505", client.execute(&failing).await)?;
    same(numbers(&mut client, &table).await?, (0..200).collect())?;
    let rows = raw_sql("SELECT 'one'; SELECT 'two'").fetch_all(&mut client).await?;
    let found: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    same(found?, vec!["one".to_owned(), "two".to_owned()])
}

async fn copy_in() -> Outcome {
    let mut client = open().await?;
    let table = table::<Sqlx>(&mut client, "copy_in", "n int, t text").await?;
    let sql = format!("COPY {table} FROM STDIN");
    let line = |n| if n % 7 == 0 { format!("{n}\t\\N\n") } else { format!("{n}\trow {n}\n") };
    let lines: String = (0..5000).map(line).collect();
    let mut copy = client.copy_in_raw(&sql).await?;
    copy.send(lines.into_bytes()).await?;
    same(copy.finish().await?, 5000)?;
    same(numbers(&mut client, &table).await?, (0..5000).collect())?;
    let nulls = format!("SELECT count(*)::text FROM {table} WHERE t IS NULL");
    same(text(&mut client, &nulls).await?, "715".to_owned())?;
    let mut copy = client.copy_in_raw(&sql).await?;
    copy.send(&b"1\tone\nx\ttwo\n"[..]).await?;
    fails::<Sqlx, _>("22P02", told(copy.finish().await))?;
    let count = format!("SELECT count(*)::text FROM {table}");
    same(text(&mut client, &count).await?, "5000".to_owned())
}

async fn copy_out() -> Outcome {
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options(Login::default()));
    let pool = pool.await?;
    let sql = "COPY (SELECT generate_series(1, 5000)) TO STDOUT";
    let pieces: Vec<_> = pool.copy_out_raw(sql).await?.try_collect().await?;
    let expected: String = (1..=5000).map(|n| format!("{n}\n")).collect();
    same(String::from_utf8(pieces.concat())?, expected)?;
    same(query_scalar("SELECT $1 + 1").bind(1).fetch_one(&pool).await?, 2)?;
    pool.close().await;
    Ok(())
}

/// It has no cursors, but those of SQL are for everybody; and a stream that is left half read.
async fn cursor() -> Outcome {
    let mut client = open().await?;
    let mut transaction = client.begin().await?;
    query("DECLARE pieces CURSOR FOR SELECT generate_series(1, 1000)")
        .execute(&mut *transaction)
        .await?;
    let mut found: Vec<i32> = Vec::new();
    loop {
        let piece: Vec<i32> =
            query_scalar("FETCH 70 FROM pieces").fetch_all(&mut *transaction).await?;
        if piece.is_empty() {
            break;
        }
        found.extend(piece);
    }
    same(found, (1..=1000).collect())?;
    transaction.commit().await?;
    let mut stream = query_scalar("SELECT generate_series(1, $1)").bind(1000).fetch(&mut client);
    same(stream.try_next().await?, Some(1))?;
    drop(stream);
    same(query_scalar("SELECT $1 + 1").bind(1).fetch_one(&mut client).await?, 2)
}

async fn transaction_commit() -> Outcome {
    let (mut client, mut other) = (open().await?, open().await?);
    let table = table::<Sqlx>(&mut client, "commit", "n int").await?;
    let mut transaction = client.begin().await?;
    for n in [1, 2] {
        let insert = query(AssertSqlSafe(format!("INSERT INTO {table} VALUES ($1)"))).bind(n);
        insert.execute(&mut *transaction).await?;
    }
    same(numbers(&mut other, &table).await?, vec![])?;
    transaction.commit().await?;
    same(numbers(&mut other, &table).await?, vec![1, 2])
}

async fn transaction_rollback() -> Outcome {
    let mut client = open().await?;
    let table = table::<Sqlx>(&mut client, "rollback", "n int").await?;
    let mut transaction = client.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await?;
    let level = text(&mut *transaction, "SHOW transaction_isolation").await?;
    same(level, "serializable".to_owned())?;
    let insert = query(AssertSqlSafe(format!("INSERT INTO {table} VALUES ($1)"))).bind(1);
    insert.execute(&mut *transaction).await?;
    // One that is dropped is rolled back with the connection's next statement.
    drop(transaction);
    same(numbers(&mut client, &table).await?, vec![])
}

/// Its own pool, too.
async fn many_clients() -> Outcome {
    harness::common::behaviour::<Sqlx>("many_clients").await?;
    let size = if shared() { 4 * connections() } else { connections() / 2 };
    let pool = PgPoolOptions::new().max_connections(u32::try_from(size)?);
    let pool = pool.connect_with(options(Login::default())).await?;
    try_join_all((0..200_i32).map(async |n| {
        let mut transaction = pool.begin().await?;
        let number = query_scalar("SELECT $1 + 1").bind(n).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        same(number, n + 1)
    }))
    .await?;
    pool.close().await;
    Ok(())
}

async fn large_value() -> Outcome {
    let mut client = open().await?;
    let characters = "x\u{e9}".repeat(LARGE / 3);
    let sql = "SELECT length($1::text), $1::text";
    let row = query(sql).bind(&characters).fetch_one(&mut client).await?;
    same(row.try_get(0)?, i32::try_from(LARGE / 3 * 2)?)?;
    same(row.try_get::<&str, _>(1)? == characters, true)?;
    let data = [0, 1, b'\\', 255].repeat(LARGE / 4);
    let sql = "SELECT length($1::bytea), $1::bytea";
    let row = query(sql).bind(&data).fetch_one(&mut client).await?;
    same(row.try_get(0)?, i32::try_from(LARGE)?)?;
    same(row.try_get::<&[u8], _>(1)? == data, true)
}

async fn listen_notify() -> Outcome {
    let pool = PgPoolOptions::new().max_connections(2).connect_with(options(Login::default()));
    let pool = pool.await?;
    let channel = word::<Sqlx>("channel");
    let mut listener = PgListener::connect_with(&pool).await?;
    let listening = listener.listen(&channel).await;
    if mode() == "transaction" {
        fails::<Sqlx, _>("0A000", told(listening))?;
        return same(query_scalar("SELECT $1 + 1").bind(1).fetch_one(&pool).await?, 2);
    }
    listening?;
    query("SELECT pg_notify($1, $2)").bind(&channel).bind("tea").execute(&pool).await?;
    let found = timeout(Duration::from_secs(20), listener.recv()).await??;
    same((found.channel(), found.payload()), (channel.as_str(), "tea"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let title = format!("sqlx {}, Rust {}", env!("DRIVER_SQLX"), env!("DRIVER_RUST"));
    harness::run(&title, async |name| match name {
        "tls" => encrypted().await,
        "types" => types().await,
        "null_and_empty" => null_and_empty().await,
        "unnamed_parameters" => unnamed_parameters().await,
        "prepared_named" => prepared_named().await,
        "prepared_reused_across_transactions" => prepared_reused().await,
        "pipeline" => pipeline().await,
        "copy_in" => copy_in().await,
        "copy_out" => copy_out().await,
        "cursor" => cursor().await,
        "cancel" => Err(Skip("sqlx has no call for it").into()),
        "notice" => Err(Skip("sqlx has no call for it").into()),
        "transaction_commit" => transaction_commit().await,
        "transaction_rollback" => transaction_rollback().await,
        "many_clients" => many_clients().await,
        "large_value" => large_value().await,
        "listen_notify" => listen_notify().await,
        other => harness::common::behaviour::<Sqlx>(other).await,
    })
    .await
}
