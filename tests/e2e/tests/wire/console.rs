//! The admin console: who is let in, PgBouncer's lists and commands, and what they do to both doors.

use std::time::Duration;

use e2e::{Setup, eventually, in_time, ok};
use serde_json::{Value, json};
use test_support::postgres::{PASSWORD, ROLE};
use test_support::wire::message::{
    bind, describe_portal, describe_statement, execute, parse, sync,
};
use test_support::wire::summary;
use test_support::{Reply, WireClient};

use crate::talk::{ask, refused};

/// A server whose usual user may give orders.
async fn setup(more: Value) -> Setup {
    let mut config = json!({"proxy": {"admin_users": [ROLE]}});
    for (section, value) in more.as_object().expect("a map") {
        match (config.get_mut(section).and_then(Value::as_object_mut), value.as_object()) {
            (Some(known), Some(more)) => known.extend(more.clone()),
            _ => config[section] = value.clone(),
        }
    }
    Setup::with(&config).await
}

async fn console(setup: &Setup) -> WireClient {
    setup.server.wire_with(&[("database", "pgbouncer")]).await.expect("let in")
}

/// Names and type oids of a result's columns.
async fn columns(client: &mut WireClient, sql: &str) -> Vec<(String, u32)> {
    let replies = client.query(sql).await.unwrap();
    let description = replies.iter().find(|reply| reply.tag == b'T').expect("columns");
    let mut rest = &description.body[2..];
    let mut columns = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let name = String::from_utf8(rest[..end].to_vec()).unwrap();
        let fields = &rest[end + 1..];
        columns.push((name, u32::from_be_bytes(fields[6..10].try_into().unwrap())));
        rest = &fields[18..];
    }
    columns
}

/// A row's value in the column of that name.
async fn value(client: &mut WireClient, sql: &str, row: &str, column: &str) -> String {
    let names = columns(client, sql).await;
    let index = names.iter().position(|(name, _)| name == column).expect("such a column");
    let rows = client.rows(sql).await;
    let found = rows.iter().find(|line| line.split(',').any(|value| value == row));
    let found = found.unwrap_or_else(|| panic!("no {row} in {rows:?}"));
    found.split(',').nth(index).expect("a value").to_owned()
}

const TEXT: u32 = 25;
const INT: u32 = 23;
const NUMERIC: u32 = 1700;

#[tokio::test]
async fn the_lists_have_pgbouncers_columns_and_types() {
    let setup = setup(json!({})).await;
    let mut console = console(&setup).await;
    for (list, types, names) in [
        (
            "POOLS",
            "ssiiiiiiiiiiiiiss",
            "database,user,cl_active,cl_waiting,cl_active_cancel_req,cl_waiting_cancel_req,sv_active,sv_active_cancel,sv_being_canceled,sv_idle,sv_used,sv_tested,sv_login,maxwait,maxwait_us,pool_mode,load_balance_hosts",
        ),
        (
            "DATABASES",
            "ssissiiiissiiiiii",
            "name,host,port,database,force_user,pool_size,min_pool_size,reserve_pool_size,server_lifetime,pool_mode,load_balance_hosts,max_connections,current_connections,max_client_connections,current_client_connections,paused,disabled",
        ),
        (
            "CLIENTS",
            "ssssssisissiiississii",
            "type,user,database,replication,state,addr,port,local_addr,local_port,connect_time,request_time,wait,wait_us,close_needed,ptr,link,remote_pid,tls,application_name,prepared_statements,id",
        ),
        (
            "SERVERS",
            "ssssssisissiiississii",
            "type,user,database,replication,state,addr,port,local_addr,local_port,connect_time,request_time,wait,wait_us,close_needed,ptr,link,remote_pid,tls,application_name,prepared_statements,id",
        ),
        (
            "STATS",
            "sNNNNNNNNNNNNNNNNNNNNNNNN",
            "database,total_server_assignment_count,total_xact_count,total_query_count,total_received,total_sent,total_xact_time,total_query_time,total_wait_time,total_client_parse_count,total_server_parse_count,total_bind_count,total_client_login_count,avg_server_assignment_count,avg_xact_count,avg_query_count,avg_recv,avg_sent,avg_xact_time,avg_query_time,avg_wait_time,avg_client_parse_count,avg_server_parse_count,avg_bind_count,avg_client_login_count",
        ),
        (
            "STATS_TOTALS",
            "sNNNNNNNNNNNN",
            "database,server_assignment_count,xact_count,query_count,bytes_received,bytes_sent,xact_time,query_time,wait_time,client_parse_count,server_parse_count,bind_count,client_login_count",
        ),
        (
            "STATS_AVERAGES",
            "sNNNNNNNNNNNN",
            "database,server_assignment_count,xact_count,query_count,bytes_received,bytes_sent,xact_time,query_time,wait_time,avg_client_parse_count,avg_server_parse_count,avg_bind_count,avg_client_login_count",
        ),
        (
            "USERS",
            "ssssiiii",
            "name,pool_size,reserve_pool_size,pool_mode,max_user_connections,current_connections,max_user_client_connections,current_client_connections",
        ),
        ("QUERIES", "ssNNNNNN", "database,query,calls,errors,rows,total_time,avg_time,p99_time"),
        ("LISTS", "si", "list,items"),
        ("STATE", "ss", "key,value"),
        ("CONFIG", "ssss", "key,value,default,changeable"),
        ("MEM", "siiii", "name,size,used,free,memtotal"),
        ("VERSION", "s", "version"),
        ("TOTALS", "sN", "name,value"),
    ] {
        let expected: Vec<_> = names.split(',').zip(types.chars()).collect();
        let found = columns(&mut console, &format!("SHOW {list};")).await;
        assert_eq!(found.len(), expected.len(), "{list}");
        for ((name, oid), (expected, kind)) in found.iter().zip(expected) {
            let kind = match kind {
                's' => TEXT,
                'i' => INT,
                _ => NUMERIC,
            };
            assert_eq!((name.as_str(), *oid), (expected, kind), "{list}");
        }
    }
    assert!(console.rows("SHOW VERSION").await[0].starts_with("rr-pgpool "));
    assert!(console.rows("SHOW HELP").await.iter().any(|row| row.starts_with("PAUSE")));
}

