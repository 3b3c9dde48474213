//! Both forms of DSNs, their errors, and their way there and back.

use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::secret::Secret;

fn ok(text: &str) -> ConnectParams {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn wrong(text: &str) -> String {
    match parse(text) {
        Ok(params) => panic!("{text} was read as {params}"),
        Err(error) => error.to_string(),
    }
}

fn tcp(host: &str, port: u16) -> Host {
    Host::Tcp { host: host.into(), addr: None, port }
}

#[test]
fn a_url_with_everything_in_its_place() {
    for scheme in ["postgres", "postgresql", "PostgreSQL"] {
        let params = ok(&format!("{scheme}://app:hunter2@db.example.com:6543/shop"));
        assert_eq!(params.hosts, [tcp("db.example.com", 6543)]);
        assert_eq!(params.user, "app");
        assert_eq!(params.password, Some(Secret::new("hunter2")));
        assert_eq!(params.database, "shop");
    }
}

#[test]
fn defaults() {
    let params = ok("postgres://app@db");
    assert_eq!(params.hosts, [tcp("db", 5432)]);
    assert_eq!(params.database, "app");
    assert_eq!(params.password, None);
    assert_eq!(params.ssl_mode, SslMode::Prefer);
    assert_eq!(params.ssl_root_cert, None);
    assert_eq!(params.channel_binding, ChannelBinding::Prefer);
    assert_eq!(params.target_session_attrs, TargetSessionAttrs::Any);
    assert_eq!(params.connect_timeout, Duration::from_secs(5));
    assert_eq!(params.application_name.as_deref(), Some("rr-pgpool"));
    assert_eq!(params.options, None);
    assert!(params.keepalives);
    assert_eq!(params.keepalives_idle, None);
    assert_eq!(params, ok("host=db user=app"));
    assert_eq!(params, ok("postgres://app:@db:5432/"));
}

#[test]
fn percent_encoding_is_undone_and_plus_is_kept() {
    let params = ok("postgres://a%40b:p%40s%2Fs%3A%25+%C3%A9@db/my%20shop?application_name=a%26b");
    assert_eq!(params.user, "a@b");
    assert_eq!(params.password, Some(Secret::new("p@s/s:%+é")));
    assert_eq!(params.database, "my shop");
    assert_eq!(params.application_name.as_deref(), Some("a&b"));
    for bad in
        ["postgres://u:%zz@db", "postgres://u:%4@db", "postgres://u:%00@db", "postgres://u:%ff@db"]
    {
        assert!(wrong(bad).starts_with("password: "), "{bad}: {}", wrong(bad));
    }
}

#[test]
fn several_hosts_and_ports() {
    let three = [tcp("a", 1), tcp("b", 5432), tcp("c", 3)];
    assert_eq!(ok("postgres://u@a:1,b,c:3/d").hosts, three);
    assert_eq!(ok("host=a,b,c port=1,,3 user=u").hosts, three);
    assert_eq!(ok("host=a,b port=7 user=u").hosts, [tcp("a", 7), tcp("b", 7)]);
    assert_eq!(ok("postgres://u@/d?host=a,b&port=7").hosts, [tcp("a", 7), tcp("b", 7)]);
    assert_eq!(
        wrong("host=a,b,c port=1,2 user=u"),
        "port: 2 ports for 3 hosts: give one, or one for each"
    );
    assert_eq!(wrong("host=a,,c user=u"), "host: one of the hosts is empty");
}

#[test]
fn hostaddr_saves_the_look_up() {
    let params = ok("host=db,[::2] hostaddr=10.0.0.1,::1 user=u");
    let expected = [
        Host::Tcp { host: "db".into(), addr: Some([10, 0, 0, 1].into()), port: 5432 },
        Host::Tcp { host: "::2".into(), addr: Some("::1".parse().unwrap()), port: 5432 },
    ];
    assert_eq!(params.hosts, expected);
    let only = Host::Tcp { host: "10.0.0.1".into(), addr: Some([10, 0, 0, 1].into()), port: 5432 };
    assert_eq!(ok("hostaddr=10.0.0.1 user=u").hosts, [only]);
    assert!(wrong("host=a,b hostaddr=10.0.0.1 user=u").starts_with("hostaddr: 1 addresses for 2"));
    assert!(wrong("hostaddr=db user=u").starts_with("hostaddr: must be an IPv4 or IPv6 address"));
}

#[test]
fn ipv6_and_unix_sockets() {
    assert_eq!(ok("postgres://u@[::1]:6000/d").hosts, [tcp("::1", 6000)]);
    assert_eq!(ok("postgres://u@[fe80::1%25eth0]/d").hosts, [tcp("fe80::1%eth0", 5432)]);
    assert_eq!(ok("host=::1 user=u").hosts, [tcp("::1", 5432)]);
    let unix = [Host::Unix { dir: PathBuf::from("/var/run/postgresql"), port: 5433 }];
    assert_eq!(ok("postgres://u@%2Fvar%2Frun%2Fpostgresql:5433/d").hosts, unix);
    assert_eq!(ok("postgres://u@/d?host=/var/run/postgresql&port=5433").hosts, unix);
    assert_eq!(ok("host=/var/run/postgresql port=5433 user=u").hosts, unix);
    assert!(wrong("postgres://u@::1/d").contains("brackets"));
    assert!(wrong("postgres://u@[::1/d").contains("]"));
    assert!(wrong("host=@abstract user=u").contains("abstract"));
}

#[test]
fn quoting_in_the_key_value_form() {
    let params = ok(r"  host = 'db'  user=app password = 'it\'s \\ two words' dbname=a\ b ");
    assert_eq!(params.password, Some(Secret::new(r"it's \ two words")));
    assert_eq!(params.database, "a b");
    assert_eq!(params.hosts, [tcp("db", 5432)]);
    assert_eq!(ok("host=db user=app password=''").password, None);
    assert_eq!(ok(r"host=db user=u password=a\ ").password, Some(Secret::new("a ")));
    assert_eq!(ok("host=db user=u password='a=b'").password, Some(Secret::new("a=b")));
    assert!(wrong("host=db user='app").starts_with("user: the closing quote is missing"));
    assert!(wrong("host=db user").starts_with("\"=\" is missing after user"));
}

#[test]
fn a_later_value_replaces_an_earlier_one_as_in_libpq() {
    assert_eq!(ok("host=a host=b user=u").hosts, [tcp("b", 5432)]);
    assert_eq!(ok("postgres://u@a/d?dbname=e").database, "e");
}

#[test]
fn every_ssl_mode() {
    for (word, mode) in [
        ("disable", SslMode::Disable),
        ("allow", SslMode::Allow),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ] {
        assert_eq!(ok(&format!("postgres://u@db?sslmode={word}")).ssl_mode, mode);
        assert_eq!(mode.to_string(), word);
    }
    assert_eq!(ok("postgres://u@db?ssl=true").ssl_mode, SslMode::Require);
    let error = wrong("postgres://u@db?sslmode=requir");
    assert!(error.contains("\"requir\"") && error.contains("verify-full"), "{error}");
}

#[test]
fn certificates() {
    let params = ok("host=h user=u sslrootcert=/ca.pem sslcert=/c.pem sslkey=/k.pem");
    assert_eq!(params.ssl_root_cert, Some(RootCert::File("/ca.pem".into())));
    assert_eq!(params.ssl_cert, Some("/c.pem".into()));
    assert_eq!(params.ssl_key, Some("/k.pem".into()));
    assert!(wrong("host=h user=u sslcert=/c.pem").starts_with("sslkey: is missing"));
    assert!(wrong("host=h user=u sslkey=/c.pem").starts_with("sslcert: is missing"));
}

#[test]
fn direct_tls_has_no_way_back() {
    let params = ok("host=h user=u sslmode=require sslnegotiation=direct");
    assert_eq!(params.ssl_negotiation, SslNegotiation::Direct);
    assert_eq!(
        ok("host=h user=u sslnegotiation=postgres").ssl_negotiation,
        SslNegotiation::Postgres
    );
    for mode in ["", "sslmode=prefer", "sslmode=disable"] {
        let error = wrong(&format!("host=h user=u {mode} sslnegotiation=direct"));
        assert!(error.starts_with("sslnegotiation: direct needs sslmode=require"), "{error}");
    }
}

#[test]
fn system_roots_need_the_name_checked() {
    let params = ok("host=h user=u sslrootcert=system");
    assert_eq!(params.ssl_root_cert, Some(RootCert::System));
    assert_eq!(params.ssl_mode, SslMode::VerifyFull);
    assert!(wrong("host=h user=u sslrootcert=system sslmode=require").contains("verify-full"));
}

#[test]
fn the_other_keywords() {
    let params = ok("host=h user=u channel_binding=require target_session_attrs=prefer-standby \
                     connect_timeout=12 application_name=web options='-c a=b' keepalives=0 \
                     keepalives_idle=90");
    assert_eq!(params.channel_binding, ChannelBinding::Require);
    assert_eq!(params.target_session_attrs, TargetSessionAttrs::PreferStandby);
    assert_eq!(params.connect_timeout, Duration::from_secs(12));
    assert_eq!(params.application_name.as_deref(), Some("web"));
    assert_eq!(params.options.as_deref(), Some("-c a=b"));
    assert!(!params.keepalives);
    assert_eq!(params.keepalives_idle, Some(Duration::from_secs(90)));
    assert_eq!(
        ok("host=h user=u connect_timeout=1500ms").connect_timeout,
        Duration::from_millis(1500)
    );
    assert_eq!(ok("host=h user=u application_name=").application_name, None);
    for (pair, keyword) in [
        ("connect_timeout=0", "connect_timeout"),
        ("connect_timeout=-1", "connect_timeout"),
        ("connect_timeout=86401", "connect_timeout"),
        ("keepalives=yes", "keepalives"),
        ("port=0", "port"),
        ("port=65536", "port"),
        ("port=x", "port"),
        ("channel_binding=on", "channel_binding"),
    ] {
        let error = wrong(&format!("host=h user=u {pair}"));
        assert!(error.starts_with(&format!("{keyword}: ")), "{error}");
    }
}

#[test]
fn what_is_missing_is_named() {
    assert!(wrong("host=db").starts_with("user: is missing"));
    assert!(wrong("postgres://db/shop").starts_with("user: is missing"));
    assert!(wrong("user=app").starts_with("host: is missing"));
    assert!(wrong("postgres:///shop?user=app").starts_with("host: is missing"));
    assert!(wrong("").contains("empty"));
    assert!(wrong("shop").contains("neither a URL"));
    assert!(wrong("mysql://u@h/d").contains("must start with postgres://"));
    assert!(wrong("pgsql:host=h;dbname=d").contains("must start with postgres://"));
    assert!(wrong(&format!("host=h user={}", "u".repeat(70_000))).contains("longer than"));
}

#[test]
fn unknown_keywords_get_a_suggestion() {
    assert_eq!(
        wrong("postgres://u:p@h/d?sslmod=require"),
        "unknown keyword \"sslmod\": did you mean sslmode?"
    );
    assert_eq!(wrong("host=h username=u"), "unknown keyword \"username\": write user");
    assert!(wrong("postgres://u:p@h/d?serverVersion=16&charset=utf8").contains("Doctrine"));
}

#[test]
fn an_unencoded_at_in_a_password_is_explained() {
    for text in [
        "postgres://app:sec@ret@127.0.0.1/app",
        "postgres://a:s@r:x@h:1",
        "postgres://a:s@r@h?port=2",
    ] {
        let error = wrong(text);
        assert!(error.starts_with("host: ") && error.contains("written %40"), "{text}: {error}");
    }
    // What stands behind the last @ is no password.
    assert_eq!(
        wrong("postgres://app:sec@ret@127.0.0.1/app?sslmod=require"),
        "unknown keyword \"sslmod\": did you mean sslmode?"
    );
    let error = wrong("postgres://app:sec@ret?hun=1@127.0.0.1/app");
    assert!(error.contains("not shown because it may be a piece of the password"), "{error}");
}

#[test]
fn passwords_that_break_the_syntax_are_not_repeated() {
    for text in [
        "postgres://u:hun/ter2@h/d",
        "postgres://u:hun@ter2@h/d",
        "postgres://u:hun@ter2:x@h/d",
        "postgres://u:hun%ter2@h/d",
        "postgres://u:ter2/x?hun=1@h/d",
        "postgres://u:x@ter2?hun=1@h/d",
        "postgres://u:x@y?sslmode=hun@h/d",
        "postgres://u:1/hun?sslmode=ter2@h/d",
        "postgres://h/d?user=u&password=1&hun=ter2",
        "host=h user=u password=x hun ter2",
        "host=h user=u password=x hun=ter2",
        "host=h user=u password='hun ter2",
        "u:hunter2@h/d",
        "pgsql://u:hunter2@h/d",
    ] {
        let error = wrong(text);
        assert!(!error.contains("hun") && !error.contains("ter2"), "{text}: {error}");
    }
}

#[test]
fn a_masked_dsn_shows_all_but_the_password() {
    let params =
        ok("postgres://app:hunter2@a:1,%2Ftmp,[::1]/shop?sslmode=require&connect_timeout=7");
    let masked =
        "postgres://app:***@a:1,%2Ftmp:5432,[::1]:5432/shop?sslmode=require&connect_timeout=7s";
    assert_eq!(params.masked_dsn(), masked);
    assert_eq!(params.to_string(), masked);
    assert!(!format!("{params:?}").contains("hunter2"));
    assert_eq!(Dsn::new("nonsense hunter2").to_string(), "***");
    assert_eq!(ok("postgres://app@a/b").masked_dsn(), "postgres://app@a:5432/b");
}

fn host_strategy() -> impl Strategy<Value = Host> {
    let port = 1..=u16::MAX;
    prop_oneof![
        ("[a-z][a-z0-9.-]{0,20}", prop::option::of(any::<std::net::IpAddr>()), port.clone())
            .prop_map(|(host, addr, port)| Host::Tcp { host, addr, port }),
        (any::<std::net::Ipv6Addr>(), port.clone()).prop_map(|(host, port)| Host::Tcp {
            host: host.to_string(),
            addr: None,
            port
        }),
        ("/[a-zA-Z0-9 %/?@:&é-]{0,20}[a-z]", port)
            .prop_map(|(dir, port)| Host::Unix { dir: dir.into(), port }),
    ]
}

fn ssl_mode_strategy() -> impl Strategy<Value = SslMode> {
    prop::sample::select(vec![
        SslMode::Disable,
        SslMode::Allow,
        SslMode::Prefer,
        SslMode::Require,
        SslMode::VerifyCa,
        SslMode::VerifyFull,
    ])
}

/// Printable text without zero bytes, never empty.
const TEXT: &str = r"[^\x00]{1,30}";

prop_compose! {
    fn params_strategy()(
        hosts in prop::collection::vec(host_strategy(), 1..4),
        user in TEXT,
        password in prop::option::of(TEXT),
        database in TEXT,
        ssl_mode in ssl_mode_strategy(),
        ssl_root_cert in prop::option::of(TEXT),
        client in prop::option::of((TEXT, TEXT)),
        millis in 1u64..86_400_000,
        application_name in prop::option::of(TEXT),
        options in prop::option::of(TEXT),
        keepalives in any::<bool>(),
        idle in prop::option::of(1u64..86_400),
        words in (0usize..3, 0usize..6),
    ) -> ConnectParams {
        let system = ssl_root_cert.as_deref() == Some("system");
        let (ssl_cert, ssl_key) = client.map(|(a, b)| (a.into(), b.into())).unzip();
        ConnectParams {
            hosts,
            user,
            password: password.map(Secret::new),
            database,
            ssl_mode: if system { SslMode::VerifyFull } else { ssl_mode },
            ssl_negotiation: if system { SslNegotiation::Direct } else { SslNegotiation::Postgres },
            ssl_root_cert: ssl_root_cert
                .map(|file| if system { RootCert::System } else { RootCert::File(file.into()) }),
            ssl_cert,
            ssl_key,
            channel_binding: names::Named::from_word(["disable", "prefer", "require"][words.0])
                .unwrap(),
            target_session_attrs: <TargetSessionAttrs as names::Named>::WORDS[words.1].1,
            connect_timeout: Duration::from_millis(millis),
            application_name,
            options,
            keepalives,
            keepalives_idle: idle.map(Duration::from_secs),
        }
    }
}

proptest! {
    #[test]
    fn a_formatted_dsn_reads_back_the_same(params in params_strategy()) {
        let dsn = params.to_dsn();
        prop_assert_eq!(parse(dsn.expose()), Ok(params));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let _ = parse(&text);
        let _ = parse(&format!("postgres://{text}"));
        let _ = parse(&format!("host=h user=u password={text}"));
        let _ = Dsn::new(text).to_string();
    }

    #[test]
    fn text_of_dsn_characters_is_read_or_refused(text in r"(postgres://)?[a-z0-9:@/?&=%,'\\\[\] ]{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_error_or_display_holds_the_password(
        password in r"[A-Z]{6}[@/?:&= '\\,%\[]?[A-Z]{6}",
        tail in r"[a-z0-9:@/?&=%,' ]{0,30}",
    ) {
        for text in [
            format!("postgres://u:{password}@h{tail}"),
            format!("postgres://u:{password}{tail}"),
            format!("postgres://h/d?user=u&password={password}&{tail}"),
            format!("host=h user=u password={password} {tail}"),
            format!("{tail} password={password}"),
        ] {
            let shown = match parse(&text) {
                Ok(params) if params.password.is_some() => params.password
                    .as_ref()
                    .filter(|secret| secret.expose().contains(&password[..6]))
                    .map(|_| format!("{params} {params:?}"))
                    .unwrap_or_default(),
                Ok(_) => String::new(),
                Err(error) => format!("{error} {error:?}"),
            };
            prop_assert!(!shown.contains(&password[..6]), "{}: {}", text, shown);
        }
    }
}
