//! Answers from memory: who gets them, how old they are, and what is never answered so.

use std::time::Duration;

use e2e::{Setup, eventually, failed, in_time, ok};
use serde_json::{Value, json};
use test_support::RpcClient;

fn simple(sql: &str) -> Value {
    json!({"query": sql, "simple": true})
}

/// With a cache of this size, and a table of one row.
async fn caching(max_size: &str) -> Setup {
    let cache = json!({"enabled": true, "ttl": "1h", "max_size": max_size});
    let setup = Setup::with(&json!({"features": {"cache": cache}})).await;
    let mut client = setup.client().await;
    ok(client.call("Execute", simple("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")).await);
    setup
}

/// Where an answer came from, and its first value.
async fn ask(client: &mut RpcClient, request: &Value) -> (String, Value) {
    let reply = ok(client.call("Execute", request.clone()).await);
    let word = reply["cache"].as_str().unwrap_or("unasked").to_owned();
    (word, reply["rows"][0]["a"].clone())
}

/// Until it is known that nothing volatile is called, nothing is kept.
async fn cached(client: &mut RpcClient, request: &Value) -> Value {
    let answered = async {
        loop {
            let (word, value) = ask(client, request).await;
            if word == "hit" {
                return value;
            }
        }
    };
    in_time("an answer from memory", answered).await
}

#[tokio::test]
async fn a_read_is_answered_again_until_it_is_too_old() {
    let setup = caching("64MB").await;
    let mut client = setup.client().await;
    let read =
        json!({"query": "SELECT sum(a) AS a FROM t WHERE a > $1", "args": [0], "cache_ttl": -1});
    assert_eq!(cached(&mut client, &read).await, json!(1));
    ok(client.execute("INSERT INTO t VALUES (2)", json!([])).await);
    // A write ends nothing: the age is the guarantee.
    assert_eq!(ask(&mut client, &read).await, ("hit".to_owned(), json!(1)));
    let mut other = setup.client().await;
    assert_eq!(ask(&mut other, &read).await, ("hit".to_owned(), json!(1)));
    // Whoever asks for nothing, or for a younger one, gets what is there now.
    for (more, word) in [(json!(null), "unasked"), (json!(0), "unasked"), (json!(60_000), "miss")] {
        let mut request = read.clone();
        request["cache_ttl"] = more;
        assert_eq!(ask(&mut client, &request).await, (word.to_owned(), json!(3)));
    }
    // A short one is over soon.
    let mut short = read.clone();
    short["cache_ttl"] = json!(50);
    ask(&mut client, &short).await;
    ok(client.execute("INSERT INTO t VALUES (3)", json!([])).await);
    eventually("it is too old", || async {
        ask(&mut setup.client().await, &short).await.1 == json!(6)
    })
    .await;
    let commented = json!({"query": "/* pgpool:cache */ SELECT count(*) AS a FROM t"});
    assert_eq!(cached(&mut client, &commented).await, json!(3));
    let stats = ok(client.call("PoolStats", json!({})).await);
    let stats = &stats["stats"]["primary"];
    assert!(stats["cache_hits"].as_u64().unwrap() >= 4, "{stats}");
    assert!(stats["cache_misses"].as_u64().unwrap() >= 3, "{stats}");
    let ratio = stats["cache_hit_ratio"].as_f64().unwrap();
    assert!(ratio > 0.0 && ratio < 1.0, "{stats}");
    for wrong in [-2_i64, 86_400_001] {
        let mut request = read.clone();
        request["cache_ttl"] = json!(wrong);
        let error = failed(client.call("Execute", request).await, "22023");
        assert!(error.contains("cache_ttl"), "{error}");
    }
}

