//! The `idle` mode: many open connections, and the server's memory before, with them, and after
//! each has made one call. It never makes two calls at a time, so the server needs one pooled
//! connection only.

use std::io;

use serde_json::{Value, json};

use crate::client::{Client, execute_body};
use crate::{IdleArgs, process};

pub(crate) async fn run(args: &IdleArgs) -> io::Result<Value> {
    let pids = &args.common.pid;
    let before = process::resident_kib(pids)?;
    let mut clients = Vec::with_capacity(args.connections);
    for number in 0..args.connections {
        let client = Client::connect(&args.common.address, args.common.codec).await;
        clients.push(client.map_err(|error| {
            io::Error::other(format!("connection {number}: {error} (is ulimit -n high enough?)"))
        })?);
    }
    let mut body = Vec::new();
    execute_body(args.common.codec, &args.query, None, &mut body);
    // One answer on the newest connection shows that the server has accepted all before it.
    if let Some(newest) = clients.last_mut() {
        newest.execute(&body).await?;
    }
    tokio::time::sleep(args.settle).await;
    let connected = process::resident_kib(pids)?;
    for client in &mut clients {
        client.execute(&body).await?;
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
