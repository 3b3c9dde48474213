//! Prepared statements in transaction mode: a client's names are its own on whatever connection,
//! what many prepare is prepared once on each, and nothing is kept that did not come to pass.

use e2e::{Setup, eventually};
use serde_json::{Value, json};
use test_support::wire::message::{
    bind, close_statement, describe_portal, describe_statement, execute, parse, query, sync,
};
use test_support::wire::summary;

use crate::talk::{ask, backend, refused, say};

async fn with(pool: Value, behavior: Value) -> Setup {
    Setup::with(&json!({"backends": {"primary": {"pool": pool, "behavior": behavior}}})).await
}

async fn over(connections: u32) -> Setup {
    with(json!({"max_connections": connections}), json!({})).await
}

#[tokio::test]
async fn one_name_is_another_statement_for_each_client() {
    let setup = over(1).await;
    let (mut a, mut b) = (setup.wire().await, setup.wire().await);
    assert_eq!(say(&mut a, &[parse("s", "SELECT 'of a'"), sync()]).await, "1 Z(I)");
    assert_eq!(say(&mut b, &[parse("s", "SELECT 'of b'"), sync()]).await, "1 Z(I)");
    let run = [bind("", "s", &[]), execute("", 0), sync()];
    for _ in 0..3 {
        assert_eq!(say(&mut a, &run).await, "2 D(of a) C(SELECT 1) Z(I)");
        assert_eq!(say(&mut b, &run).await, "2 D(of b) C(SELECT 1) Z(I)");
    }
    let mut c = setup.wire().await;
    assert_eq!(say(&mut c, &run).await, "E(26000) Z(I)", "a third has none of that name");
}

#[tokio::test]
async fn a_statement_follows_its_client_to_other_connections() {
    let setup = over(2).await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    let prepare = [parse("s", "SELECT pg_backend_pid(), $1::text"), sync()];
    assert_eq!(say(&mut client, &prepare).await, "1 Z(I)");
    let first = backend(&mut client).await;
    // The other takes that connection away.
    other.query("BEGIN").await.unwrap();
    assert_eq!(backend(&mut other).await, first);
    let run = [bind("", "s", &[Some("x")]), describe_statement("s"), execute("", 0), sync()];
    let replies = say(&mut client, &run).await;
    assert!(replies.starts_with("2 t T D("), "{replies}");
    assert!(!replies.contains(&first.to_string()), "{replies}: another connection");
}

#[tokio::test]
async fn what_many_prepare_the_server_has_once() {
    let setup = over(1).await;
    for number in 0..5 {
        let mut client = setup.wire().await;
        let name = format!("mine{number}");
        let batch = [parse(&name, "SELECT 'shared'"), bind("", &name, &[]), execute("", 0), sync()];
        assert_eq!(say(&mut client, &batch).await, "1 2 D(shared) C(SELECT 1) Z(I)");
    }
    let mut client = setup.wire().await;
    let sql = "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT ''shared'''";
    assert_eq!(client.rows(sql).await, ["1"]);
}

#[tokio::test]
async fn a_statement_is_known_only_after_its_parse_succeeded() {
    let setup = over(1).await;
    let mut client = setup.wire().await;
    assert_eq!(
        say(&mut client, &[parse("s", "SELECT a FROM later"), sync()]).await,
        "E(42P01) Z(I)"
    );
    assert_eq!(say(&mut client, &[bind("", "s", &[]), sync()]).await, "E(26000) Z(I)");
    setup.db.batch("CREATE TABLE later AS SELECT 7 AS a").await;
    let mut other = setup.wire().await;
    let batch = [parse("s", "SELECT a FROM later"), bind("", "s", &[]), execute("", 0), sync()];
    for client in [&mut other, &mut client] {
        assert_eq!(say(client, &batch).await, "1 2 D(7) C(SELECT 1) Z(I)");
    }
}

#[tokio::test]
async fn a_client_that_dies_between_parse_and_sync_leaves_nothing() {
    let setup = over(1).await;
    let mut client = setup.wire().await;
    client.send_all(&[parse("s", "SELECT 'left'"), bind("", "s", &[])]).await.unwrap();
    // Flushed by nothing: the server may or may not have come to it.
    drop(client);
    let mut other = setup.wire().await;
    let batch = [parse("s", "SELECT 'left'"), bind("", "s", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut other, &batch).await, "1 2 D(left) C(SELECT 1) Z(I)");
}

