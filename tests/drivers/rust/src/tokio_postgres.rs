//! tokio-postgres through the PostgreSQL door. It prepares every statement that has arguments, asks
//! for results in binary, and sends ahead what is asked for at the same time.

mod harness;

use std::future::poll_fn;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::{join_all, try_join_all};
use futures_util::{SinkExt, TryStreamExt, pin_mut};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Config, IsolationLevel, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use harness::{
    Client, Driver, Failure, Login, Outcome, Skip, connect, fails, mode, numbers, same, table,
    text, variable, walk, walked_all, word,
};

const LARGE: usize = 4 << 20;
/// How many statements with a text of this kind others are running, as text; `{}` is the marker.
const RUNNING: &str = "SELECT count(*)::text FROM pg_stat_activity, pg_sleep(0.01) \
    WHERE state = 'active' AND pid <> pg_backend_pid() AND strpos(query, '{}') > 0";

/// A connection, and what arrives on it unasked.
struct Connected {
    client: tokio_postgres::Client,
    messages: UnboundedReceiver<AsyncMessage>,
}

struct TokioPostgres;

impl Client for Connected {
    async fn execute(&mut self, sql: &str) -> Outcome {
        Ok(self.client.batch_execute(sql).await?)
    }

    async fn texts(&mut self, sql: &str) -> Outcome<Vec<Option<String>>> {
        self.client.query(sql, &[]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

impl Driver for TokioPostgres {
    type Client = Connected;
    const NAME: &'static str = "tokio_postgres";

    async fn open(login: Login) -> Outcome<Connected> {
        let password =
            if login.wrong_password { "wrong".to_owned() } else { variable("PGPASSWORD") };
        let mut config = Config::new();
        config
            .host(variable("PGHOST"))
            .port(variable("PGPORT").parse()?)
            .user(variable("PGUSER"))
            .password(password)
            .dbname(variable("PGDATABASE"));
        let mut options = String::new();
        for (name, value) in login.settings {
            match name {
                "application_name" => _ = config.application_name(value),
                _ => options += &format!(" -c {name}={value}"),
            }
        }
        config.options(options);
        if login.verify_certificate {
            config.ssl_mode(tokio_postgres::config::SslMode::Require);
            let (client, connection) = config.connect(tls()?).await?;
            return Ok(drive(client, connection));
        }
        let (client, connection) = config.connect(NoTls).await?;
        Ok(drive(client, connection))
    }

    fn sqlstate(error: &Failure) -> Option<String> {
        let error = error.downcast_ref::<tokio_postgres::Error>()?;
        Some(error.code()?.code().to_owned())
    }
}

fn drive<S>(
    client: tokio_postgres::Client,
    mut connection: tokio_postgres::Connection<Socket, S>,
) -> Connected
where
    S: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
{
    let (sender, messages) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            // Nobody needs to listen.
            _ = sender.send(message);
        }
    });
    Connected { client, messages }
}