#[tokio::test]
async fn the_lists_tell_what_clients_of_both_doors_do() {
    let setup = setup(json!({"backends": {"primary": {"pool": {"max_connections": 1}}}})).await;
    let mut console = console(&setup).await;
    let mut holder =
        setup.server.wire_with(&[("application_name", "billing")]).await.expect("let in");
    holder.query("BEGIN").await.unwrap();
    let mut rpc = setup.client().await;
    let waiting = tokio::spawn(async move { rpc.execute("SELECT 1", json!([])).await });
    eventually("it waits", || async {
        let mut console = setup.server.wire_with(&[("database", "pgpool")]).await.unwrap();
        value(&mut console, "SHOW POOLS", "primary", "cl_waiting").await == "1"
    })
    .await;
    assert_eq!(value(&mut console, "SHOW POOLS", "primary", "sv_active").await, "1");
    assert_eq!(value(&mut console, "SHOW CLIENTS", "billing", "state").await, "active");
    let server = value(&mut console, "SHOW CLIENTS", "billing", "link").await;
    assert_eq!(value(&mut console, "SHOW SERVERS", &server, "state").await, "active");
    let id = value(&mut console, "SHOW CLIENTS", "billing", "ptr").await;
    assert_eq!(value(&mut console, "SHOW SERVERS", "primary", "link").await, id);
    holder.query("COMMIT").await.unwrap();
    ok(waiting.await.unwrap());
    assert_eq!(value(&mut console, "SHOW STATS", "primary", "total_xact_count").await, "2");
    assert_eq!(value(&mut console, "SHOW STATS", "primary", "total_client_login_count").await, "1");
    let sent: u64 =
        value(&mut console, "SHOW STATS", "primary", "total_sent").await.parse().unwrap();
    assert!(sent > 0);
    assert_eq!(value(&mut console, "SHOW LISTS", "used_clients", "items").await, "1");
    // Constants are in no list.
    holder.query("SELECT 'a secret', 1").await.unwrap();
    eventually("it is counted", || async {
        let mut console = setup.server.wire_with(&[("database", "pgpool")]).await.unwrap();
        let all = console.rows("SHOW QUERIES").await;
        assert!(!all.iter().any(|row| row.contains("secret")), "{all:?}");
        all.iter().any(|row| row.to_lowercase().starts_with("primary,select"))
    })
    .await;
}

