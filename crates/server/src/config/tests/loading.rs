//! Files, included files, the environment, overrides, weak typing.

use pool_manager::config::{GoDuration, MaxHeld, ResetOnReturn};

use super::*;
use crate::config::{ByteSize, FileMode, ListenAddress, check_config, render};

#[test]
fn one_dsn_is_a_whole_configuration() {
    let config = load(MINIMAL);
    let expected = Config {
        backends: config.backends.clone(),
        set_keys: config.set_keys.clone(),
        ..Config::default()
    };
    assert_eq!(config, expected);
    assert_eq!(config.backends.primary.connect_params().unwrap().database, "shop");
    assert_eq!(config.set_keys.len(), 1);
    assert_eq!(config.set_keys[0].key, "pgpool.backends.primary.dsn");
    assert!(config.set_keys[0].place.ends_with(".rr.yaml:6"), "{}", config.set_keys[0].place);
}

#[test]
fn keys_ignore_case() {
    let config = load(
        "Version: '3'\nPgPool:\n  Backends:\n    Primary:\n      DSN: postgres://u@h\n  Threads: 2\n",
    );
    assert_eq!(config.threads, 2);
}

#[test]
fn other_plugins_sections_are_left_alone() {
    let config = load(&format!(
        "{MINIMAL}http:\n  Headers:\n    X-A: 1\n    x-a: 2\n  address: [a, {{b: c}}]\n"
    ));
    assert!(config.enabled);
}

#[test]
fn anchors_and_merge_keys_work() {
    let config = load(
        "version: '3'\n.defaults: &pool\n  max_connections: 7\n  max_lifetime: 10m\n\
         pgpool:\n  backends:\n    primary: &primary\n      dsn: postgres://u@h\n      pool:\n        <<: *pool\n        max_lifetime: 5m\n\
         \n  databases:\n    other: {primary: *primary}\n",
    );
    let pool = &config.backends.primary.pool;
    assert_eq!((pool.max_connections, pool.max_lifetime), (7, GoDuration::from_secs(300)));
    assert_eq!(config.databases["other"].primary, config.backends.primary);
}

#[test]
fn references_are_expanded_everywhere() {
    let text = "version: '3'\npgpool:\n  threads: ${THREADS:-2}\n  enabled: $ENABLED\n  backends:\n    \
                primary:\n      dsn: postgres://${DB_USER}:${DB_PASSWORD:-none}@${DB_HOST:-db}/$DB_NAME\n    \
                replicas:\n      - dsn: postgres://$DB_USER@${REPLICA}/x\n        \
                weight: ${WEIGHT}\n  routing:\n    read_patterns: ['^$TABLE', 'cost$']\n";
    let env = [
        ("ENABLED", "true"),
        ("DB_USER", "app"),
        ("DB_PASSWORD", "hunter2"),
        ("DB_NAME", "shop"),
        ("REPLICA", "r1"),
        ("WEIGHT", "5"),
        ("TABLE", "users"),
    ];
    let config = Files::new(text).load(&[], &env).unwrap();
    assert_eq!(config.threads, 2);
    let dsn = config.backends.primary.dsn.as_ref().unwrap();
    assert_eq!(dsn.expose(), "postgres://app:hunter2@db/shop");
    let replica = &config.backends.replicas[0];
    assert_eq!(replica.backend.dsn.as_ref().unwrap().expose(), "postgres://app@r1/x");
    assert_eq!(replica.weight, 5);
    assert_eq!(config.routing.read_patterns, ["^users", "cost$"]);
}

#[test]
fn a_dollar_in_a_password_is_kept() {
    let config = load(&with_primary("host: db\nuser: app\npassword: 'pa$$w0rd$'"));
    assert_eq!(config.backends.primary.password.unwrap().expose(), "pa$$w0rd$");
}

#[test]
fn weak_typing_as_in_roadrunner() {
    let config = load(&with_primary(
        "host: db\nuser: 1234\npassword: 0012\nport: '6543'\nkeepalives: 'false'\n\
         pool:\n  max_connections: '7'\n  max_held: '3'\n  max_lifetime: 0\n  max_idle_time: '0'\n\
         behavior:\n  lazy_connect: 1\n  reset_on_return: 'always'\n  session_safe_functions: a,b.c",
    ));
    let primary = &config.backends.primary;
    assert_eq!(primary.user.as_deref(), Some("1234"));
    assert_eq!(primary.password.as_ref().unwrap().expose(), "0012");
    assert_eq!(primary.port, Some(6543));
    assert_eq!(primary.keepalives, Some(false));
    assert_eq!(primary.pool.max_connections, 7);
    assert_eq!(primary.pool.max_held, MaxHeld::Count(3));
    assert!(primary.pool.max_lifetime.is_zero() && primary.pool.max_idle_time.is_zero());
    assert!(primary.behavior.lazy_connect);
    assert_eq!(primary.behavior.reset_on_return, ResetOnReturn::Always);
    assert_eq!(primary.behavior.session_safe_functions, ["a", "b.c"]);
}

