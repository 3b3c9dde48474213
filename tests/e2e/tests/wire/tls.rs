//! TLS with clients: when it is used, who is believed by it, and what SCRAM binds to it.

use std::io;

use e2e::Setup;
use serde_json::{Value, json};
use test_support::postgres::{PASSWORD, ROLE};
use test_support::wire::{Binding, WireTls, message};
use test_support::{TestCa, WireClient, WireError};

use crate::talk::fatal;

const WHO: [(&str, &str); 2] = [("user", ROLE), ("database", "primary")];

/// An authority, a server with a certificate of it, and how clients trust it.
struct Secured {
    setup: Setup,
    ca: TestCa,
    tls: WireTls,
}

impl Secured {
    async fn with(mode: &str, auth_mode: &str) -> Self {
        let ca = TestCa::new("clients and servers");
        let files = ca.server(&["localhost"]);
        let setup = Setup::with(&json!({"proxy": {
            "auth_mode": auth_mode,
            "tls": {"mode": mode, "cert": files.cert, "key": files.key, "client_ca": ca.root_file()},
        }}))
        .await;
        let tls = WireTls::trusting(ca.root_file());
        Self { setup, ca, tls }
    }

    fn address(&self) -> &str {
        self.setup.server.proxy_address()
    }

    async fn login(&self, tls: &WireTls) -> Result<WireClient, WireError> {
        let mut client = WireClient::connect_tls(self.address(), tls).await?;
        client.start(0, PASSWORD, &WHO).await?;
        Ok(client)
    }

    async fn login_plain(&self) -> Result<WireClient, WireError> {
        WireClient::login(self.address(), PASSWORD, &WHO).await
    }
}

#[tokio::test]
async fn each_mode_takes_the_clients_that_it_says() {
    for (mode, plain, tls, with_certificate) in [
        ("disable", true, false, false),
        ("allow", true, true, true),
        ("prefer", true, true, true),
        ("require", false, true, true),
        ("verify-ca", false, false, true),
        ("verify-full", false, false, true),
    ] {
        let secured = Secured::with(mode, "scram-sha-256").await;
        let found = secured.login_plain().await;
        assert_eq!(found.is_ok(), plain, "{mode}");
        if !plain {
            let fault = fatal(found);
            assert_eq!(fault.code(), "28000", "{fault}");
            assert!(fault.message().contains("SSL"), "{fault}");
        }
        assert_eq!(secured.login(&secured.tls).await.is_ok(), tls, "{mode}");
        let identity = Some(secured.ca.client(ROLE));
        let shown = WireTls { identity, ..secured.tls.clone() };
        let found = secured.login(&shown).await;
        assert_eq!(found.is_ok(), with_certificate, "{mode}: {:?}", found.err());
        let Ok(mut client) = found else { continue };
        assert_eq!(client.rows("SELECT 1").await, ["1"]);
        // In another's name.
        let other = WireTls { identity: Some(secured.ca.client("other")), ..secured.tls.clone() };
        let found = secured.login(&other).await;
        if mode == "verify-full" {
            assert_eq!(fatal(found).code(), "28000");
        } else {
            assert!(found.is_ok(), "{mode}");
        }
        // Of an authority that nobody knows.
        let unknown = TestCa::new("foreign");
        let foreign = WireTls { identity: Some(unknown.client(ROLE)), ..secured.tls.clone() };
        assert!(secured.login(&foreign).await.is_err(), "{mode}");
    }
}

#[tokio::test]
async fn the_client_can_verify_the_server() {
    let secured = Secured::with("prefer", "scram-sha-256").await;
    let other_name = WireTls { name: "example.com".to_owned(), ..secured.tls.clone() };
    assert!(WireClient::connect_tls(secured.address(), &other_name).await.is_err());
    let another = TestCa::new("another");
    let distrusting = WireTls::trusting(another.root_file());
    assert!(WireClient::connect_tls(secured.address(), &distrusting).await.is_err());
}

