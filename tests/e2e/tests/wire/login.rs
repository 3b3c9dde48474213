//! From the first byte to the first ReadyForQuery: who is let in, and what all others are told.

use std::time::Duration;

use e2e::{Setup, eventually};
use serde_json::{Value, json};
use test_support::postgres::{PASSWORD, ROLE};
use test_support::wire::message;
use test_support::{WireClient, WireError, WireFault};
use tokio::time::Instant;

use crate::talk::{ask, fatal, login};

/// The verifier of `secret`, made by PostgreSQL itself.
async fn verifier(setup: &Setup) -> String {
    let admin = setup.db.admin().await;
    let sql = "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'";
    admin.query_one(sql, &[]).await.unwrap().get(0)
}

async fn with_proxy(proxy: Value) -> Setup {
    Setup::with(&json!({"proxy": proxy})).await
}

#[tokio::test]
async fn each_mode_asks_for_its_proof_and_takes_no_other() {
    // The codes of the requests of each: clear text, MD5, SASL with its two further messages.
    let modes: [(&str, &[u32]); 3] =
        [("password", &[3, 0]), ("md5", &[5, 0]), ("scram-sha-256", &[10, 11, 12, 0])];
    for (mode, asked) in modes {
        let setup = with_proxy(json!({"auth_mode": mode})).await;
        let mut client = login(&setup.server, ROLE, PASSWORD).await.unwrap();
        assert_eq!(client.asked, asked, "{mode}");
        assert_eq!(client.rows("SELECT current_user").await, [ROLE]);
        for password in ["", "wrong", "secret "] {
            let fault = fatal(login(&setup.server, ROLE, password).await);
            assert_eq!(fault.code(), "28P01", "{mode}");
            assert_eq!(fault.message(), "password authentication failed for user \"app\"");
        }
    }
}

#[tokio::test]
async fn whoever_comes_again_is_told_the_same() {
    let setup = Setup::new().await;
    for minor in [0, 2, 3] {
        let mut told = Vec::new();
        for _ in 0..3 {
            let mut client = WireClient::connect(setup.server.proxy_address()).await.unwrap();
            let who = [("user", ROLE), ("database", "primary"), ("TimeZone", "Asia/Tokyo")];
            client.start(minor, PASSWORD, &who).await.unwrap();
            assert_eq!(client.rows("SHOW TimeZone").await, ["Asia/Tokyo"]);
            let parameters = client.parameters.clone();
            assert!(
                parameters.len() > 10 && parameters["TimeZone"] == "Asia/Tokyo",
                "{parameters:?}"
            );
            assert_eq!(client.preface.len(), usize::from(minor > 2), "negotiated each time");
            told.push(parameters);
        }
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    }
}

#[tokio::test]
async fn scram_is_the_default_and_trust_where_no_password_is_known() {
    let setup = Setup::new().await;
    assert_eq!(setup.wire().await.asked, [10, 11, 12, 0]);
    let trusting = with_proxy(json!({"auth_mode": "trust"})).await;
    let mut client = login(&trusting.server, ROLE, "").await.unwrap();
    assert_eq!(client.asked, [0]);
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
    let fault = fatal(login(&trusting.server, "nobody", "").await);
    assert_eq!((fault.code(), fault.message()), ("28000", "role \"nobody\" does not exist"));
    let anybody = with_proxy(json!({"auth_mode": "none"})).await;
    let mut client = login(&anybody.server, "nobody", "").await.unwrap();
    assert_eq!(client.rows("SELECT current_user").await, [ROLE], "as the backend's role");
}