#[tokio::test]
async fn admins_change_stats_users_look_and_others_stay_outside() {
    let users = json!({"boss": "a", "watcher": "b", "other": "c"});
    let setup = Setup::with(&json!({"proxy": {
        "users": users, "admin_users": ["boss"], "stats_users": ["watcher"], "max_clients": 1,
    }}))
    .await;
    let address = setup.server.proxy_address();
    let login = |user: &'static str, password: &'static str| {
        let parameters = [("user", user), ("database", "pgbouncer")];
        async move { WireClient::login(address, password, &parameters).await }
    };
    let full = WireClient::login(address, "c", &[("user", "other"), ("database", "primary")]);
    let _full = full.await.unwrap();
    let mut boss = login("boss", "a").await.expect("however full it is");
    assert_eq!(ask(&mut boss, "DISABLE primary").await, "C(DISABLE) Z(I)");
    assert_eq!(ask(&mut boss, "ENABLE primary").await, "C(ENABLE) Z(I)");
    let mut watcher = login("watcher", "b").await.unwrap();
    assert!(!watcher.rows("SHOW POOLS").await.is_empty());
    let fault = refused(&mut watcher, "PAUSE").await;
    assert_eq!(fault.code(), "42501");
    assert!(fault.message().contains("proxy.admin_users"), "{fault}");
    for (user, password, code) in [("other", "c", "28000"), ("boss", "x", "28P01")] {
        let error = login(user, password).await.err().expect("not let in");
        assert!(error.to_string().contains(code), "{error}");
    }
}

#[tokio::test]
async fn a_client_of_the_extended_protocol_gets_the_same_in_either_format() {
    let setup = setup(json!({})).await;
    let mut console = console(&setup).await;
    let batch = [
        parse("s", "SHOW LISTS"),
        describe_statement("s"),
        bind("", "s", &[]),
        describe_portal(""),
        execute("", 0),
        sync(),
    ];
    let replies = console.exchange(&batch).await.unwrap();
    let told = summary(&replies);
    assert!(told.starts_with("1 t T 2 T D"), "{told}");
    assert!(told.ends_with("C(SHOW) Z(I)"), "{told}");
    let wrong = [parse("", "SHOW NOTHING"), bind("", "", &[]), execute("", 0), sync()];
    let replies = console.exchange(&wrong).await.unwrap();
    assert_eq!(summary(&replies), "E(42601) Z(I)");
    let resume = [parse("", "RESUME"), bind("", "", &[]), execute("", 0), sync()];
    let replies = console.exchange(&resume).await.unwrap();
    assert_eq!(summary(&replies), "1 2 E(55000) Z(I)");
}

#[tokio::test]
async fn a_pause_holds_both_doors_until_resume() {
    let pool = json!({"acquire_timeout": "400ms"});
    let setup = setup(json!({"backends": {"primary": {"pool": pool}}})).await;
    let mut console = console(&setup).await;
    let mut client = setup.wire().await;
    client.query("BEGIN").await.unwrap();
    let mut pausing = setup.server.wire_with(&[("database", "pgbouncer")]).await.unwrap();
    let paused = tokio::spawn(async move { ask(&mut pausing, "PAUSE primary").await });
    eventually("it is paused", || async {
        let mut console = setup.server.wire_with(&[("database", "pgpool")]).await.unwrap();
        value(&mut console, "SHOW DATABASES", "primary", "paused").await == "1"
    })
    .await;
    assert!(!paused.is_finished(), "a transaction is open");
    client.query("COMMIT").await.unwrap();
    assert_eq!(in_time("PAUSE", paused).await.unwrap(), "C(PAUSE) Z(I)");
    assert_eq!(setup.count("true").await, 0);
    let mut rpc = setup.client().await;
    let late = rpc.execute("SELECT 1", json!([])).await.unwrap();
    assert_eq!(late["sqlstate"], "53300", "{late}");
    assert!(late["error"].as_str().unwrap().contains("paused"), "{late}");
    let fault = refused(&mut client, "SELECT 1").await;
    assert_eq!(fault.code(), "53300");
    assert_eq!(refused(&mut console, "PAUSE").await.code(), "55000");
    let held = tokio::spawn(async move { client.rows("SELECT 7").await });
    eventually("it waits", || async {
        let mut console = setup.server.wire_with(&[("database", "pgpool")]).await.unwrap();
        value(&mut console, "SHOW POOLS", "primary", "cl_waiting").await == "1"
    })
    .await;
    assert_eq!(ask(&mut console, "RESUME").await, "C(RESUME) Z(I)");
    assert_eq!(held.await.unwrap(), ["7"]);
    ok(rpc.execute("SELECT 1", json!([])).await);
}