/// All that an answer depends on makes another one of it.
#[tokio::test]
async fn different_questions_have_different_answers() {
    let setup = caching("64MB").await;
    let mut client = setup.client().await;
    let of = |arg: Value| {
        json!({"query": "SELECT coalesce($1::text, 'null') || current_setting('application_name') AS a",
            "args": [arg], "settings": {"application_name": "x"}, "cache_ttl": -1})
    };
    let mut seen = Vec::new();
    for arg in [json!(null), json!("1"), json!(1), json!(true), json!("null"), json!("")] {
        seen.push(cached(&mut client, &of(arg)).await);
    }
    assert_eq!(seen, ["nullx", "1x", "1x", "truex", "nullx", "x"]);
    let mut other = of(json!("1"));
    other["settings"]["application_name"] = json!("y");
    assert_eq!(cached(&mut client, &other).await, "1y");
    // The form of the result does not matter: it is made anew.
    let mut listed = of(json!("1"));
    listed["result"] = json!("rows");
    let reply = ok(client.call("Execute", listed).await);
    assert_eq!((&reply["cache"], &reply["rows"]), (&json!("hit"), &json!([["1x"]])));
    assert_eq!(reply["rows_affected"], 1);
    assert_eq!(reply["columns"][0]["name"], "a");
}

#[tokio::test]
async fn what_is_not_a_plain_read_is_never_answered_from_memory() {
    let setup = caching_nothing_yet().await;
    let mut client = setup.client().await;
    for sql in [
        "SELECT random()::text AS a",
        "SELECT clock_timestamp()::text AS a",
        "SELECT counted() AS a",
        "SELECT a FROM t FOR UPDATE",
        "INSERT INTO t VALUES (1) RETURNING a",
        "SELECT nextval('s') AS a",
    ] {
        let request = json!({"query": sql, "cache_ttl": -1});
        let mut values = Vec::new();
        for _ in 0..20 {
            let (word, value) = ask(&mut client, &request).await;
            assert_eq!(word, "bypass", "{sql}");
            values.push(value);
        }
        if sql.contains("random") || sql.contains("nextval") || sql.contains("counted") {
            values.dedup();
            assert_eq!(values.len(), 20, "{sql}");
        }
    }
    // In a transaction everything is executed.
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let request = json!({"tx_id": "t", "query": "SELECT 1 AS a", "cache_ttl": -1});
    for _ in 0..3 {
        assert_eq!(ask(&mut client, &request).await.0, "unasked");
    }
    ok(client.call("TransactionRollback", json!({"tx_id": "t"})).await);
    // What is STABLE is believed.
    let stable = json!({"query": "SELECT steady() AS a", "cache_ttl": -1});
    assert_eq!(cached(&mut client, &stable).await, json!(7));
}

async fn caching_nothing_yet() -> Setup {
    let setup = caching("64MB").await;
    let mut client = setup.client().await;
    let create = "CREATE SEQUENCE s;
        CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql AS 'SELECT nextval(''s'')';
        CREATE FUNCTION steady() RETURNS int LANGUAGE sql STABLE AS 'SELECT 7'";
    ok(client.call("Execute", simple(create)).await);
    setup
}

/// Many ask at once, one statement runs.
#[tokio::test]
async fn identical_misses_at_the_same_time_are_executed_once() {
    let setup = caching("64MB").await;
    let mut admin = setup.client().await;
    // Something that takes as long as the test wants, and is no volatile function: a lock.
    let read = "SELECT count(*) AS a FROM t";
    cached(&mut admin, &json!({"query": read, "cache_ttl": 3_600_000})).await;
    ok(admin.call("TransactionBegin", json!({"tx_id": "lock"})).await);
    let lock = json!({"tx_id": "lock", "query": "LOCK TABLE t IN ACCESS EXCLUSIVE MODE"});
    ok(admin.call("Execute", lock).await);
    let before = queries(&mut admin).await;
    let mut asking = Vec::new();
    for _ in 0..10 {
        let mut client = setup.client().await;
        let request = json!({"query": read, "cache_ttl": 1_000_000});
        asking.push(tokio::spawn(async move { ask(&mut client, &request).await }));
    }
    setup_waits(&setup).await;
    ok(admin.call("TransactionRollback", json!({"tx_id": "lock"})).await);
    let mut words = Vec::new();
    for one in asking {
        let (word, value) = in_time("an answer", one).await.unwrap();
        assert_eq!(value, json!(1));
        words.push(word);
    }
    words.sort_unstable();
    assert_eq!(words.iter().filter(|word| *word == "miss").count(), 1, "{words:?}");
    assert_eq!(words.iter().filter(|word| *word == "hit").count(), 9, "{words:?}");
    // The rollback is no statement.
    assert_eq!(queries(&mut admin).await - before, 1);
}