#[tokio::test]
async fn users_have_passwords_verifiers_or_hashes() {
    let verifier = verifier(&Setup::new().await).await;
    let users = json!({"ann": "ann's own", "bob": verifier});
    for mode in ["scram-sha-256", "password", "md5"] {
        let setup = with_proxy(json!({"auth_mode": mode, "users": users})).await;
        for (user, password) in [("ann", "ann's own"), ("bob", PASSWORD)] {
            let mut client = login(&setup.server, user, password).await.unwrap();
            assert_eq!(client.rows("SELECT current_user").await, [ROLE], "{mode} {user}");
        }
        // With users of its own, the backend's is none of them.
        for (user, password) in [("ann", PASSWORD), ("bob", "ann's own"), (ROLE, PASSWORD)] {
            let fault = fatal(login(&setup.server, user, password).await);
            assert_eq!(fault.code(), "28P01", "{mode} {user}");
        }
    }
}

#[tokio::test]
async fn an_unknown_user_is_asked_the_same_and_told_the_same() {
    for mode in ["password", "md5", "scram-sha-256"] {
        let setup = with_proxy(json!({"auth_mode": mode})).await;
        let mut asked = Vec::new();
        for user in [ROLE, "nobody"] {
            let mut client = WireClient::connect(setup.server.proxy_address()).await.unwrap();
            let who = [("user", user), ("database", "primary")];
            let Err(WireError::Fatal(fault)) = client.start(0, "wrong", &who).await else {
                panic!("let in");
            };
            let message = format!("password authentication failed for user \"{user}\"");
            assert_eq!((fault.code(), fault.message()), ("28P01", message.as_str()));
            asked.push(client.asked);
        }
        assert_eq!(asked[0], asked[1], "{mode}");
    }
}

#[tokio::test]
async fn databases_are_found_by_pool_name_and_by_their_own() {
    let setup = Setup::new().await;
    let server = &setup.server;
    for name in ["primary", setup.db.name()] {
        let mut client = server.wire_with(&[("database", name)]).await.unwrap();
        assert_eq!(client.rows("SELECT current_database()").await, [setup.db.name()]);
    }
    let fault = fatal(server.wire_with(&[("database", "nowhere")]).await);
    assert_eq!((fault.code(), fault.message()), ("3D000", "database \"nowhere\" does not exist"));
    assert!(fault.field('H').contains("primary"), "{fault}");
    // Without a name the user's name is it; with a wrong password nobody learns whether it exists.
    let nameless = WireClient::login(server.proxy_address(), PASSWORD, &[("user", ROLE)]).await;
    assert_eq!(fatal(nameless).code(), "3D000");
    let who = [("user", ROLE), ("database", "nowhere")];
    let wrong = WireClient::login(server.proxy_address(), "wrong", &who).await;
    assert_eq!(fatal(wrong).code(), "28P01");
}

#[tokio::test]
async fn a_further_database_has_its_own_users_and_mode() {
    let other = Setup::new().await;
    let more = json!({"databases": {"other": {"primary": {
        "dsn": other.db.dsn(), "behavior": {"mode": "session"},
    }}}});
    let setup = Setup::with(&more).await;
    let mut client = setup.server.wire_with(&[("database", "other")]).await.unwrap();
    assert_eq!(client.rows("SELECT current_database()").await, [other.db.name()]);
    assert_eq!(ask(&mut client, "CREATE TEMP TABLE mine (a int)").await, "C(CREATE TABLE) Z(I)");
    assert_eq!(client.rows("SELECT count(*) FROM mine").await, ["0"]);
}

#[tokio::test]
async fn encryption_is_declined_and_the_login_goes_on() {
    let setup = Setup::new().await;
    let mut client = WireClient::connect(setup.server.proxy_address()).await.unwrap();
    for request in [message::gss_request(), message::ssl_request()] {
        client.send(&request).await.unwrap();
        assert_eq!(client.recv_bytes(10).await.unwrap(), b"N");
    }
    client.start(0, PASSWORD, &[("user", ROLE), ("database", "primary")]).await.unwrap();
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
    let mut twice = WireClient::connect(setup.server.proxy_address()).await.unwrap();
    twice.send(&message::ssl_request()).await.unwrap();
    assert_eq!(twice.recv_bytes(10).await.unwrap(), b"N");
    twice.send(&message::ssl_request()).await.unwrap();
    let replies = twice.until_closed().await;
    assert_eq!(replies[0].error().unwrap().code(), "0A000", "{replies:?}");
}

