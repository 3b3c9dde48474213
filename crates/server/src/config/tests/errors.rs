//! What errors say: file, line, key, reason, remedy, and no secret.

use proptest::prelude::*;

use super::*;
use crate::config::{de, yaml};

#[test]
fn a_missing_file_section_or_version_is_named() {
    let nothing = |_: &str| None;
    let error = Config::load(&LoadOptions::new("/nonexistent/.rr.yaml", &nothing)).unwrap_err();
    assert_eq!(error.to_string(), "/nonexistent/.rr.yaml: there is no such file");
    assert!(wrong("version: '3'\n").starts_with(".rr.yaml: there is no section pgpool; the least"));
    assert!(wrong("").starts_with(".rr.yaml: version: is missing"));
    assert!(wrong("pgpool: {}").starts_with(".rr.yaml: version: is missing"));
    assert_eq!(
        wrong("version: 3\npgpool: {}"),
        ".rr.yaml:1: version: must be a text, as RoadRunner demands: version: '3'"
    );
    assert_eq!(
        wrong("version: '2.7'\npgpool: {}"),
        ".rr.yaml:1: version: only version: '3' is supported"
    );
    assert!(wrong("- a\n").contains("must hold keys and values"));
}

#[test]
fn unknown_keys_get_a_suggestion() {
    assert_eq!(
        wrong(&with_primary("dsn: postgres://u@h\npool:\n  max_conections: 3")),
        ".rr.yaml:7: pgpool.backends.primary.pool.max_conections: unknown key; did you mean \
         max_connections?"
    );
    assert_eq!(
        wrong(&with_section("transactions:\n  idleTimeout: 3s")),
        ".rr.yaml:8: pgpool.transactions.idletimeout: unknown key; did you mean idle_timeout?"
    );
    assert_eq!(
        wrong(&with_section("backend: {}")),
        ".rr.yaml:7: pgpool.backend: unknown key; did you mean backends?"
    );
    let error = wrong(&with_section("rpc:\n  colour: red"));
    assert!(error.starts_with(".rr.yaml:8: pgpool.rpc.colour: unknown key; known here: listen, "));
}

#[test]
fn a_key_in_the_wrong_place_is_sent_to_the_right_one() {
    assert_eq!(
        wrong("version: '3'\npgpool:\n  dsn: postgres://u:hunter2@h\n"),
        ".rr.yaml:3: pgpool.dsn: unknown key here; did you mean pgpool.backends.primary.dsn?"
    );
    assert_eq!(
        wrong(
            "version: '3'\npgpool:\n  databases:\n    shop:\n      dsn: postgres://u:hunter2@h\n"
        ),
        ".rr.yaml:5: pgpool.databases.shop.dsn: unknown key here; did you mean \
         pgpool.databases.NAME.primary.dsn?"
    );
    assert_eq!(
        wrong(&with_primary("dsn: postgres://u@h\nmax_connections: 5")),
        ".rr.yaml:6: pgpool.backends.primary.max_connections: unknown key here; did you mean \
         pgpool.backends.primary.pool.max_connections?"
    );
}

#[test]
fn unknown_keys_of_replicas_are_refused() {
    let with = |line: &str| {
        let replica = format!(
            "      dsn: postgres://u@h\n    replicas:\n    - dsn: postgres://u@r\n      {line}\n"
        );
        format!("version: '3'\npgpool:\n  backends:\n    primary:\n{replica}")
    };
    assert_eq!(
        wrong(&with("wieght: 2")),
        ".rr.yaml:8: pgpool.backends.replicas[0].wieght: unknown key; did you mean weight?"
    );
    assert_eq!(
        wrong(&with("sslmod: require")),
        ".rr.yaml:8: pgpool.backends.replicas[0].sslmod: unknown key; did you mean sslmode?"
    );
    assert!(wrong(&with("weight: 0")).starts_with(
        ".rr.yaml:8: pgpool.backends.replicas[0].weight: must be from 1 to 1000, not 0"
    ));
    assert_eq!(load(&with("weight: 2")).backends.replicas[0].weight, 2);
}