#[tokio::test]
async fn a_pause_whose_client_cancels_or_goes_away_is_still_one() {
    let setup = setup(json!({})).await;
    let mut client = setup.wire().await;
    client.query("BEGIN").await.unwrap();
    let mut pausing = console(&setup).await;
    pausing.send(&test_support::wire::message::query("PAUSE")).await.unwrap();
    eventually("it is paused", || async {
        let mut console = console(&setup).await;
        value(&mut console, "SHOW STATE", "paused", "value").await == "yes"
    })
    .await;
    drop(pausing);
    let mut other = console(&setup).await;
    assert_eq!(ask(&mut other, "RESUME").await, "C(RESUME) Z(I)");
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn reconnect_replaces_connections_and_wait_close_waits_for_it() {
    let setup = setup(json!({})).await;
    let mut console = console(&setup).await;
    let mut client = setup.wire().await;
    client.query("BEGIN").await.unwrap();
    let pid = client.rows("SELECT pg_backend_pid()").await;
    assert_eq!(ask(&mut console, "RECONNECT primary").await, "C(RECONNECT) Z(I)");
    assert_eq!(value(&mut console, "SHOW SERVERS", &pid[0], "close_needed").await, "1");
    let mut waiting = setup.server.wire_with(&[("database", "pgbouncer")]).await.unwrap();
    let closed = tokio::spawn(async move { ask(&mut waiting, "WAIT_CLOSE").await });
    assert_eq!(client.rows("SELECT pg_backend_pid()").await, pid);
    assert!(!closed.is_finished());
    client.query("COMMIT").await.unwrap();
    assert_eq!(in_time("WAIT_CLOSE", closed).await.unwrap(), "C(WAIT_CLOSE) Z(I)");
    assert_ne!(client.rows("SELECT pg_backend_pid()").await, pid);
}

#[tokio::test]
async fn kill_disconnects_at_once_and_resume_lets_clients_come_again() {
    let setup = setup(json!({})).await;
    let mut console = console(&setup).await;
    let mut client = setup.wire().await;
    client.query("BEGIN").await.unwrap();
    let mut rpc = setup.client().await;
    let begun = ok(rpc.call("TransactionBegin", json!({})).await);
    let tx = begun["tx_id"].clone();
    assert_eq!(in_time("KILL", ask(&mut console, "KILL primary")).await, "C(KILL) Z(I)");
    let words = in_time("the end", client.until_closed()).await;
    assert_eq!(words.last().and_then(Reply::error).expect("why").code(), "57P01");
    eventually("no connection is left", || async { setup.count("true").await == 0 }).await;
    let late = rpc.call("Execute", json!({"tx_id": tx, "query": "SELECT 1"})).await.unwrap();
    assert!(late["error"].as_str().is_some_and(|text| text.contains("KILL")), "{late}");
    assert_eq!(ask(&mut console, "RESUME primary").await, "C(RESUME) Z(I)");
    assert_eq!(setup.wire().await.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn one_client_is_killed_by_its_id_and_a_disabled_database_lets_nobody_new_in() {
    let setup = setup(json!({})).await;
    let mut console = console(&setup).await;
    let mut victim = setup.server.wire_with(&[("application_name", "victim")]).await.unwrap();
    let mut other = setup.wire().await;
    let id = value(&mut console, "SHOW CLIENTS", "victim", "id").await;
    assert_eq!(ask(&mut console, &format!("KILL_CLIENT {id}")).await, "C(KILL_CLIENT) Z(I)");
    in_time("its end", victim.until_closed()).await;
    assert_eq!(refused(&mut console, "KILL_CLIENT 99999999").await.code(), "22023");
    assert_eq!(ask(&mut console, "DISABLE primary").await, "C(DISABLE) Z(I)");
    assert_eq!(other.rows("SELECT 1").await, ["1"], "who is in stays");
    let refused_login = setup.server.wire_with(&[]).await.err().expect("not let in").to_string();
    assert!(refused_login.contains("disabled"), "{refused_login}");
    assert_eq!(ask(&mut console, "ENABLE primary").await, "C(ENABLE) Z(I)");
    setup.wire().await;
    let fault = refused(&mut console, "DISABLE nowhere").await;
    assert_eq!(fault.code(), "3D000");
    assert!(fault.message().contains("there are: primary"), "{fault}");
}

#[tokio::test]
async fn an_idle_console_ends_with_the_server() {
    let setup = setup(json!({"proxy": {"users": {"app": PASSWORD}}})).await;
    let mut console = console(&setup).await;
    setup.server.stop();
    let words = tokio::time::timeout(Duration::from_secs(20), console.until_closed()).await;
    let words = words.expect("an end");
    assert_eq!(words.last().and_then(Reply::error).expect("why").code(), "57P01");
}

#[tokio::test]
async fn set_changes_what_can_change_until_the_next_reload() {
    let setup = setup(json!({})).await;
    let mut console = console(&setup).await;
    let set = ask(&mut console, "SET default_pool_size = 1").await;
    assert_eq!(set, "N(00000) C(SET) Z(I)", "it says what has changed");
    assert_eq!(value(&mut console, "SHOW DATABASES", "primary", "pool_size").await, "1");
    assert_eq!(value(&mut console, "SHOW CONFIG", "default_pool_size", "value").await, "1");
    ask(&mut console, "SET query_wait_timeout = '0.2'").await;
    let (mut holder, mut client) = (setup.wire().await, setup.wire().await);
    holder.query("BEGIN").await.unwrap();
    assert_eq!(refused(&mut client, "SELECT 1").await.code(), "53300");
    holder.query("COMMIT").await.unwrap();
    ask(&mut console, "SET max_client_conn = 2").await;
    let full = setup.server.wire_with(&[]).await.err().expect("not let in").to_string();
    assert!(full.contains("53300"), "{full}");
    ask(&mut console, "SET pool_mode = statement").await;
    drop(holder);
    eventually("it has gone", || async {
        let mut console = setup.server.wire_with(&[("database", "pgpool")]).await.unwrap();
        value(&mut console, "SHOW LISTS", "used_clients", "items").await == "1"
    })
    .await;
    assert_eq!(refused(&mut setup.wire().await, "BEGIN").await.code(), "0A000");
    assert_eq!(ask(&mut client, "BEGIN").await, "C(BEGIN) Z(T)", "who is in keeps its mode");
    ask(&mut client, "COMMIT").await;
    ask(&mut console, "SET client_idle_timeout = 0.05").await;
    let words = in_time("it is idle for too long", client.until_closed()).await;
    assert_eq!(words.last().and_then(Reply::error).expect("why").code(), "57P05");
    for (set, said) in [
        ("SET listen_port = 1", "there is no such setting"),
        ("SET proxy.address = 'tcp://127.0.0.1:1'", "restart"),
        ("SET rpc.max_in_flight = 1", "RELOAD"),
        ("SET default_pool_size = 0", "max_connections"),
        ("SET default_pool_size = many", "whole number"),
    ] {
        let fault = refused(&mut console, set).await;
        assert_eq!(fault.code(), "22023", "{set}: {fault}");
        assert!(fault.message().contains(said), "{set}: {fault}");
    }
    let fault = refused(&mut console, "RELOAD").await;
    assert!(fault.message().contains("configuration file"), "{fault}");
}

#[tokio::test]
async fn shutdown_waits_for_clients_or_for_transactions_or_for_nobody() {
    for (command, waits_for_idle) in
        [("SHUTDOWN WAIT_FOR_CLIENTS", true), ("SHUTDOWN WAIT_FOR_SERVERS", false)]
    {
        let setup = setup(json!({})).await;
        let mut console = console(&setup).await;
        let mut client = setup.wire().await;
        client.query("BEGIN").await.unwrap();
        assert_eq!(ask(&mut console, command).await, "C(SHUTDOWN) Z(I)");
        eventually("nobody new is let in", || async { setup.server.wire_with(&[]).await.is_err() })
            .await;
        assert_eq!(client.rows("SELECT 1").await, ["1"], "{command}");
        assert_eq!(ask(&mut client, "COMMIT").await, "C(COMMIT) Z(I)", "{command}");
        if waits_for_idle {
            assert_eq!(client.rows("SELECT 2").await, ["2"]);
            drop(client);
        }
        let Setup { server, db: _db } = setup;
        in_time(command, server.ended()).await;
    }
    let setup = setup(json!({"shutdown": {"grace": "1h"}})).await;
    let mut console = console(&setup).await;
    let _client = setup.wire().await;
    console.send(&test_support::wire::message::query("SHUTDOWN")).await.unwrap();
    let Setup { server, db: _db } = setup;
    in_time("SHUTDOWN", server.ended()).await;
}