fn tls() -> Outcome<MakeRustlsConnect> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    for authority in CertificateDer::pem_file_iter(variable("PGPOOL_TLS_CA"))? {
        roots.add(authority?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

async fn open() -> Outcome<Connected> {
    connect::<TokioPostgres>().await
}

/// Something of tokio-postgres's with its errors in the form of all drivers.
fn told<T>(outcome: Result<T, tokio_postgres::Error>) -> Outcome<T> {
    Ok(outcome?)
}

async fn encrypted() -> Outcome {
    if variable("PGPOOL_TLS_CA").is_empty() {
        return Err(Skip("PGPOOL_TLS_CA is not set").into());
    }
    let mut client =
        TokioPostgres::open(Login { verify_certificate: true, ..Login::default() }).await?;
    same(text(&mut client, "SELECT 'well'").await?, "well".to_owned())
}

async fn types() -> Outcome {
    let Connected { client, .. } = open().await?;
    macro_rules! round_trip {
        ($($name:literal: $type:ty = $value:expr;)*) => {$({
            let value: $type = $value;
            let row = client.query_one(concat!("SELECT $1::", $name), &[&value]).await?;
            same(row.try_get::<_, $type>(0)?, value)?;
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
        "timestamptz": SystemTime = SystemTime::UNIX_EPOCH + Duration::from_micros(1_704_164_645_000_006);
        "int4[]": Vec<Option<i32>> = vec![Some(1), None, Some(3)];
        "text[]": Vec<Option<String>> = vec![Some("a,b".to_owned()), None, Some("c\"d".to_owned()), Some(String::new())];
    }
    Ok(())
}

async fn null_and_empty() -> Outcome {
    let mut connected = open().await?;
    let table =
        table::<TokioPostgres>(&mut connected, "null_and_empty", "n int, t text, b bytea").await?;
    let client = connected.client;
    type Row = (i32, Option<String>, Option<Vec<u8>>);
    let rows: [Row; 3] = [
        (1, None, None),
        (2, Some(String::new()), Some(vec![])),
        (3, Some("x".to_owned()), Some(vec![0])),
    ];
    let insert = format!("INSERT INTO {table} VALUES ($1, $2, $3)");
    for (n, t, b) in &rows {
        same(client.execute(&insert, &[n, t, b]).await?, 1)?;
    }
    let found = client.query(&format!("SELECT n, t, b FROM {table} ORDER BY n"), &[]).await?;
    for (row, expected) in found.iter().zip(rows) {
        same((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), expected)?;
    }
    let condition = format!("SELECT n FROM {table} WHERE t IS NOT DISTINCT FROM $1");
    same(client.query_one(&condition, &[&None::<&str>]).await?.try_get(0)?, 1)?;
    same(client.query_one(&condition, &[&""]).await?.try_get(0)?, 2)
}

async fn unnamed_parameters() -> Outcome {
    use tokio_postgres::types::Type;
    let Connected { client, .. } = open().await?;
    for n in 0..20_i32 {
        // Without a statement prepared before, by the types that the caller tells.
        let rows = client.query_typed("SELECT $1 + 1", &[(&n, Type::INT4)]).await?;
        same(rows[0].try_get(0)?, n + 1)?;
        let words = n.to_string();
        let rows = client.query_typed("SELECT 'tea ' || $1", &[(&words, Type::TEXT)]).await?;
        same(rows[0].try_get(0)?, format!("tea {n}"))?;
        same(client.query_one("SELECT $1::bool", &[&(n % 2 == 0)]).await?.try_get(0)?, n % 2 == 0)?;
    }
    Ok(())
}

async fn prepared_named() -> Outcome {
    let Connected { client, .. } = open().await?;
    let one = client.prepare("SELECT $1::int + 1").await?;
    let two = client.prepare("SELECT 'tea ' || $1").await?;
    for n in 0..10_i32 {
        same(client.query_one(&one, &[&n]).await?.try_get(0)?, n + 1)?;
        same(client.query_one(&two, &[&"cup"]).await?.try_get(0)?, "tea cup")?;
    }
    // It is dropped at the server with the next thing that is sent.
    drop(one);
    fails::<TokioPostgres, _>("42601", told(client.prepare("SELECT FROM FROM").await))?;
    let three = client.prepare("SELECT $1::int + 3").await?;
    same(client.query_one(&three, &[&4]).await?.try_get(0)?, 7)?;
    same(client.query_one(&two, &[&"pot"]).await?.try_get(0)?, "tea pot")
}

async fn prepared_reused() -> Outcome {
    let Connected { mut client, .. } = open().await?;
    let statement = client.prepare("SELECT pg_backend_pid(), $1::int + 1").await?;
    let pids = walk::<TokioPostgres, i32>(async || {
        let transaction = client.transaction().await?;
        let row = transaction.query_one(&statement, &[&41]).await?;
        transaction.commit().await?;
        same(row.try_get(1)?, 42)?;
        Ok(row.try_get(0)?)
    })
    .await?;
    same(pids.len(), walked_all())
}

async fn pipeline() -> Outcome {
    let mut connected = open().await?;
    let table = table::<TokioPostgres>(&mut connected, "pipeline", "n int PRIMARY KEY").await?;
    let client = &connected.client;
    let statement = client.prepare(&format!("INSERT INTO {table} VALUES ($1)")).await?;
    let insert =
        async |n: i32| told(client.execute(&statement, &[&n as &(dyn ToSql + Sync)]).await);
    try_join_all((0..200).map(&insert)).await?;
    // Each is a transaction of its own: one that fails takes no other along.
    let found = join_all([200, 7, 201].map(&insert)).await;
    let [Ok(1), failed, Ok(1)] = <[_; 3]>::try_from(found).map_err(|_| "not three")? else {
        return Err("another one than the second has failed".into());
    };
    fails::<TokioPostgres, _>("23505", failed)?;
    same(numbers(&mut connected, &table).await?, (0..202).collect())
}

async fn copy_in() -> Outcome {
    let mut connected = open().await?;
    let table = table::<TokioPostgres>(&mut connected, "copy_in", "n int, t text").await?;
    let copy = async |client: &tokio_postgres::Client, text: String| {
        let sink = client.copy_in(&format!("COPY {table} FROM STDIN")).await?;
        pin_mut!(sink);
        sink.send(std::io::Cursor::new(text.into_bytes())).await?;
        told(sink.finish().await)
    };
    let line = |n| if n % 7 == 0 { format!("{n}\t\\N\n") } else { format!("{n}\trow {n}\n") };
    same(copy(&connected.client, (0..5000).map(line).collect()).await?, 5000)?;
    same(numbers(&mut connected, &table).await?, (0..5000).collect())?;
    same(
        text(&mut connected, &format!("SELECT count(*)::text FROM {table} WHERE t IS NULL"))
            .await?,
        "715".to_owned(),
    )?;
    fails::<TokioPostgres, _>(
        "22P02",
        copy(&connected.client, "1\tone\nx\ttwo\n".to_owned()).await,
    )?;
    same(
        text(&mut connected, &format!("SELECT count(*)::text FROM {table}")).await?,
        "5000".to_owned(),
    )
}

async fn copy_out() -> Outcome {
    let mut connected = open().await?;
    let stream =
        connected.client.copy_out("COPY (SELECT generate_series(1, 5000)) TO STDOUT").await?;
    let pieces: Vec<_> = stream.try_collect().await?;
    let expected: String = (1..=5000).map(|n| format!("{n}\n")).collect();
    same(String::from_utf8(pieces.concat())?, expected)?;
    same(text(&mut connected, "SELECT 'well'").await?, "well".to_owned())
}

async fn cursor() -> Outcome {
    let Connected { mut client, .. } = open().await?;
    let transaction = client.transaction().await?;
    let portal = transaction.bind("SELECT generate_series(1, $1)", &[&1000]).await?;
    let half = transaction.bind("SELECT generate_series(1, $1)", &[&1000]).await?;
    let mut found = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 70).await?;
        if found.is_empty() {
            same(transaction.query_portal(&half, 3).await?.len(), 3)?;
        }
        if rows.is_empty() {
            break;
        }
        for row in rows {
            found.push(row.try_get(0)?);
        }
    }
    same(found, (1..=1000).collect())?;
    transaction.commit().await?;
    same(client.query_one("SELECT $1::int", &[&1]).await?.try_get(0)?, 1)
}

async fn cancel() -> Outcome {
    let (mut connected, mut other) = (open().await?, open().await?);
    let marker = word::<TokioPostgres>("cancel");
    let running = RUNNING.replace("{}", &marker);
    let token = connected.client.cancel_token();
    let sql = format!("SELECT pg_sleep(30) /* {marker} */");
    let (ended, cancelled) = tokio::join!(connected.execute(&sql), async {
        while text(&mut other, &running).await? != "1" {}
        told(token.cancel_query(NoTls).await)
    });
    cancelled?;
    fails::<TokioPostgres, _>("57014", ended)?;
    same(text(&mut connected, "SELECT 'well'").await?, "well".to_owned())?;
    same(text(&mut other, &running).await?, "0".to_owned())
}

async fn notice() -> Outcome {
    let mut connected = open().await?;
    connected.execute("DO $$ BEGIN RAISE NOTICE 'tea is ready'; END $$").await?;
    match timeout(Duration::from_secs(20), connected.messages.recv()).await? {
        Some(AsyncMessage::Notice(notice)) => same(notice.message(), "tea is ready"),
        other => Err(format!("no notice: {other:?}").into()),
    }
}

async fn transaction_commit() -> Outcome {
    let (mut connected, mut other) = (open().await?, open().await?);
    let table = table::<TokioPostgres>(&mut connected, "commit", "n int").await?;
    let insert = format!("INSERT INTO {table} VALUES ($1)");
    let transaction = connected.client.transaction().await?;
    transaction.execute(&insert, &[&1]).await?;
    transaction.execute(&insert, &[&2]).await?;
    same(numbers(&mut other, &table).await?, vec![])?;
    transaction.commit().await?;
    same(numbers(&mut other, &table).await?, vec![1, 2])
}

async fn transaction_rollback() -> Outcome {
    let mut connected = open().await?;
    let table = table::<TokioPostgres>(&mut connected, "rollback", "n int").await?;
    let builder =
        connected.client.build_transaction().isolation_level(IsolationLevel::Serializable);
    let transaction = builder.start().await?;
    let level = transaction.query_one("SHOW transaction_isolation", &[]).await?;
    same(level.try_get(0)?, "serializable")?;
    transaction.execute(&format!("INSERT INTO {table} VALUES ($1)"), &[&1]).await?;
    // One that is dropped is rolled back.
    drop(transaction);
    same(numbers(&mut connected, &table).await?, vec![])
}

async fn large_value() -> Outcome {
    let Connected { client, .. } = open().await?;
    let characters = "x\u{e9}".repeat(LARGE / 3);
    let data: Vec<u8> = (0..LARGE).map(|n| n as u8).collect();
    let row = client.query_one("SELECT length($1::text), $1::text", &[&characters]).await?;
    same(row.try_get(0)?, (LARGE / 3 * 2) as i32)?;
    same(row.try_get::<_, &str>(1)? == characters, true)?;
    let row = client.query_one("SELECT length($1::bytea), $1::bytea", &[&data]).await?;
    same(row.try_get(0)?, LARGE as i32)?;
    same(row.try_get::<_, &[u8]>(1)? == data, true)
}

async fn listen_notify() -> Outcome {
    let (mut connected, other) = (open().await?, open().await?);
    let channel = word::<TokioPostgres>("channel");
    let listening = connected.execute(&format!("LISTEN {channel}")).await;
    if mode() == "transaction" {
        fails::<TokioPostgres, _>("0A000", listening)?;
        return same(text(&mut connected, "SELECT 'well'").await?, "well".to_owned());
    }
    listening?;
    other.client.execute("SELECT pg_notify($1, $2)", &[&channel, &"tea"]).await?;
    match timeout(Duration::from_secs(20), connected.messages.recv()).await? {
        Some(AsyncMessage::Notification(found)) => {
            same((found.channel(), found.payload()), (&channel, "tea"))
        }
        other => Err(format!("no notification: {other:?}").into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let title =
        format!("tokio-postgres {}, Rust {}", env!("DRIVER_TOKIO_POSTGRES"), env!("DRIVER_RUST"));
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
        "cancel" => cancel().await,
        "notice" => notice().await,
        "transaction_commit" => transaction_commit().await,
        "transaction_rollback" => transaction_rollback().await,
        "large_value" => large_value().await,
        "listen_notify" => listen_notify().await,
        other => harness::common::behaviour::<TokioPostgres>(other).await,
    })
    .await
}