#[test]
fn misfits_name_what_would_fit() {
    for (lines, error) in [
        ("threads: many", "threads: must be a whole number from 0 to 512 (found \"many\")"),
        ("threads: 010", "threads: must be a whole number from 0 to 512 (found \"010\")"),
        ("threads: -1", "threads: must be a whole number from 0 to 512 (found \"-1\")"),
        ("threads: 99999", "threads: must be a whole number from 0 to 512 (found \"99999\")"),
        (
            "rpc: {max_in_flight: many}",
            "rpc.max_in_flight: must be a whole number from 1 to 65536 (found \"many\")",
        ),
        (
            "databases: {x: {primary: {port: many}}}",
            "databases.x.primary.port: must be a whole number from 1 to 65535 (found \"many\")",
        ),
        (
            "databases: {x: {replicas: [{weight: -1}]}}",
            "databases.x.replicas[0].weight: must be a whole number from 1 to 1000 (found \"-1\")",
        ),
        ("threads: 600", "threads: must be from 0 to 512, not 600"),
        ("threads: [1]", "threads: is a list; it must be a whole number from 0 to 512"),
        ("enabled: yes", "enabled: must be true or false (found \"yes\")"),
        (
            "rpc: tcp://x",
            "rpc: must be a section: keys with values, indented below it (found \"tcp://x\")",
        ),
        (
            "logging: {level: inof}",
            "logging.level: must be one of debug, info, warn, error; did you mean info? (found \"inof\")",
        ),
        (
            "shutdown: {grace: 4}",
            "shutdown.grace: a duration needs a unit: ns, us, ms, s, m or h, as in 30s or 1h30m (found \"4\")",
        ),
        (
            "shutdown: {grace: -4s}",
            "shutdown.grace: a duration must not be negative (found \"-4s\")",
        ),
        (
            "shutdown: {grace: true}",
            "shutdown.grace: must be a duration like 30s or 1h30m (found \"true\")",
        ),
        (
            "routing: {read_patterns: {a: b}}",
            "routing.read_patterns: must be a list: lines that start with \"- \"",
        ),
        (
            "routing: {read_patterns: [a, [b]]}",
            "routing.read_patterns[1]: is a list; it must be a text",
        ),
        (
            "rpc: {listen: '127.0.0.1:1'}",
            "rpc.listen: an address is written tcp://host:port or unix://path (found \"127.0.0.1:1\")",
        ),
        (
            "rpc: {file_mode: 0999}",
            "rpc.file_mode: a file mode is written in octal, from 0000 to 0777, as in 0660 (found \"0999\")",
        ),
        (
            "features: {cache: {max_size: 1TB}}",
            "features.cache.max_size: unknown unit of size; use B, KB, MB, GB, KiB, MiB or GiB (found \"1TB\")",
        ),
    ] {
        let line = wrong(&with_section(lines));
        assert_eq!(line, format!(".rr.yaml:7: pgpool.{error}"));
    }
}

#[test]
fn values_from_the_environment_are_named_not_shown() {
    let text = with_section("threads: ${THREADS}");
    assert_eq!(
        wrong_with(&text, &[], &[("THREADS", "hunter2")]),
        ".rr.yaml:7: pgpool.threads: must be a whole number from 0 to 512 (found what the \
         environment gives for \"${THREADS}\")"
    );
    assert_eq!(
        wrong(&text),
        ".rr.yaml:7: pgpool.threads: must be a whole number from 0 to 512 (found \
         \"${THREADS}\", which is empty or not set in the environment)"
    );
}

#[test]
fn secrets_are_never_repeated() {
    assert_eq!(
        wrong(&with_primary("host: h\nuser: u\npassword: [hunter2]")),
        ".rr.yaml:7: pgpool.backends.primary.password: is a list; it must be a text"
    );
    for line in [
        "dsn: hunter2",
        "dsn: 'postgres://u:hunter2@h:x/d'",
        "dsn: 'postgres://u:hunter2@h/d?sslmod=x'",
        "dsn: {password: hunter2}",
        "dsn: *hunter2",
        "dsn: \"hunter2\\q\"",
        "dsn: postgres://u:hunter2@h\n host: x",
        "password: hunter2\npassword: hunter2",
        "{hunter2",
        "hunter2: &a *a",
    ] {
        let text = with_primary(line);
        match Files::new(&text).load(&[], &[]) {
            Ok(_) => panic!("accepted {line}"),
            Err(error) => {
                let shown = format!("{error} {error:?}");
                assert!(
                    !shown.contains("hunter2") || line.starts_with("hunter2:"),
                    "{line}: {shown}"
                );
            }
        }
    }
}

#[test]
fn a_wrong_dsn_is_explained_at_its_line() {
    assert_eq!(
        wrong(&with_primary("dsn: postgres://u:hunter2@h/d?sslmod=require")),
        ".rr.yaml:5: pgpool.backends.primary.dsn: unknown keyword \"sslmod\": did you mean sslmode?"
    );
}

#[test]
fn an_unset_variable_is_named_as_the_cause() {
    let with = |lines: &str, env: &[(&str, &str)]| wrong_with(&with_primary(lines), &[], env);
    let primary = ".rr.yaml:5: pgpool.backends.primary";
    assert_eq!(
        with("dsn: ${DATABASE_URL}", &[]),
        format!("{primary}.dsn: is empty because ${{DATABASE_URL}} is not set")
    );
    assert_eq!(
        with("dsn: $DATABASE_URL", &[("DATABASE_URL", "")]),
        format!("{primary}.dsn: is empty because ${{DATABASE_URL}} is empty")
    );
    assert_eq!(
        with("host: $DB_HOST$DB_DOMAIN\nuser: app", &[]),
        format!(
            "{primary}.host: is empty because ${{DB_HOST}} is not set, ${{DB_DOMAIN}} is not set"
        )
    );
    let error = with("dsn: postgres://app:hunter2@$DB_HOST/shop", &[]);
    assert!(error.ends_with(" (${DB_HOST} is not set)"), "{error}");
    let error = with("pool: {}", &[]);
    assert!(error.contains("is missing: give dsn: "), "{error}");
}

