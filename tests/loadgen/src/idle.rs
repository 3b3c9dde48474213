//! The `idle` mode: many open connections, and the server's memory before, with them, and after
//! each has made one call. It never makes two calls at a time, so the server needs one pooled
//! connection only.

use std::io;

use serde_json::{Value, json};
use test_support::WireClient;
use test_support::wire::{WireError, errors};

use crate::client::{Client, execute_body};
use crate::{IdleArgs, Protocol, process};

pub(crate) async fn run(args: &IdleArgs) -> io::Result<Value> {
    match args.protocol {
        Protocol::Goridge => {
            let mut body = Vec::new();
            execute_body(args.common.codec, &args.query, None, &mut body);
            let connect = async || Client::connect(&args.common.address, args.common.codec).await;
            let call = async |client: &mut Client| client.execute(&body).await.map(drop);
            measure(args, connect, call).await
        }
        Protocol::Postgres => {
            let who = [("user", args.user.as_str()), ("database", args.database.as_str())];
            let connect = async || {
                let login = WireClient::login(&args.common.address, &args.password, &who).await;
                login.map_err(io::Error::other)
            };
            measure(args, connect, async |client| query(client, &args.query).await).await
        }
    }
}

async fn query(client: &mut WireClient, sql: &str) -> io::Result<()> {
    let replies = client.query(sql).await.map_err(io::Error::other)?;
    match errors(&replies).pop() {
        Some(fault) => Err(io::Error::other(WireError::Fatal(fault))),
        None => Ok(()),
    }
}

async fn measure<C>(
    args: &IdleArgs,
    connect: impl AsyncFn() -> io::Result<C>,
    call: impl AsyncFn(&mut C) -> io::Result<()>,
) -> io::Result<Value> {
    let pids = &args.common.pid;
    let before = process::resident_kib(pids)?;
    let mut clients = Vec::with_capacity(args.connections);
    for number in 0..args.connections {
        clients.push(connect().await.map_err(|error| {
            io::Error::other(format!("connection {number}: {error} (is ulimit -n high enough?)"))
        })?);
    }
    // One answer on the newest connection shows that the server has accepted all before it.
    if let Some(newest) = clients.last_mut() {
        call(newest).await?;
    }
    tokio::time::sleep(args.settle).await;
    let connected = process::resident_kib(pids)?;
    for client in &mut clients {
        call(client).await?;
    }
    tokio::time::sleep(args.settle).await;
    let used = process::resident_kib(pids)?;
    Ok(json!({
        "connections": args.connections,
        "rss_kib_before": before,
        "rss_kib_connected": connected,
        "rss_kib_after_one_call": used,
    }))
}
