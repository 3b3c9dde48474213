//! `settings` of a call: in force for it alone, kept on the connection while they fit.

use e2e::{Setup, failed, ok};
use serde_json::{Value, json};
use test_support::RpcClient;

async fn show(client: &mut RpcClient, place: Value, settings: Value) -> Value {
    let mut request = json!({
        "query": "SELECT current_setting('TimeZone') AS z, current_setting('app.user', true) AS u, \
                  current_setting('work_mem') AS m",
        "settings": settings,
    });
    for (name, value) in place.as_object().unwrap() {
        request[name] = value.clone();
    }
    let mut row = ok(client.call("Execute", request).await)["rows"][0].clone();
    // A custom parameter that was set once reads as empty, not as null, afterwards.
    if row["u"].is_null() {
        row["u"] = json!("");
    }
    row
}

#[tokio::test]
async fn they_apply_to_one_call_only() {
    let setup = Setup::with_pool(json!({"max_connections": 1})).await;
    let mut client = setup.client().await;
    let plain = show(&mut client, json!({}), json!(null)).await;
    assert_eq!((&plain["u"], &plain["m"]), (&json!(""), &json!("4MB")));
    for _ in 0..2 {
        let berlin = json!({"TimeZone": "Europe/Berlin", "app.user": "7", "WORK_MEM": "5MB"});
        let with = show(&mut client, json!({}), berlin).await;
        assert_eq!(with, json!({"z": "Europe/Berlin", "u": "7", "m": "5MB"}));
        let other = show(&mut client, json!({}), json!({"app.user": "8"})).await;
        assert_eq!(other, json!({"z": plain["z"], "u": "8", "m": "4MB"}));
        assert_eq!(show(&mut client, json!({}), json!({})).await, plain);
        assert_eq!(show(&mut client, json!({}), json!([])).await, plain);
    }
    let numbers = json!({"app.user": 5, "enable_seqscan": false, "work_mem": 8192});
    assert_eq!(show(&mut client, json!({}), numbers).await["m"], "8MB");
}

#[tokio::test]
async fn they_are_restored_inside_transactions_and_sessions() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let begin = json!({"tx_id": "t", "settings": {"app.user": "owner", "TimeZone": "UTC"}});
    ok(client.call("TransactionBegin", begin).await);
    let session = json!({"session_id": "s", "settings": {"app.user": "owner", "TimeZone": "UTC"}});
    ok(client.call("SessionBegin", session).await);
    for place in [json!({"tx_id": "t"}), json!({"session_id": "s"})] {
        let base = json!({"z": "UTC", "u": "owner", "m": "4MB"});
        assert_eq!(show(&mut client, place.clone(), json!(null)).await, base);
        let guest = json!({"app.user": "guest", "work_mem": "6MB"});
        let with = show(&mut client, place.clone(), guest).await;
        assert_eq!(with, json!({"z": "UTC", "u": "guest", "m": "6MB"}));
        assert_eq!(show(&mut client, place.clone(), json!(null)).await, base);
        // Restored after a failure too; in the transaction by its rollback.
        let mut broken = json!({"query": "SELECT 1/0", "settings": {"app.user": "x"}});
        for (name, value) in place.as_object().unwrap() {
            broken[name] = value.clone();
        }
        failed(client.call("Execute", broken).await, "22012");
        if place.get("session_id").is_some() {
            assert_eq!(show(&mut client, place, json!(null)).await, base);
        }
    }
    ok(client.call("TransactionRollback", json!({"tx_id": "t"})).await);
    ok(client.call("SessionEnd", json!({"session_id": "s"})).await);
    let plain = show(&mut client, json!({}), json!(null)).await;
    assert_eq!(plain["u"], "", "nothing is left on the connections");
}

#[tokio::test]
async fn one_text_means_other_tables_under_another_search_path() {
    let setup = Setup::with_pool(json!({"max_connections": 1})).await;
    setup
        .db
        .batch(
            "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t AS SELECT 'a'::text AS v; \
             CREATE TABLE b.t AS SELECT 2::int4 AS v",
        )
        .await;
    let mut client = setup.client().await;
    for _ in 0..3 {
        for (path, value) in [("a", json!("a")), ("b", json!(2))] {
            let request = json!({"query": "SELECT v FROM t", "settings": {"search_path": path}});
            let reply = ok(client.call("Execute", request).await);
            assert_eq!(reply["rows"], json!([{"v": value}]), "{path}");
        }
        failed(client.execute("SELECT v FROM t", json!([])).await, "42P01");
    }
}

#[tokio::test]
async fn wrong_ones_are_refused_and_leave_nothing_behind() {
    let setup = Setup::with_pool(json!({"max_connections": 1})).await;
    let mut client = setup.client().await;
    for (settings, code, part) in [
        (json!({"client_encoding": "LATIN1"}), "0A000", "client_encoding"),
        (json!({"role": "postgres"}), "0A000", "role"),
        (json!({"Session_Authorization": "postgres"}), "0A000", "session_authorization"),
        (json!({"no_such_parameter": "1"}), "42704", "no_such_parameter"),
        (json!({"TimeZone": "UTC", "work_mem": "lots"}), "22023", "work_mem"),
        (json!({"shared_buffers": "1GB"}), "55P02", "shared_buffers"),
        (json!({"a;b": "1"}), "22023", "a;b"),
        (json!({"app.x": "a\u{0}"}), "22023", "NUL"),
    ] {
        let request = json!({"query": "SELECT 1", "settings": settings});
        let error = failed(client.call("Execute", request).await, code);
        assert!(error.contains(part), "{error}");
        for method in ["TransactionBegin", "SessionBegin"] {
            failed(client.call(method, json!({"settings": settings})).await, code);
        }
    }
    let stats = ok(client.call("PoolStats", json!({})).await)["stats"]["primary"].clone();
    assert_eq!((&stats["transactions_open"], &stats["sessions_open"]), (&json!(0), &json!(0)));
    assert_eq!(show(&mut client, json!({}), json!(null)).await["m"], "4MB");
}

#[tokio::test]
async fn what_is_in_force_already_costs_no_round_trip() {
    let setup = Setup::with_pool(json!({"max_connections": 1})).await;
    let mut client = setup.client().await;
    let request = json!({
        "query": "SELECT count(*) AS n FROM pg_prepared_statements",
        "settings": {"app.user": "7"},
    });
    let mut counts = Vec::new();
    for _ in 0..3 {
        counts.push(ok(client.call("Execute", request.clone()).await)["rows"][0]["n"].clone());
    }
    assert_eq!(counts[1], counts[2], "nothing more was prepared");
    let row_security = json!({
        "query": "SELECT current_setting('app.tenant') AS t",
        "settings": {"app.tenant": "x'; DROP TABLE t; --"},
    });
    let reply = ok(client.call("Execute", row_security).await);
    assert_eq!(reply["rows"], json!([{"t": "x'; DROP TABLE t; --"}]));
}