async fn setup_waits(setup: &Setup) {
    eventually("it waits for the lock", || async {
        setup.count("wait_event_type = 'Lock'").await == 1
    })
    .await;
}

async fn queries(client: &mut RpcClient) -> u64 {
    let stats = ok(client.call("PoolStats", json!({})).await);
    stats["stats"]["primary"]["query_count"].as_u64().unwrap()
}

/// Whoever asked first goes away: somebody else of those who wait executes it.
#[tokio::test]
async fn those_who_wait_are_not_lost_with_the_first() {
    let setup = caching("64MB").await;
    let mut admin = setup.client().await;
    let read = "SELECT count(*) AS a FROM t";
    cached(&mut admin, &json!({"query": read, "cache_ttl": 3_600_000})).await;
    ok(admin.call("TransactionBegin", json!({"tx_id": "lock"})).await);
    let lock = json!({"tx_id": "lock", "query": "LOCK TABLE t IN ACCESS EXCLUSIVE MODE"});
    ok(admin.call("Execute", lock).await);
    let request = json!({"query": read, "cache_ttl": 1_000_000});
    let asks = |mut client: RpcClient| {
        let request = request.clone();
        tokio::spawn(async move { ask(&mut client, &request).await })
    };
    let first = asks(setup.client().await);
    setup_waits(&setup).await;
    let second = asks(setup.client().await);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    tokio::task::yield_now().await;
    ok(admin.call("TransactionRollback", json!({"tx_id": "lock"})).await);
    assert_eq!(in_time("an answer", second).await.unwrap().1, json!(1));
}

/// Errors are told to all who wait, and kept from nobody afterwards.
#[tokio::test]
async fn errors_are_not_kept() {
    let setup = caching("64MB").await;
    let mut client = setup.client().await;
    let request = json!({"query": "SELECT 1 / a AS a FROM t", "cache_ttl": -1});
    ok(client.execute("UPDATE t SET a = 0", json!([])).await);
    for _ in 0..5 {
        let error = failed(client.call("Execute", request.clone()).await, "22012");
        assert_eq!(error, "division by zero");
    }
    ok(client.execute("UPDATE t SET a = 1", json!([])).await);
    assert_eq!(cached(&mut client, &request).await, json!(1));
}

/// Memory is bounded: what is too large is executed each time, and much of little is forgotten.
#[tokio::test]
async fn the_cache_takes_no_more_than_it_may() {
    let setup = caching("100kB").await;
    let mut client = setup.client().await;
    let large = json!({"query": "SELECT repeat('x', 20000) AS a", "cache_ttl": -1});
    let small = |n: u32| json!({"query": format!("SELECT {n} AS a"), "cache_ttl": -1});
    assert_eq!(cached(&mut client, &small(0)).await, json!(0));
    for _ in 0..20 {
        let (word, value) = ask(&mut client, &large).await;
        assert_eq!((word.as_str(), value.as_str().map(str::len)), ("bypass", Some(20_000)));
    }
    for n in 0..2000 {
        ask(&mut client, &small(n)).await;
    }
    let kept = async {
        let mut kept = 0;
        for n in 0..2000 {
            kept += usize::from(ask(&mut client, &small(n)).await.0 == "hit");
        }
        kept
    };
    let kept = tokio::time::timeout(Duration::from_secs(20), kept).await.unwrap();
    assert!(kept < 1000, "{kept} are kept in 100 kB");
}

#[tokio::test]
async fn without_a_cache_nothing_is_kept() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for _ in 0..5 {
        let request = json!({"query": "/* pgpool:cache */ SELECT 1 AS a", "cache_ttl": 60_000});
        assert_eq!(ask(&mut client, &request).await, ("bypass".to_owned(), json!(1)));
    }
}