#[tokio::test]
async fn newer_minor_versions_and_options_are_negotiated_down() {
    let setup = Setup::new().await;
    let who = [("user", ROLE), ("database", "primary"), ("_pq_.shiny", "on")];
    let mut client = WireClient::connect(setup.server.proxy_address()).await.unwrap();
    client.start(2, PASSWORD, &who).await.unwrap();
    let preface = &client.preface[0];
    assert_eq!(preface.tag, b'v');
    assert_eq!(preface.body, b"\0\x03\0\x02\0\0\0\x01_pq_.shiny\0");
    let mut newest = WireClient::connect(setup.server.proxy_address()).await.unwrap();
    newest.start(9999, PASSWORD, &who[..2]).await.unwrap();
    assert_eq!(newest.preface[0].body, b"\0\x03\0\x02\0\0\0\0");
    let mut old = WireClient::connect(setup.server.proxy_address()).await.unwrap();
    old.send(&message::packet(&[0, 2, 0, 0])).await.unwrap();
    let replies = old.until_closed().await;
    assert_eq!(replies[0].error().unwrap().code(), "0A000");
}

#[tokio::test]
async fn replication_is_refused_with_the_reason() {
    let setup = Setup::new().await;
    for value in ["true", "database", "1"] {
        let fault = fatal(setup.server.wire_with(&[("replication", value)]).await);
        assert_eq!(fault.code(), "0A000");
        assert!(fault.message().contains("replication"), "{fault}");
    }
    setup.server.wire_with(&[("replication", "off")]).await.unwrap();
}

#[tokio::test]
async fn the_startup_message_may_set_what_a_session_can() {
    let setup = Setup::new().await;
    let more = [
        ("application_name", "web"),
        ("options", "-c work_mem=7MB --search-path=a\\,\\ b,public -cstatement_timeout=5s"),
        ("TimeZone", "Asia/Tokyo"),
        ("app.tenant", "acme"),
    ];
    let mut client = setup.server.wire_with(&more).await.unwrap();
    assert_eq!(client.parameters["application_name"], "web");
    assert_eq!(client.parameters["TimeZone"], "Asia/Tokyo");
    let sql = "SELECT current_setting('work_mem'), current_setting('search_path'),
        current_setting('statement_timeout'), current_setting('app.tenant')";
    assert_eq!(client.rows(sql).await, ["7MB,a, b,public,5s,acme"]);
    // Another client sees none of it.
    let mut other = setup.wire().await;
    assert_ne!(other.parameters["TimeZone"], "Asia/Tokyo");
    assert_ne!(other.rows("SHOW work_mem").await, ["7MB"]);
    for (name, value, code) in [
        ("work_mem", "lots", "22023"),
        ("nonsense", "1", "42704"),
        ("options", "-c nonsense=1", "42704"),
        ("options", "--x", "0A000"),
    ] {
        let fault = fatal(setup.server.wire_with(&[(name, value)]).await);
        assert_eq!(fault.code(), code, "{name}={value}: {fault}");
    }
}

#[tokio::test]
async fn there_are_as_many_clients_as_there_may_be() {
    let setup = with_proxy(json!({"max_clients": 2})).await;
    let (first, _second) = (setup.wire().await, setup.wire().await);
    let fault = fatal(setup.server.wire_with(&[]).await);
    assert_eq!((fault.code(), fault.message()), ("53300", "sorry, too many clients already"));
    drop(first);
    eventually("its place is free", || async { setup.server.wire_with(&[]).await.is_ok() }).await;
}

