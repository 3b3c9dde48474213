//! Settings in transaction mode: each client has its own on whatever connection, and nobody ever
//! has another's.

use e2e::{Setup, eventually};
use serde_json::json;
use test_support::WireClient;
use test_support::wire::message::{bind, execute, parse, query, sync};

use crate::talk::{ask, refused, say};

const SHOWN: &str = "SELECT current_setting('search_path') || ' ' || current_setting('TimeZone')
    || ' ' || current_setting('application_name') || ' ' || current_setting('work_mem')
    || ' ' || coalesce(current_setting('app.tenant', true), '')";

async fn over(connections: u32) -> Setup {
    Setup::with(&json!({"backends": {"primary": {"pool": {"max_connections": connections}}}})).await
}

async fn shown(client: &mut WireClient) -> String {
    client.rows(SHOWN).await.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_have_their_own_on_five_connections() {
    let setup = over(5).await;
    let mut tasks = Vec::new();
    for number in 0..50 {
        let name = format!("client{number}");
        let zone = format!("Etc/GMT+{}", number % 12);
        // By the startup message, by SET, or by set_config(), each a third of them.
        let startup = [("application_name", name.as_str()), ("TimeZone", zone.as_str())];
        let startup: &[_] = if number % 3 == 0 { &startup } else { &[] };
        let mut client = setup.server.wire_with(startup).await.unwrap();
        tasks.push(tokio::spawn(async move {
            match number % 3 {
                1 => {
                    client.rows(&format!("SET application_name = '{name}'")).await;
                    client.rows(&format!("SET TIME ZONE '{zone}'")).await;
                }
                2 => {
                    let set = "SELECT set_config($1, $2, false)";
                    for (setting, value) in [("application_name", &name), ("TimeZone", &zone)] {
                        let values = [Some(setting), Some(value.as_str())];
                        let batch = [parse("", set), bind("", "", &values), execute("", 0), sync()];
                        client.exchange(&batch).await.unwrap();
                    }
                }
                _ => {}
            }
            client.rows(&format!("SET search_path = schema{number}, public")).await;
            client.rows(&format!("SELECT set_config('app.tenant', 't{number}', false)")).await;
            let expected = format!("schema{number}, public {zone} {name} 4MB t{number}");
            for _ in 0..20 {
                assert_eq!(shown(&mut client).await, expected);
                assert_eq!(client.parameters["application_name"], name);
                assert_eq!(client.parameters["TimeZone"], zone);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(setup.count("usename = 'app'").await <= 6, "five, and one for housekeeping");
    let mut newcomer = setup.wire().await;
    assert!(!shown(&mut newcomer).await.contains("schema"), "a new client has the defaults");
}

#[tokio::test]
async fn what_ends_with_its_transaction_reaches_nobody() {
    let setup = over(1).await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    let (before, others) = (shown(&mut client).await, shown(&mut other).await);
    for texts in [
        &["BEGIN; SET LOCAL work_mem = '9MB'; SET LOCAL app.tenant = 'x'; COMMIT"][..],
        &["BEGIN", "SET LOCAL TimeZone = 'Asia/Tokyo'", "COMMIT"],
        &["BEGIN", "SET work_mem = '9MB'", "SET search_path = nowhere", "ROLLBACK"],
        &["BEGIN", "SET work_mem = '9MB'", "nonsense", "COMMIT"],
        &["BEGIN; SET work_mem = '9MB'; ROLLBACK"],
        &["SET work_mem = '9MB'; SELECT 1/0"],
        &["BEGIN", "SAVEPOINT s", "SET work_mem = '9MB'", "ROLLBACK TO s", "COMMIT"],
        &["SELECT set_config('work_mem', '9MB', true)"],
        &["BEGIN", "SELECT set_config('work_mem', '9MB', false)", "ROLLBACK"],
        &["SET TRANSACTION READ ONLY"],
        &["BEGIN READ ONLY", "COMMIT"],
    ] {
        for text in texts {
            client.query(text).await.unwrap();
        }
        let seen = shown(&mut client).await;
        assert_eq!(seen.trim_end(), before.trim_end(), "{texts:?}");
        assert_eq!(shown(&mut other).await.trim_end(), others.trim_end(), "{texts:?}");
        assert_eq!(other.rows("SHOW transaction_read_only").await, ["off"]);
    }
}

#[tokio::test]
async fn reset_goes_back_to_what_the_client_came_with() {
    let setup = over(1).await;
    let mut client =
        setup.server.wire_with(&[("application_name", "came"), ("work_mem", "8MB")]).await.unwrap();
    let mut other = setup.wire().await;
    let came = shown(&mut client).await;
    for (change, back) in [
        ("SET application_name = 'changed'", "RESET application_name"),
        ("SET application_name TO changed; SET work_mem = '9MB'", "RESET ALL"),
        ("SET work_mem = '9MB'", "SET work_mem TO DEFAULT"),
        ("SELECT set_config('work_mem', '9MB', false)", "DISCARD ALL"),
    ] {
        client.query(change).await.unwrap();
        assert_ne!(shown(&mut client).await, came, "{change}");
        other.rows("SELECT 1").await;
        client.query(back).await.unwrap();
        assert_eq!(shown(&mut client).await, came, "{back}");
        assert_eq!(client.parameters["application_name"], "came", "{back}");
        assert!(!shown(&mut other).await.contains("came"));
    }
}

#[tokio::test]
async fn a_parameter_is_reported_to_the_client_it_belongs_to() {
    let setup = over(1).await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    let told = ask(&mut client, "SET TimeZone = 'Asia/Tokyo'").await;
    assert_eq!(told, "C(SET) S(TimeZone=Asia/Tokyo) Z(I)");
    let told = ask(&mut other, "SELECT 1").await;
    assert_eq!(told, "T D(1) C(SELECT 1) Z(I)", "what changes behind the scenes is not told");
    assert_eq!(ask(&mut client, "SELECT 1").await, "T D(1) C(SELECT 1) Z(I)");
    let told = ask(&mut client, "BEGIN; SET TimeZone = 'Asia/Seoul'; ROLLBACK").await;
    assert!(told.ends_with("Z(I)"), "{told}");
    assert_eq!(client.parameters["TimeZone"], "Asia/Tokyo", "{told}");
}

#[tokio::test]
async fn a_role_is_its_clients_own() {
    let setup = over(1).await;
    let role = format!("reader_{}", setup.db.name());
    let admin = setup.db.admin().await;
    admin.batch_execute(&format!("CREATE ROLE {role}; GRANT {role} TO app")).await.unwrap();
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    client.rows(&format!("SET ROLE {role}")).await;
    for _ in 0..2 {
        assert_eq!(client.rows("SELECT current_user").await, [role.as_str()]);
        assert_eq!(other.rows("SELECT current_user").await, ["app"]);
    }
    client.rows("RESET ROLE").await;
    assert_eq!(client.rows("SELECT current_user").await, ["app"]);
    let fault = refused(&mut client, "SET SESSION AUTHORIZATION app").await;
    assert_eq!(fault.code(), "0A000", "{fault}");
}

#[tokio::test]
async fn an_encoding_is_its_clients_own() {
    let setup = over(1).await;
    let mut latin = setup.server.wire_with(&[("client_encoding", "LATIN1")]).await.unwrap();
    let mut utf8 = setup.wire().await;
    for _ in 0..2 {
        for (client, bytes) in [(&mut latin, &b"\xe9"[..]), (&mut utf8, "é".as_bytes())] {
            let replies = client.query("SELECT chr(233)").await.unwrap();
            assert!(replies[1].body.ends_with(bytes), "{replies:?}");
        }
    }
}

#[tokio::test]
async fn a_default_that_changes_at_the_server_is_not_taken_for_the_clients() {
    let setup = over(1).await;
    let mut client = setup.wire().await;
    client.rows("SET work_mem = '8MB'").await;
    let name = setup.db.name();
    let admin = setup.db.admin().await;
    let alter = format!("ALTER DATABASE {name} SET work_mem = '6MB'");
    admin.batch_execute(&alter).await.unwrap();
    setup.db.kill_backends("usename = 'app'").await;
    eventually("a new connection serves", || async {
        let mut other = setup.wire().await;
        other.query("SHOW work_mem").await.is_ok_and(|r| test_support::wire::rows(&r) == ["6MB"])
    })
    .await;
    assert_eq!(client.rows("SHOW work_mem").await, ["8MB"]);
}

#[tokio::test]
async fn settings_in_a_pipeline_are_in_force_for_what_follows() {
    let setup = over(1).await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    let all = [
        query("SET application_name = 'one'"),
        query("SHOW application_name"),
        query("BEGIN"),
        query("SET application_name = 'two'"),
        query("COMMIT"),
        query("SHOW application_name"),
    ];
    client.send_all(&all).await.unwrap();
    let mut seen = Vec::new();
    for _ in &all {
        seen.extend(test_support::wire::rows(&client.until_ready().await.unwrap()));
    }
    assert_eq!(seen, ["one", "two"]);
    assert_ne!(other.rows("SHOW application_name").await, ["two"]);
    assert_eq!(say(&mut client, &[query("SHOW application_name")]).await, "T D(two) C(SHOW) Z(I)");
}