#[tokio::test]
async fn what_was_prepared_for_one_client_alone_goes_with_it() {
    let setup = over(1).await;
    for _ in 0..5 {
        // A setting of the transaction: what is prepared now is nobody else's.
        let mut client = setup.wire().await;
        client.rows("BEGIN; SET LOCAL work_mem = '9MB'").await;
        assert_eq!(say(&mut client, &[parse("s", "SELECT 'alone'"), sync()]).await, "1 Z(T)");
        drop(client);
    }
    let mut other = setup.wire().await;
    say(&mut other, &[parse("", "SELECT 1"), sync()]).await;
    let left = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT ''al%'";
    assert_eq!(other.rows(left).await, ["0"]);
}

#[tokio::test]
async fn the_same_name_again_in_one_batch() {
    let setup = over(1).await;
    let mut client = setup.wire().await;
    let batch = [
        parse("s", "SELECT 1"),
        close_statement("s"),
        parse("s", "SELECT 2"),
        bind("", "s", &[]),
        execute("", 0),
        sync(),
    ];
    assert_eq!(say(&mut client, &batch).await, "1 3 1 2 D(2) C(SELECT 1) Z(I)");
    let twice = [parse("s", "SELECT 3"), sync()];
    assert_eq!(say(&mut client, &twice).await, "E(42P05) Z(I)");
    assert_eq!(
        say(&mut client, &[bind("", "s", &[]), execute("", 0), sync()]).await,
        "2 D(2) C(SELECT 1) Z(I)"
    );
}

#[tokio::test]
async fn a_small_cache_and_none_serve_any_number_of_statements() {
    for size in [0, 1, 3] {
        let setup =
            with(json!({"max_connections": 1}), json!({"statement_cache_size": size})).await;
        let mut clients = [setup.wire().await, setup.wire().await];
        for number in 0..10 {
            for client in &mut clients {
                let name = format!("s{number}");
                let sql = format!("SELECT {number}");
                let batch = [parse(&name, &sql), bind("", &name, &[]), execute("", 0), sync()];
                let expected = format!("1 2 D({number}) C(SELECT 1) Z(I)");
                assert_eq!(say(client, &batch).await, expected, "{size}");
            }
        }
        // All in one batch, more than fit, with an error among them.
        let client = &mut clients[0];
        let mut batch = Vec::new();
        for number in 0..10 {
            batch.extend([bind("", &format!("s{number}"), &[]), execute("", 0)]);
        }
        batch.extend([bind("", "unknown", &[]), bind("", "s1", &[]), sync()]);
        let replies = say(client, &batch).await;
        let rows: String = (0..10).map(|n| format!("2 D({n}) C(SELECT 1) ")).collect();
        assert_eq!(replies, format!("{rows}E(26000) Z(I)"), "{size}");
        let kept = client.rows("SELECT count(*) FROM pg_prepared_statements").await;
        assert!(kept[0].parse::<i64>().unwrap() <= size.max(1) + 10, "{kept:?}");
        client.exchange(&[sync()]).await.unwrap();
    }
}

#[tokio::test]
async fn deallocate_takes_away_the_clients_own_and_nobody_elses() {
    let setup = over(1).await;
    let (mut a, mut b) = (setup.wire().await, setup.wire().await);
    let prepare = [parse("pdo_stmt_00000001", "SELECT 'kept'"), sync()];
    let run = [bind("", "pdo_stmt_00000001", &[]), execute("", 0), sync()];
    for client in [&mut a, &mut b] {
        assert_eq!(say(client, &prepare).await, "1 Z(I)");
    }
    assert_eq!(ask(&mut a, "DEALLOCATE pdo_stmt_00000001").await, "C(DEALLOCATE) Z(I)");
    assert_eq!(say(&mut a, &run).await, "E(26000) Z(I)");
    assert_eq!(say(&mut b, &run).await, "2 D(kept) C(SELECT 1) Z(I)");
    assert_eq!(ask(&mut a, "DEALLOCATE ALL").await, "C(DEALLOCATE ALL) Z(I)");
    assert_eq!(ask(&mut a, "DISCARD ALL").await, "C(DISCARD ALL) Z(I)");
    assert_eq!(say(&mut b, &run).await, "2 D(kept) C(SELECT 1) Z(I)");
    assert_eq!(refused(&mut b, "DEALLOCATE nothing").await.code(), "26000");
    // In a transaction, where an error would undo what was done.
    b.rows("CREATE TABLE done (a int)").await;
    b.query("BEGIN").await.unwrap();
    b.rows("INSERT INTO done VALUES (1)").await;
    assert_eq!(ask(&mut b, "DEALLOCATE pdo_stmt_00000001").await, "C(DEALLOCATE) Z(T)");
    assert_eq!(ask(&mut b, "COMMIT").await, "C(COMMIT) Z(I)");
    assert_eq!(b.rows("SELECT count(*) FROM done").await, ["1"]);
}