#[test]
fn broken_yaml_is_placed() {
    let error = wrong("version: '3'\npgpool:\n  a: [b\n");
    assert!(error.starts_with(".rr.yaml:") && error.contains("not valid YAML"), "{error}");
    let error = wrong("version: '3'\npgpool:\n\tthreads: 1\n");
    assert!(error.contains("not valid YAML"), "{error}");
}

#[test]
fn broken_yaml_comes_with_the_likely_remedy() {
    let quotes = "; a text with special characters needs quotes";
    let tabs = "; indent with spaces, not with tabs";
    let colon = "; a key is followed by a colon, as in key: value";
    let above = "; a colon or the space after it may be missing in the line above, or the \
                 indentation may be wrong";
    for (text, remedy) in [
        ("a:\n\tb: 1\n", tabs),
        ("a:\n  b: 1\n\tc: 2\n", tabs),
        ("v: 1\npgpool\n  a: 1\n", colon),
        ("a:\n  b 1\n  c: 2\n", above),
        ("a:\n  b:1\n  c: 2\n", above),
        ("a: 1\n  b: 2\n", above),
        ("a: @b\n", quotes),
        ("a: %b\n", quotes),
        ("a:\n- *b\n", quotes),
        ("a: b: c\n", quotes),
        ("a: [b\n", quotes),
        ("a: 'b\n", "unclosed quote"),
        ("a:\n  b: 1\n c: 2\n", "did not find expected key"),
    ] {
        let error = yaml::parse(text, "f").map(|_| ()).unwrap_err().to_string();
        assert!(error.ends_with(remedy), "{text:?}: {error}");
    }
}

#[test]
fn keys_that_stand_twice_are_refused() {
    for text in ["threads: 1\nthreads: 2", "threads: 1\nTHREADS: 2"] {
        let error = wrong(&with_section(text));
        assert!(
            error.starts_with(".rr.yaml:8: pgpool.threads: this key stands here twice"),
            "{error}"
        );
    }
    assert!(wrong("version: '3'\npgpool: {}\nhttp: {a: 1, a: 2}").contains("http.a: this key"));
    assert!(wrong("version: '3'\npgpool: {}\nPGPOOL: {}").contains("pgpool: this key"));
}

#[test]
fn bombs_and_oversized_files_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let item = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", vec![item; 10].join(", "));
    }
    assert!(wrong(&text).contains("more than 100000 values"));
    assert!(wrong(&format!("{MINIMAL}x: {}", "[".repeat(100_000))).contains("not valid YAML"));
    assert!(wrong(&format!("{MINIMAL}# {}", "x".repeat(5 << 20))).contains("more than 4 MiB"));
}

#[test]
fn errors_of_overrides_name_the_override() {
    let with = |set: &str| wrong_with(MINIMAL, &[set], &[]);
    assert_eq!(with("pgpool.thread=2"), "-o: pgpool.thread: unknown key; did you mean threads?");
    assert!(with("pgpool.threads=x").starts_with("-o: pgpool.threads: must be a whole number"));
    assert!(with("threads=2").starts_with("-o: threads: overrides must start with pgpool."));
    assert!(
        with("pgpool.rpc.max_in_flight=0").starts_with("-o: pgpool.rpc.max_in_flight: must be")
    );
    assert!(with("pgpool.backends.primary.dsn.x=1").starts_with(
        "-o: pgpool.backends.primary.dsn.x: pgpool.backends.primary.dsn is not a section"
    ));
}

#[test]
fn a_broken_env_file_is_placed() {
    let files = Files::new(&format!("envfile: e.env\n{MINIMAL}"));
    files.write("e.env", "A=1\nB='hunter2\n");
    let error = files.load(&[], &[]).unwrap_err().to_string();
    assert!(error.ends_with("e.env:2: the closing quote is missing"), "{error}");
}

proptest! {
    #[test]
    fn any_text_is_loaded_or_refused(text in "([a-z]{1,3}|[-:#{}\\[\\],&*!|>'\"% \n\t$~<]|: |\n  |- |pool|dsn){0,60}") {
        if let Ok(tree) = yaml::parse(&text, "any") {
            let _ = de::from_node::<Config>(&tree);
        }
    }

    #[test]
    fn any_value_fits_or_is_refused(value in "[^\n]{0,30}", key in prop::sample::select(vec![
        "enabled", "threads", "rpc", "rpc.listen", "rpc.file_mode", "rpc.max_frame_size",
        "shutdown.grace", "logging.level", "backends.primary.pool.max_held", "monitoring.collect",
        "backends.primary.behavior.reset_on_return", "backends.primary.port", "databases.x",
    ])) {
        let set = format!("pgpool.{key}={value}");
        let _ = Files::new(MINIMAL).load(&[&set], &[]);
    }
}
