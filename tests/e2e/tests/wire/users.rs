//! Users of the door who are more than a name and a password: roles, pools, limits and networks of
//! their own, and those who are found in the database.

use e2e::{Setup, eventually};
use serde_json::{Value, json};
use test_support::WireClient;
use test_support::wire::message;

use crate::talk::{ask, backend, fatal, login, refused};

/// With roles of this database's own in the cluster that all tests share: reader may be taken on by
/// app, and owner logs in with a password.
async fn with_roles(proxy: impl Fn(&str) -> Value) -> (Setup, String) {
    let base = Setup::new().await;
    let name = base.db.name().to_owned();
    let admin = base.db.admin().await;
    admin
        .batch_execute(&format!(
            "CREATE ROLE {name}_reader; GRANT {name}_reader TO app;
             CREATE ROLE {name}_owner LOGIN PASSWORD 'owned';
             GRANT ALL ON SCHEMA public TO {name}_owner"
        ))
        .await
        .unwrap();
    let server = e2e::TestServer::start(&base.db.dsn(), &proxy(&name)).await;
    let Setup { server: old, db } = base;
    drop(old);
    (Setup { server, db }, name)
}

async fn drop_roles(setup: Setup, name: &str) {
    let admin = setup.db.admin().await;
    drop(setup.server);
    eventually("nobody uses them", || async {
        let drop =
            format!("DROP OWNED BY {name}_owner; DROP ROLE {name}_owner; DROP ROLE {name}_reader");
        admin.batch_execute(&drop).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_user_may_take_on_a_role() {
    let users = |name: &str| {
        json!({"proxy": {"users": {
        "plain": "secret",
        "reports": {"password": "hidden", "role": format!("{name}_reader")},
    }}, "backends": {"primary": {"pool": {"max_connections": 1}}}})
    };
    let (setup, name) = with_roles(users).await;
    let mut plain = login(&setup.server, "plain", "secret").await.unwrap();
    let mut reports = login(&setup.server, "reports", "hidden").await.unwrap();
    let who = "SELECT current_user, session_user";
    for _ in 0..3 {
        assert_eq!(plain.rows(who).await, ["app,app"]);
        assert_eq!(reports.rows(who).await, [format!("{name}_reader,app")]);
        assert_eq!(backend(&mut plain).await, backend(&mut reports).await);
    }
    // It is what RESET goes back to, and a second client of the same packet has it, too.
    ask(&mut reports, "SET ROLE app").await;
    assert_eq!(reports.rows(who).await, ["app,app"]);
    ask(&mut reports, "RESET ALL").await;
    ask(&mut reports, "DISCARD ALL").await;
    assert_eq!(reports.rows(who).await, [format!("{name}_reader,app")]);
    let mut again = login(&setup.server, "reports", "hidden").await.unwrap();
    assert_eq!(again.rows(who).await, [format!("{name}_reader,app")]);
    drop((plain, reports, again));
    drop_roles(setup, &name).await;
}

#[tokio::test]
async fn a_user_may_have_a_pool_of_its_own() {
    let users = |name: &str| {
        json!({"proxy": {"users": {
            "plain": "secret",
            "owner": {"password": "hidden", "server_user": format!("{name}_owner"),
                      "server_password": "owned", "max_connections": 1},
        }}})
    };
    let (setup, name) = with_roles(users).await;
    let mut owner = login(&setup.server, "owner", "hidden").await.unwrap();
    let mut second = login(&setup.server, "owner", "hidden").await.unwrap();
    let mut plain = login(&setup.server, "plain", "secret").await.unwrap();
    let who = "SELECT session_user";
    assert_eq!(owner.rows(who).await, [format!("{name}_owner")]);
    assert_eq!(backend(&mut owner).await, backend(&mut second).await);
    assert_eq!(plain.rows(who).await, ["app"]);
    assert_ne!(backend(&mut owner).await, backend(&mut plain).await);
    // Prepared statements of the same text do not meet.
    for client in [&mut owner, &mut plain] {
        let batch = [
            message::parse("s", who),
            message::bind("", "s", &[]),
            message::execute("", 0),
            message::sync(),
        ];
        let replies = client.exchange(&batch).await.unwrap();
        assert!(replies.iter().any(|reply| reply.tag == b'D'));
    }
    let mut calls = setup.client().await;
    let stats = calls.call("PoolStats", json!({"database": "*"})).await.unwrap();
    assert_eq!(stats["stats"]["primary@owner"]["total_connections"], 1, "{stats}");
    drop((owner, second, plain, calls));
    drop_roles(setup, &name).await;
}

#[tokio::test]
async fn users_and_databases_have_limits_of_their_own() {
    let setup = Setup::with(&json!({
        "proxy": {"users": {"few": {"password": "secret", "max_clients": 1}, "many": "secret"}},
        "backends": {"primary": {"behavior": {"max_clients": 3}}},
    }))
    .await;
    let first = login(&setup.server, "few", "secret").await.unwrap();
    let fault = fatal(login(&setup.server, "few", "secret").await);
    assert_eq!((fault.code(), fault.severity()), ("53300", "FATAL"));
    assert!(fault.message().contains("role \"few\""), "{fault}");
    // Who cannot prove it learns nothing of that.
    assert_eq!(fatal(login(&setup.server, "few", "wrong").await).code(), "28P01");
    let (_second, _third) = (
        login(&setup.server, "many", "secret").await.unwrap(),
        login(&setup.server, "many", "secret").await.unwrap(),
    );
    let fault = fatal(login(&setup.server, "many", "secret").await);
    assert_eq!(fault.code(), "53300");
    assert!(fault.message().contains("database \"primary\""), "{fault}");
    drop(first);
    eventually("there is room again", || async {
        login(&setup.server, "few", "secret").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_user_may_be_bound_to_networks() {
    let setup = Setup::with(&json!({"proxy": {"users": {
        "near": {"password": "secret", "networks": ["127.0.0.0/8"]},
        "far": {"password": "secret", "networks": ["10.0.0.0/8", "fd00::/8"]},
    }}}))
    .await;
    for _ in 0..2 {
        login(&setup.server, "near", "secret").await.unwrap();
        let fault = fatal(login(&setup.server, "far", "secret").await);
        assert_eq!(fault.code(), "28000");
        assert!(fault.message().contains("may not connect from this address"), "{fault}");
        assert_eq!(fatal(login(&setup.server, "far", "wrong").await).code(), "28P01");
    }
}

#[tokio::test]
async fn users_are_found_in_the_database() {
    let base = Setup::new().await;
    let name = base.db.name().to_owned();
    let admin = base.db.admin().await;
    // As a role that is no superuser needs it; a table of its own name stands in front of nothing.
    admin
        .batch_execute(&format!(
            "CREATE FUNCTION public.stored(text) RETURNS TABLE (name name, password text, until timestamptz)
             LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS
             'SELECT rolname, rolpassword, rolvaliduntil FROM pg_authid WHERE rolname = $1 AND rolcanlogin';
             CREATE ROLE {name}_scram LOGIN PASSWORD 'first';
             CREATE ROLE {name}_old LOGIN PASSWORD 'first' VALID UNTIL '2001-01-01';
             CREATE ROLE {name}_ever LOGIN PASSWORD 'first' VALID UNTIL 'infinity';
             CREATE ROLE {name}_none LOGIN;
             CREATE ROLE {name}_group"
        ))
        .await
        .unwrap();
    let query = "SELECT * FROM public.stored($1)";
    let more = json!({"proxy": {"auth_query": query, "users": {"named": "secret"}}});
    let server = e2e::TestServer::start(&base.db.dsn(), &more).await;
    let Setup { server: old, db } = base;
    drop(old);
    let setup = Setup { server, db };
    login(&setup.server, "named", "secret").await.unwrap();
    let user = |suffix: &str| format!("{name}_{suffix}");
    for _ in 0..2 {
        let mut client = login(&setup.server, &user("scram"), "first").await.unwrap();
        assert_eq!(client.rows("SELECT session_user").await, ["app"]);
        login(&setup.server, &user("ever"), "first").await.unwrap();
        for (suffix, password) in [
            ("scram", "wrong"),
            ("old", "first"),
            ("none", ""),
            ("none", "first"),
            ("group", ""),
            ("nobody", ""),
        ] {
            let fault = fatal(login(&setup.server, &user(suffix), password).await);
            assert_eq!(fault.code(), "28P01", "{suffix}: {fault}");
        }
    }
    login(&setup.server, &user("scram"), "first").await.unwrap();
    // A new password: what is remembered is dropped when it is found to be wrong.
    admin.batch_execute(&format!("ALTER ROLE {name}_scram PASSWORD 'second'")).await.unwrap();
    assert_eq!(fatal(login(&setup.server, &user("scram"), "second").await).code(), "28P01");
    login(&setup.server, &user("scram"), "second").await.unwrap();
    assert_eq!(fatal(login(&setup.server, &user("scram"), "first").await).code(), "28P01");
    // What is wrong with the query is told to the log only.
    admin.batch_execute("DROP FUNCTION public.stored(text)").await.unwrap();
    let fault = fatal(login(&setup.server, &user("other"), "x").await);
    assert_eq!(fault.code(), "57P03", "{fault}");
    assert!(!fault.message().contains("stored"), "{fault}");
    for suffix in ["scram", "old", "ever", "none", "group"] {
        admin.batch_execute(&format!("DROP ROLE {}", user(suffix))).await.unwrap();
    }
}

#[tokio::test]
async fn pg_authid_is_what_default_asks() {
    let base = Setup::new().await;
    // A superuser, as whom nobody should run a pool.
    let admin = base.db.admin().await;
    let name = format!("{}_default", base.db.name());
    admin
        .batch_execute(&format!(
            "CREATE ROLE {name} LOGIN PASSWORD 'first';
             CREATE ROLE {name}_super SUPERUSER LOGIN PASSWORD 'super'"
        ))
        .await
        .unwrap();
    let dsn = base.db.dsn().replace("app:secret", &format!("{name}_super:super"));
    let more = json!({"proxy": {"auth_query": "default", "users": {"named": "secret"}}});
    let server = e2e::TestServer::start(&dsn, &more).await;
    let who = [("user", name.as_str()), ("database", "primary")];
    let mut client = WireClient::login(server.proxy_address(), "first", &who).await.unwrap();
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
    assert_eq!(refused(&mut client, "SELECT nothing").await.code(), "42703");
    drop(server);
    eventually("nobody uses them", || async {
        admin.batch_execute(&format!("DROP ROLE IF EXISTS {name}, {name}_super")).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn no_search_path_reaches_the_auth_query() {
    let base = Setup::new().await;
    let admin = base.db.admin().await;
    let name = format!("{}_trap", base.db.name());
    // A table that would answer in pg_authid's place, in front of it for the pool's role and client.
    admin
        .batch_execute(&format!(
            "CREATE ROLE {name} LOGIN PASSWORD 'right';
             CREATE ROLE {name}_super SUPERUSER LOGIN PASSWORD 'super';
             CREATE SCHEMA evil;
             CREATE TABLE evil.pg_authid AS SELECT '{name}'::name AS rolname, 'wrong' AS rolpassword,
                 NULL::timestamptz AS rolvaliduntil, true AS rolcanlogin;
             ALTER ROLE {name}_super SET search_path = evil, pg_catalog"
        ))
        .await
        .unwrap();
    let dsn = base.db.dsn().replace("app:secret", &format!("{name}_super:super"));
    let more = json!({"proxy": {"auth_query": "default", "users": {"named": "secret"}}});
    let server = e2e::TestServer::start(&dsn, &more).await;
    let who = [
        ("user", name.as_str()),
        ("database", "primary"),
        ("search_path", "evil, pg_catalog"),
        ("options", "-c search_path=evil,pg_catalog"),
    ];
    for _ in 0..2 {
        let found = WireClient::login(server.proxy_address(), "wrong", &who).await;
        assert_eq!(fatal(found).code(), "28P01");
        let mut client = WireClient::login(server.proxy_address(), "right", &who).await.unwrap();
        assert_eq!(client.rows("SHOW search_path").await, ["evil, pg_catalog"]);
    }
    drop(server);
    eventually("nobody uses them", || async {
        admin.batch_execute(&format!("DROP ROLE IF EXISTS {name}, {name}_super")).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn very_long_names_and_passwords_are_refused_and_cost_nothing() {
    let setup = Setup::with(&json!({"proxy": {"users": {"named": "secret"}}})).await;
    let long = "x".repeat(4000);
    for (user, database, password) in [
        (&long[..], "primary", "secret"),
        ("named", &long, "secret"),
        ("named", "primary", &long),
        (&long, &long, &long),
    ] {
        let who = [("user", user), ("database", database)];
        let found = WireClient::login(setup.server.proxy_address(), password, &who).await;
        let fault = fatal(found);
        assert!(["28P01", "3D000"].contains(&fault.code()), "{fault}");
        assert!(fault.message().len() < 200, "{fault}");
    }
    login(&setup.server, "named", "secret").await.unwrap();
}

#[tokio::test]
async fn a_client_can_leave_the_role_that_it_came_with() {
    for mode in ["transaction", "auto", "session"] {
        let users = |name: &str| {
            json!({"proxy": {"users": {
                "reports": {"password": "hidden", "role": format!("{name}_reader")},
            }}, "backends": {"primary": {
                "pool": {"max_connections": 2}, "behavior": {"mode": mode},
            }}})
        };
        let (setup, name) = with_roles(users).await;
        let mut client = login(&setup.server, "reports", "hidden").await.unwrap();
        let who = "SELECT current_user";
        for none in ["SET ROLE NONE", "SET ROLE 'none'"] {
            assert_eq!(client.rows(who).await, [format!("{name}_reader")], "{mode}");
            ask(&mut client, none).await;
            assert_eq!(client.rows(who).await, ["app"], "{mode} {none}");
            ask(&mut client, "SET work_mem = '5MB'").await;
            ask(&mut client, "RESET work_mem").await;
            assert_eq!(client.rows(who).await, ["app"], "{mode} {none}");
            ask(&mut client, "RESET ROLE").await;
            if mode == "session" {
                // There PostgreSQL's own RESET ROLE is in force.
                ask(&mut client, &format!("SET ROLE {name}_reader")).await;
            }
        }
        drop(client);
        drop_roles(setup, &name).await;
    }
}