#[tokio::test]
async fn the_unnamed_statement_is_the_clients_own() {
    let setup = over(1).await;
    let (mut a, mut b) = (setup.wire().await, setup.wire().await);
    for round in 0..3 {
        assert_eq!(say(&mut a, &[parse("", "SELECT 'of a'"), sync()]).await, "1 Z(I)", "{round}");
        assert_eq!(say(&mut b, &[parse("", "SELECT 'of b'"), sync()]).await, "1 Z(I)");
        let run = [bind("", "", &[]), execute("", 0), sync()];
        assert_eq!(say(&mut a, &run).await, "2 D(of a) C(SELECT 1) Z(I)");
        assert_eq!(say(&mut b, &run).await, "2 D(of b) C(SELECT 1) Z(I)");
        // A Query takes it away, as at PostgreSQL.
        assert_eq!(ask(&mut a, "SELECT 1").await, "T D(1) C(SELECT 1) Z(I)");
        assert_eq!(say(&mut a, &run).await, "E(26000) Z(I)");
    }
}

#[tokio::test]
async fn one_text_means_other_tables_under_another_search_path() {
    let setup = over(1).await;
    setup
        .db
        .batch(
            "CREATE SCHEMA one; CREATE TABLE one.t AS SELECT 'one' AS v;
             CREATE SCHEMA two; CREATE TABLE two.t AS SELECT 'two' AS v;",
        )
        .await;
    let (mut a, mut b) = (setup.wire().await, setup.wire().await);
    a.rows("SET search_path = one").await;
    b.rows("SET search_path = two").await;
    let batch = [parse("s", "SELECT v FROM t"), bind("", "s", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut a, &batch).await, "1 2 D(one) C(SELECT 1) Z(I)");
    assert_eq!(say(&mut b, &batch).await, "1 2 D(two) C(SELECT 1) Z(I)");
    let run = [bind("", "s", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut a, &run).await, "2 D(one) C(SELECT 1) Z(I)");
    a.rows("SET search_path = two").await;
    assert_eq!(say(&mut a, &run).await, "2 D(two) C(SELECT 1) Z(I)");
}

#[tokio::test]
async fn after_a_migration_nobody_is_told_of_an_old_plan() {
    let setup = over(2).await;
    setup.db.batch("CREATE TABLE m (a int); INSERT INTO m VALUES (1)").await;
    let (mut a, mut b) = (setup.wire().await, setup.wire().await);
    let sql = "SELECT * FROM m";
    let unnamed = [parse("", sql), bind("", "", &[]), describe_portal(""), execute("", 0), sync()];
    let named = [bind("", "s", &[]), describe_portal(""), execute("", 0), sync()];
    say(&mut a, &[parse("s", sql), sync()]).await;
    // Known on both connections, and unnamed often enough to be kept.
    for client in [&mut a, &mut b] {
        client.rows("BEGIN").await;
    }
    for client in [&mut a, &mut b] {
        client.rows("COMMIT").await;
        for _ in 0..3 {
            assert_eq!(say(client, &unnamed).await, "1 2 T D(1) C(SELECT 1) Z(I)");
        }
    }
    assert_eq!(say(&mut a, &named).await, "2 T D(1) C(SELECT 1) Z(I)");
    for (change, row) in [
        ("ALTER TABLE m ADD b text DEFAULT 'new'", "1,new"),
        ("ALTER TABLE m ALTER a TYPE numeric(4, 1)", "1.0,new"),
        ("DROP TABLE m; CREATE TABLE m AS SELECT 'other' AS c", "other"),
    ] {
        setup.db.batch(change).await;
        for client in [&mut a, &mut b] {
            let expected = format!("1 2 T D({row}) C(SELECT 1) Z(I)");
            assert_eq!(say(client, &unnamed).await, expected, "{change}");
        }
        assert_eq!(say(&mut a, &named).await, format!("2 T D({row}) C(SELECT 1) Z(I)"), "{change}");
    }
    // In a transaction what is prepared is prepared anew.
    setup.db.batch("DROP TABLE m; CREATE TABLE m AS SELECT 7 AS a, 8 AS b").await;
    a.rows("BEGIN").await;
    assert_eq!(say(&mut a, &unnamed).await, "1 2 T D(7,8) C(SELECT 1) Z(T)");
    let fresh = [parse("t", sql), bind("", "t", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut a, &fresh).await, "1 2 D(7,8) C(SELECT 1) Z(T)");
    a.rows("COMMIT").await;
}