#[test]
fn values_with_a_notation_of_their_own() {
    let config = load(&with_section(
        "rpc:\n  listen: unix:///run/p.sock\n  file_mode: 0660\n  max_frame_size: 1MiB\n\
         shutdown:\n  grace: 1m30s",
    ));
    assert_eq!(config.rpc.listen, ListenAddress::Unix("/run/p.sock".into()));
    assert_eq!(config.rpc.file_mode, FileMode::new(0o660));
    assert_eq!(config.rpc.max_frame_size, ByteSize::new(1 << 20));
    assert_eq!(config.shutdown.grace, GoDuration::from_secs(90));
}

#[test]
fn an_empty_value_leaves_the_default() {
    let config =
        load(&with_section("threads:\nrpc:\nlogging:\n  level: ~\nproxy:\n  address: null"));
    assert_eq!(config.threads, 1);
    assert_eq!(config.set_keys.len(), 1);
}

#[test]
fn overrides_come_last_and_are_expanded() {
    let files = Files::new(&with_section("threads: 2\nrpc:\n  max_in_flight: 3"));
    let config = files
        .load(
            &[
                "pgpool.threads=4",
                "PGPOOL.logging.slow_query.threshold=1s",
                "pgpool.backends.primary.dsn=postgres://u:$PW@h/d?sslmode=require",
                "pgpool.databases.other.primary.dsn=postgres://u@other",
                "pgpool.rpc.listen='tcp://127.0.0.1:7000'",
                "pgpool.routing.read_patterns=a,b",
            ],
            &[("PW", "hunter2")],
        )
        .unwrap();
    assert_eq!(config.threads, 4);
    assert_eq!(config.rpc.max_in_flight, 3);
    assert_eq!(config.rpc.listen, ListenAddress::tcp("127.0.0.1", 7000));
    assert_eq!(config.logging.slow_query.threshold, GoDuration::from_secs(1));
    let dsn = config.backends.primary.dsn.as_ref().unwrap();
    assert_eq!(dsn.expose(), "postgres://u:hunter2@h/d?sslmode=require");
    assert!(config.databases.contains_key("other"));
    assert_eq!(config.routing.read_patterns, ["a", "b"]);
    assert!(config.set_keys.iter().any(|set| set.key == "pgpool.threads" && set.place == "-o"));
}

#[test]
fn an_override_may_reach_into_a_list() {
    let files = Files::new(&with_section("").replace(
        "primary:\n",
        "replicas: [{dsn: postgres://u@a}, {dsn: postgres://u@b}]\n    primary:\n",
    ));
    let config = files.load(&["pgpool.backends.replicas[1].weight=9"], &[]).unwrap();
    assert_eq!(config.backends.replicas[1].weight, 9);
    assert_eq!(config.backends.replicas[0].weight, 1);
}

#[test]
fn included_files_are_laid_over_the_main_one() {
    let files = Files::new(&format!(
        "{}include:\n  - a.yaml\n  - $SECOND\n",
        with_section("threads: 2\nrpc:\n  max_in_flight: 3\nrouting:\n  read_patterns: [x, y]")
    ));
    files.write("a.yaml", "version: '3'\npgpool:\n  threads: 5\n  rpc: {max_connections: $N}\n");
    files.write("b.yaml", "version: '3'\ninclude: [nothing.yaml]\npgpool:\n  threads: 6\n  routing: {read_patterns: [z]}\n");
    let config = files.load(&[], &[("N", "9"), ("SECOND", "b.yaml")]).unwrap();
    assert_eq!(config.threads, 6);
    assert_eq!((config.rpc.max_in_flight, config.rpc.max_connections), (3, 9));
    assert_eq!(config.routing.read_patterns, ["z"]);
    let config = files.load(&["pgpool.threads=7"], &[("N", "9"), ("SECOND", "b.yaml")]).unwrap();
    assert_eq!(config.threads, 7);
}

#[test]
fn included_files_must_be_of_the_same_version() {
    let files = Files::new(&format!("{MINIMAL}include: [a.yaml]\n"));
    files.write("a.yaml", "pgpool:\n  threads: 5\n");
    let error = files.load(&[], &[]).unwrap_err().to_string();
    assert!(error.contains("a.yaml: version: is missing"), "{error}");
    files.write("a.yaml", "version: '2.7'\n");
    let error = files.load(&[], &[]).unwrap_err().to_string();
    assert!(error.contains("a.yaml:1: version: only version: '3' is supported"), "{error}");
    std::fs::remove_file(files.path().join("a.yaml")).unwrap();
    let error = files.load(&[], &[]).unwrap_err().to_string();
    assert!(error.ends_with("a.yaml: there is no such file"), "{error}");
}