#[tokio::test]
async fn a_certificate_can_stand_for_the_password() {
    let secured = Secured::with("prefer", "cert").await;
    let shown =
        |name: &str| WireTls { identity: Some(secured.ca.client(name)), ..secured.tls.clone() };
    let mut client = secured.login(&shown(ROLE)).await.unwrap();
    assert_eq!(client.asked, [0]);
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
    let fault = fatal(secured.login(&shown("other")).await);
    assert_eq!(fault.code(), "28000");
    assert!(fault.message().contains("certificate authentication failed"), "{fault}");
    assert_eq!(fatal(secured.login(&secured.tls).await).code(), "28000");
    assert_eq!(fatal(secured.login_plain().await).code(), "28000");
    // A good certificate, but nobody by that name.
    let mut client = WireClient::connect_tls(secured.address(), &shown("nobody")).await.unwrap();
    let who = [("user", "nobody"), ("database", "primary")];
    let result = client.start(0, PASSWORD, &who).await.map(|()| client);
    assert_eq!(fatal(result).code(), "28000");
}

#[tokio::test]
async fn scram_binds_its_proof_to_the_session() {
    let secured = Secured::with("prefer", "scram-sha-256").await;
    let connect = || WireClient::connect_tls(secured.address(), &secured.tls);
    let mut client = connect().await.unwrap();
    assert!(matches!(client.binding, Binding::EndPoint(_)));
    client.start(0, PASSWORD, &WHO).await.unwrap();
    // Without it, too.
    let mut client = connect().await.unwrap();
    client.binding = Binding::Unsupported;
    client.start(0, PASSWORD, &WHO).await.unwrap();
    // To another certificate: somebody is in the middle.
    let mut client = connect().await.unwrap();
    client.binding = Binding::EndPoint(vec![7; 32]);
    let result = client.start(0, PASSWORD, &WHO).await.map(|()| client);
    assert_eq!(fatal(result).code(), "08P01");
    // Somebody has hidden the offer.
    let mut client = connect().await.unwrap();
    client.binding = Binding::Unrequested;
    let result = client.start(0, PASSWORD, &WHO).await.map(|()| client);
    assert_eq!(fatal(result).code(), "08P01");
    // Without TLS there is nothing to bind to.
    let mut client = WireClient::connect(secured.address()).await.unwrap();
    client.binding = Binding::EndPoint(vec![7; 32]);
    let result = client.start(0, PASSWORD, &WHO).await.map(|()| client);
    assert_eq!(fatal(result).code(), "08P01");
    let mut client = connect().await.unwrap();
    let result = client.start(0, "wrong", &WHO).await.map(|()| client);
    assert_eq!(fatal(result).code(), "28P01");
}

#[tokio::test]
async fn whoever_begins_with_tls_names_the_protocol() {
    let secured = Secured::with("require", "scram-sha-256").await;
    let mut client =
        WireClient::connect_tls_directly(secured.address(), &secured.tls).await.unwrap();
    client.start(0, PASSWORD, &WHO).await.unwrap();
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
    let unnamed = WireTls { alpn: vec![], ..secured.tls.clone() };
    let mut client = WireClient::connect_tls_directly(secured.address(), &unnamed).await.unwrap();
    let fault = match client.start(0, PASSWORD, &WHO).await {
        Err(WireError::Fatal(fault)) => fault,
        other => panic!("{other:?}"),
    };
    assert!(fault.message().contains("ALPN"), "{fault}");
    let http = WireTls { alpn: vec![b"http/1.1".to_vec()], ..secured.tls.clone() };
    assert!(WireClient::connect_tls_directly(secured.address(), &http).await.is_err());
    // Asked for, it need not be named; something else must not be.
    secured.login(&unnamed).await.unwrap();
    assert!(secured.login(&http).await.is_err());
}

#[tokio::test]
async fn bytes_in_front_of_the_handshake_are_refused() {
    let secured = Secured::with("prefer", "trust").await;
    let mut client = WireClient::connect(secured.address()).await.unwrap();
    let stuffed = [message::ssl_request(), message::startup(0, &WHO), message::query("SELECT 1")];
    client.send(&stuffed.concat()).await.unwrap();
    let replies = client.until_closed().await;
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert_eq!(replies[0].error().unwrap().code(), "08P01");
    // Neither half a handshake nor none keeps the door from others.
    let mut client = WireClient::connect(secured.address()).await.unwrap();
    client.send(b"\x16\x03\x01\x02\x00\x01\x00").await.unwrap();
    let mut other = secured.login_plain().await.unwrap();
    assert_eq!(other.rows("SELECT 1").await, ["1"]);
    client.send(&[0xff; 600]).await.unwrap();
    let bytes: io::Result<Vec<u8>> = client.recv_bytes(1000).await;
    assert!(bytes.is_err() || bytes.is_ok_and(|alert| alert.first() != Some(&b'R')));
}