#[tokio::test]
async fn who_does_not_say_who_it_is_has_to_go() {
    let setup = with_proxy(json!({"login_timeout": "150ms"})).await;
    let started = Instant::now();
    let mut silent = WireClient::connect(setup.server.proxy_address()).await.unwrap();
    let replies = silent.until_closed().await;
    assert_eq!(replies[0].error().unwrap().message(), "canceling authentication due to timeout");
    let mut halfway = WireClient::connect(setup.server.proxy_address()).await.unwrap();
    let who = [("user", ROLE), ("database", "primary")];
    halfway.send(&message::startup(0, &who)).await.unwrap();
    let replies = halfway.until_closed().await;
    assert_eq!(replies[0].tag, b'R');
    assert_eq!(replies[1].error().unwrap().severity(), "FATAL");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn what_is_no_login_is_not_answered_at_length() {
    let setup = Setup::new().await;
    let address = setup.server.proxy_address();
    let long = "x".repeat(9_000);
    let too_long = message::startup(0, &[("user", ROLE), ("options", &long)]);
    let unended = message::packet(b"\0\x03\0\0user\0app");
    let nobody = message::startup(0, &[("database", "primary")]);
    let hostile: [(&[u8], Option<&str>); 7] = [
        (b"GET / HTTP/1.1\r\n\r\n", None),
        (b"\0\0\0\0", None),
        (b"\xff\xff\xff\xff", None),
        (b"\0\0\0\x04", None),
        (&too_long, None),
        (&unended, Some("08P01")),
        (&nobody, Some("28000")),
    ];
    for (bytes, code) in hostile {
        let mut client = WireClient::connect(address).await.unwrap();
        client.send(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let replies = client.until_closed().await;
        let told = replies.first().and_then(test_support::Reply::error);
        assert_eq!(told.as_ref().map(WireFault::code), code, "{:?}", &bytes[..8.min(bytes.len())]);
    }
    assert_eq!(setup.wire().await.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn passwords_and_proofs_that_make_no_sense_end_the_login() {
    for mode in ["password", "md5", "scram-sha-256"] {
        let setup = with_proxy(json!({"auth_mode": mode})).await;
        let answers = [
            message::message(b'p', b""),
            message::message(b'p', b"no end"),
            message::message(b'p', b"\0\0\0"),
            message::message(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff"),
            message::message(b'p', b"SCRAM-SHA-256\0\0\0\0\x05n,,n="),
            message::message(b'p', b"SCRAM-SHA-256-PLUS\0\0\0\0\x08n,,n=,r="),
            b"p\xff\xff\xff\xff".to_vec(),
            b"p\0\0\0\0".to_vec(),
            message::message(b'p', &[b'x'; 5_000]),
            message::query("SELECT 1"),
        ];
        for answer in answers {
            let mut client = WireClient::connect(setup.server.proxy_address()).await.unwrap();
            let who = [("user", ROLE), ("database", "primary")];
            client.send(&message::startup(0, &who)).await.unwrap();
            assert_eq!(client.recv().await.unwrap().tag, b'R');
            client.send(&answer).await.unwrap();
            let replies = client.until_closed().await;
            let fault = replies[0].error().unwrap();
            assert_eq!(fault.severity(), "FATAL");
            assert!(["08P01", "28P01"].contains(&fault.code()), "{mode} {answer:?}: {fault}");
        }
        assert_eq!(setup.wire().await.rows("SELECT 1").await, ["1"]);
    }
}

#[tokio::test]
async fn names_are_cut_where_postgresql_cuts_them() {
    let setup = with_proxy(json!({"users": {"u".repeat(63): "pw"}})).await;
    let mut client = login(&setup.server, &"u".repeat(80), "pw").await.unwrap();
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn a_unix_socket_is_as_good_as_a_port() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pg.sock");
    let address = format!("unix://{}", path.display());
    let setup = with_proxy(json!({"address": address, "file_mode": "0660"})).await;
    let mut client = setup.wire().await;
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
}