#[test]
fn env_files_stand_below_the_process_environment() {
    let files = Files::new(
        &with_section("threads: $A\nrpc: {max_in_flight: $B, max_connections: $C}")
            .replace("version: '3'", "version: '3'\nenvfile: $NAME.env"),
    );
    files.write("shop.env", "A=1\nB=1\nC=1\n");
    files.write("dot", "A=2\nB=2\n");
    let dotenv = files.path().join("dot").display().to_string();
    let env = [("NAME", "shop"), ("A", "3"), ("DOTENV_PATH", dotenv.as_str())];
    let config = files.load(&[], &env).unwrap();
    assert_eq!((config.threads, config.rpc.max_in_flight, config.rpc.max_connections), (3, 2, 1));
    let config = files.with(&[], &env[..2], |options| {
        let dotenv = Some(files.path().join("dot"));
        Config::load(&LoadOptions {
            path: options.path.clone(),
            overrides: vec![],
            dotenv,
            env: options.env,
        })
    });
    assert_eq!(config.unwrap().rpc.max_in_flight, 2);
    std::fs::remove_file(files.path().join("shop.env")).unwrap();
    let error = files.load(&[], &env).unwrap_err().to_string();
    assert!(error.ends_with("shop.env: there is no such file"), "{error}");
}

#[test]
fn a_check_shows_everything_but_secrets() {
    let files = Files::new(&with_section(
        "features:\n  cache: {ttl: 3s}\nproxy:\n  users:\n    web: hunter2\ndatabases:\n  other:\n    primary: {host: h, user: u, password: hunter2, pool: {max_connections: 2}}",
    ));
    let overrides = [
        "pgpool.threads=2",
        "pgpool.proxy.users.api=hunter2",
        "pgpool.databases.other.primary.password=$SECRET",
        "pgpool.databases.third.primary.dsn=postgres://u:hunter2@h/d",
        "pgpool.databases.fourth.primary.dsn=postgres://u:hunter2$SECRET@h/d",
    ];
    let text = files.with(&overrides, &[("SECRET", "hunter2")], check_config).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    for line in [
        ".rr.yaml: valid\n",
        "\n# -o pgpool.threads=2\n",
        "\n# -o pgpool.databases.other.primary.password=***\n",
        "\n# -o pgpool.databases.third.primary.dsn=postgres://u:***@h:5432/d\n",
        "\n# -o pgpool.databases.fourth.primary.dsn=***\n",
        "web: \"***\"\n",
        "\n# -o pgpool.proxy.users.api=***\n",
        "dsn: postgres://app:***@db:5432/shop\n",
        "password: \"***\"\n",
        "min_connections: 5\n",
        "min_connections: 2\n",
        "  threads: 2\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    assert!(!text.contains("null"));
}

#[test]
fn a_check_names_variables_that_are_not_set() {
    let files = Files::new(&with_primary(
        "host: db\nuser: ${DB_USER:-app}\npassword: ${NO_SUCH_PW}\noptions: $EMPTY\n\
         behavior:\n  session_safe_functions:\n  - a\n  - b$NO_SUCH_NAME",
    ));
    let overrides = ["pgpool.backends.primary.database=shop$NO_SUCH_SUFFIX"];
    let text = files.with(&overrides, &[("EMPTY", "")], check_config).unwrap();
    let text = text.replace(&format!("{}/", files.path().display()), "");
    let lines: Vec<_> = text.lines().filter(|line| line.ends_with("so it is empty")).collect();
    let primary = "pgpool.backends.primary";
    assert_eq!(
        lines,
        [
            format!("# .rr.yaml:7: {primary}.password: NO_SUCH_PW is not set, so it is empty"),
            format!(
                "# .rr.yaml:12: {primary}.behavior.session_safe_functions[1]: NO_SUCH_NAME is not \
                 set, so it is empty"
            ),
            format!("# -o: {primary}.database: NO_SUCH_SUFFIX is not set, so it is empty"),
        ]
    );
}

#[test]
fn what_is_rendered_loads_again() {
    let config = load(&with_section(
        "threads: 0\nlogging: {level: warn}\ndatabases: {a: {primary: {host: h, user: u, sslmode: verify-ca}}}",
    ));
    let text = render(&config);
    let again = load(&text);
    let mut expected = again.clone();
    expected.set_keys.clear();
    assert_eq!(render(&again), text);
    assert_eq!(again.databases["a"].primary.sslmode, config.databases["a"].primary.sslmode);
}