#[tokio::test]
async fn what_has_already_done_something_is_not_sent_again() {
    let setup = over(1).await;
    setup.db.batch("CREATE TABLE m (a int); CREATE TABLE log (a int)").await;
    let mut client = setup.wire().await;
    let prepare = [parse("s", "SELECT * FROM m"), parse("w", "INSERT INTO log VALUES (1)"), sync()];
    say(&mut client, &prepare).await;
    setup.db.batch("ALTER TABLE m ADD b text").await;
    let batch = [bind("", "w", &[]), execute("", 0), bind("", "s", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut client, &batch).await, "2 C(INSERT 0 1) E(0A000) Z(I)");
    assert_eq!(client.rows("SELECT count(*) FROM log").await, ["0"]);
    assert_eq!(say(&mut client, &batch).await, "2 C(INSERT 0 1) 2 C(SELECT 0) Z(I)");
    assert_eq!(client.rows("SELECT count(*) FROM log").await, ["1"]);
}

#[tokio::test]
async fn sql_prepare_lives_within_its_transaction_only() {
    let setup = over(1).await;
    let mut client = setup.wire().await;
    let fault = refused(&mut client, "PREPARE p AS SELECT 1").await;
    assert_eq!(fault.code(), "0A000");
    assert!(fault.message().contains("PREPARE") && !fault.field('H').is_empty(), "{fault}");
    // In a transaction it works; with it goes the connection, whose names it might have taken.
    client.query("BEGIN").await.unwrap();
    let pid = backend(&mut client).await;
    client.rows("PREPARE p AS SELECT 'by SQL'").await;
    assert_eq!(client.rows("EXECUTE p").await, ["by SQL"]);
    drop(client);
    eventually("the connection is gone", || async {
        setup.count(&format!("pid = {pid}")).await == 0
    })
    .await;
    let mut other = setup.wire().await;
    assert_eq!(refused(&mut other, "EXECUTE p").await.code(), "26000");
}

#[tokio::test]
async fn names_of_ours_are_no_names_for_clients() {
    let setup = over(1).await;
    let (mut a, mut b) = (setup.wire().await, setup.wire().await);
    say(&mut a, &[parse("s", "SELECT 'of a'"), sync()]).await;
    let names = b.rows("SELECT name FROM pg_prepared_statements").await;
    assert!(!names.is_empty());
    for name in names {
        assert_eq!(refused(&mut b, &format!("DEALLOCATE {name}")).await.code(), "26000");
        let run = [bind("", &name, &[]), execute("", 0), sync()];
        assert_eq!(say(&mut b, &run).await, "E(26000) Z(I)");
        assert_eq!(say(&mut b, &[close_statement(&name), sync()]).await, "3 Z(I)");
    }
    let run = [bind("", "s", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut a, &run).await, "2 D(of a) C(SELECT 1) Z(I)");
}

#[tokio::test]
async fn in_a_pipeline_with_queries_between() {
    let setup = over(1).await;
    let mut client = setup.wire().await;
    let run = || [bind("", "s", &[]), execute("", 0), sync()];
    let mut all = vec![parse("s", "SELECT 1"), sync()];
    all.extend(run());
    all.push(query("DEALLOCATE s"));
    all.extend(run());
    all.extend([parse("s", "SELECT 2"), sync()]);
    all.extend(run());
    client.send_all(&all).await.unwrap();
    for expected in [
        "1 Z(I)",
        "2 D(1) C(SELECT 1) Z(I)",
        "C(DEALLOCATE) Z(I)",
        "E(26000) Z(I)",
        "1 Z(I)",
        "2 D(2) C(SELECT 1) Z(I)",
    ] {
        assert_eq!(summary(&client.until_ready().await.unwrap()), expected);
    }
}

#[tokio::test]
async fn a_discard_all_that_fails_leaves_no_statements_for_ever() {
    let setup = over(1).await;
    let mut client = setup.wire().await;
    for round in 0..5 {
        client.query("BEGIN").await.unwrap();
        client.query("DISCARD ALL").await.unwrap();
        client.query("ROLLBACK").await.unwrap();
        for n in 0..20 {
            let name = format!("s{round}_{n}");
            let sql = format!("SELECT {n} + {round}");
            say(&mut client, &[parse(&name, &sql), bind("", &name, &[]), execute("", 0), sync()])
                .await;
        }
    }
    let kept = client.rows("SELECT count(*) FROM pg_prepared_statements").await;
    assert!(kept[0].parse::<u32>().unwrap() <= 100, "{kept:?}");
}