#[tokio::test]
async fn all_that_a_session_does_works_by_tls() {
    let secured = Secured::with("require", "scram-sha-256").await;
    let mut client = secured.login(&secured.tls).await.unwrap();
    // Larger than any buffer in between, both ways.
    let long = "x".repeat(3_000_000);
    assert_eq!(client.rows(&format!("SELECT length('{long}')")).await, ["3000000"]);
    assert_eq!(client.rows("SELECT repeat('y', 3000000)").await, ["y".repeat(3_000_000)]);
    // More than the socket takes while nobody reads.
    client
        .send(&message::query("SELECT repeat('z', 1000) FROM generate_series(1, 20000)"))
        .await
        .unwrap();
    let rows = client.until_ready().await.unwrap();
    assert_eq!(rows.iter().filter(|reply| reply.tag == b'D').count(), 20_000);
    // A cancel request by TLS.
    let mut sleeper = secured.login(&secured.tls).await.unwrap();
    sleeper.send(&message::query("SELECT pg_sleep(60)")).await.unwrap();
    e2e::eventually("it sleeps", || async {
        secured.setup.count("wait_event = 'PgSleep'").await == 1
    })
    .await;
    let mut canceller = WireClient::connect_tls(secured.address(), &secured.tls).await.unwrap();
    canceller.send(&message::cancel_request(&sleeper.key)).await.unwrap();
    let replies = sleeper.until_ready().await.unwrap();
    assert!(replies.iter().any(|reply| reply.error().is_some_and(|e| e.code() == "57014")));
}

#[tokio::test]
async fn sockets_of_the_file_system_need_no_tls() {
    let ca = TestCa::new("any");
    let files = ca.server(&["localhost"]);
    let dir = tempfile::tempdir().unwrap();
    let address = format!("unix://{}/door.sock", dir.path().display());
    let proxy: Value = json!({"address": address, "tls": {
        "mode": "verify-full", "cert": files.cert, "key": files.key, "client_ca": ca.root_file(),
    }});
    let setup = Setup::with(&json!({"proxy": proxy})).await;
    let mut client = WireClient::connect(&address).await.unwrap();
    client.send(&message::ssl_request()).await.unwrap();
    assert_eq!(client.recv_bytes(1).await.unwrap(), b"N");
    client.start(0, PASSWORD, &WHO).await.unwrap();
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
    drop(setup);
}

/// A server behind the door, itself a door that is reached by TLS at once: two in a row, as an old
/// PostgreSQL cannot do it.
#[tokio::test]
async fn a_server_can_be_reached_by_tls_at_once() {
    let ca = TestCa::new("inner");
    let files = ca.server(&["localhost"]);
    let tls = json!({"mode": "require", "cert": files.cert, "key": files.key});
    let inner = Setup::with(&json!({"proxy": {"tls": tls}, "backends": {"primary": {
        "pool": {"max_held": "100%"}, "behavior": {"mode": "session"},
    }}}))
    .await;
    let port = inner.server.proxy_address().rsplit(':').next().unwrap().to_owned();
    let dsn = format!(
        "postgres://{ROLE}:{PASSWORD}@localhost:{port}/primary?sslmode=verify-full&sslrootcert={}\
         &sslnegotiation=direct&channel_binding=require",
        ca.root_file().display()
    );
    let server = e2e::TestServer::start(&dsn, &json!({})).await;
    let mut client = server.wire().await;
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
    client.send(&message::query("SELECT pg_sleep(60)")).await.unwrap();
    e2e::eventually("it sleeps", || async { inner.count("wait_event = 'PgSleep'").await == 1 })
        .await;
    // Cancel requests take the same way.
    let mut canceller = WireClient::connect(server.proxy_address()).await.unwrap();
    canceller.send(&message::cancel_request(&client.key)).await.unwrap();
    let replies = client.until_ready().await.unwrap();
    assert!(replies.iter().any(|reply| reply.error().is_some_and(|e| e.code() == "57014")));
}

#[tokio::test]
async fn all_of_a_result_comes_before_the_end() {
    let secured = Secured::with("require", "scram-sha-256").await;
    let slow = WireTls { receive_buffer: Some(4096), ..secured.tls.clone() };
    let mut client = secured.login(&slow).await.unwrap();
    let rows = "SELECT repeat('z', 1000) FROM generate_series(1, 3000)";
    client.send_all(&[message::query(rows), message::terminate()]).await.unwrap();
    let replies = client.until_closed().await;
    assert_eq!(replies.iter().filter(|reply| reply.tag == b'D').count(), 3000);
}
