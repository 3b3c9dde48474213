//! Tests of the function lists and of name matching.

use super::*;
use crate::classify::token::Tokens;

fn effect_of(sql: &str, safe: &SafeFunctions) -> Effect {
    let tokens: Vec<_> = Tokens::new(sql).filter(|t| t.kind != TokenKind::Dot).collect();
    match tokens.as_slice() {
        [name] => effect(CallName { schema: None, name: *name }, safe),
        [schema, name] => effect(CallName { schema: Some(*schema), name: *name }, safe),
        other => panic!("not a name: {other:?}"),
    }
}

#[test]
fn lists_are_sorted_without_duplicates() {
    assert!(BUILT_IN.is_sorted_by(|a, b| a < b));
    assert!(TOUCHING.is_sorted_by(|a, b| a.0 < b.0));
    assert!(BUILT_IN.len() > 1800);
    assert!(BUILT_IN.iter().all(|name| *name == name.to_ascii_lowercase() && !name.is_empty()));
}

#[test]
fn no_name_is_both_harmless_and_touching() {
    for (name, _) in TOUCHING {
        assert!(BUILT_IN.binary_search(name).is_err(), "{name}");
    }
}

#[test]
fn session_touching_names_are_not_harmless() {
    let none = SafeFunctions::default();
    for name in [
        "set_config",
        "setseed",
        "lastval",
        "currval",
        "pg_advisory_lock",
        "pg_try_advisory_lock_shared",
        "lo_open",
        "lo_import",
        "lo_put",
        "lo_unlink",
        "loread",
        "query_to_xml",
        "query_to_xmlschema",
        "cursor_to_xml",
        "table_to_xml",
        "database_to_xml",
        "schema_to_xml_and_xmlschema",
        "ts_stat",
        "ts_rewrite",
        "pg_export_snapshot",
        "pg_terminate_backend",
        "pg_cancel_backend",
        "pg_reload_conf",
        "pg_stat_reset",
        "pg_replication_origin_session_setup",
        "pg_create_logical_replication_slot",
        "pg_logical_slot_get_changes",
        "pg_logical_emit_message",
        "pg_backup_start",
        "pg_switch_wal",
        "pg_import_system_collations",
        "dblink_connect",
        "my_function",
        "binary_upgrade_set_next_pg_type_oid",
        "pg_stat_clear_snapshot",
    ] {
        assert!(BUILT_IN.binary_search(&name).is_err(), "{name}");
        assert_ne!(effect_of(name, &none), Effect::Harmless, "{name}");
    }
}

#[test]
fn names_are_folded_unless_quoted() {
    let none = SafeFunctions::default();
    assert_eq!(effect_of("LOWER", &none), Effect::Harmless);
    assert_eq!(effect_of("\"lower\"", &none), Effect::Harmless);
    assert_eq!(effect_of("\"LOWER\"", &none), Effect::Unknown);
    assert_eq!(effect_of("pg_catalog.lower", &none), Effect::Harmless);
    assert_eq!(effect_of("\"PG_CATALOG\".lower", &none), Effect::Unknown);
    assert_eq!(effect_of("public.lower", &none), Effect::Unknown);
    assert_eq!(effect_of("U&\"lower\"", &none), Effect::Unknown);
    assert_eq!(effect_of("information_schema._pg_truetypid", &none), Effect::Harmless);
    assert_eq!(effect_of("information_schema.other", &none), Effect::Unknown);
    assert_eq!(effect_of("pg_catalog.pg_advisory_lock", &none), {
        Effect::Needs(SessionNeed::AdvisoryLock)
    });
}

#[test]
fn listed_functions_are_believed_as_written() {
    let safe = SafeFunctions::new(["Slugify", " app.Total ", "setseed", ""]);
    assert_eq!(effect_of("slugify", &safe), Effect::Listed);
    assert_eq!(effect_of("SLUGIFY", &safe), Effect::Listed);
    assert_eq!(effect_of("app.slugify", &safe), Effect::Unknown);
    assert_eq!(effect_of("app.total", &safe), Effect::Listed);
    assert_eq!(effect_of("\"app\".\"total\"", &safe), Effect::Listed);
    assert_eq!(effect_of("total", &safe), Effect::Unknown);
    assert_eq!(effect_of("\"app.total\"", &safe), Effect::Unknown);
    assert_eq!(effect_of("setseed", &safe), Effect::Listed);
    assert_eq!(effect_of("pg_stat_reset", &safe), Effect::Unknown);
    assert!(!safe.is_empty());
    assert!(SafeFunctions::new([" "]).is_empty());
}

#[test]
fn called_functions_are_told_by_name() {
    use crate::classify::{called_functions, classify};
    let safe = SafeFunctions::new(["listed"]);
    let names = |sql: &str| -> Vec<String> {
        let found = called_functions(sql, &safe, 9).unknown.into_iter();
        let full = |found: FunctionName| match found.schema {
            Some(schema) => format!("{schema}.{}", found.name),
            None => found.name.into(),
        };
        found.map(full).collect()
    };
    for (sql, expected) in [
        (
            "SELECT f(1), F(2), \"F\"(3), app.g(lower('x')), listed()",
            &["F", "f", "listed", "app.g"][..],
        ),
        ("SELECT 1 FROM h() WHERE EXISTS (SELECT i())", &["h", "i"]),
        ("SELECT count(*), now() FROM t", &[]),
    ] {
        assert_eq!(names(sql), expected, "{sql}");
        let class = classify(sql, &safe);
        assert_eq!(class.asks_catalogue, !expected.is_empty(), "{sql}");
        assert_eq!(class.read_only, expected.is_empty(), "{sql}");
    }
    // Whatever they are, this writes, or cannot be read.
    for sql in [
        "SELECT f() FOR UPDATE",
        "WITH w AS (DELETE FROM t RETURNING a) SELECT f(a) FROM w",
        "SELECT f() INTO t",
        "SELECT f(), nextval('s')",
        "SELECT f(), set_config('a', 'b', true)",
        "SELECT U&\"f\"()",
        "SELECT a.b.f()",
        "SELECT f(); SELECT f()",
        "INSERT INTO t SELECT f()",
        "CALL f()",
    ] {
        assert!(!classify(sql, &safe).asks_catalogue, "{sql}");
    }
    let called = called_functions("SELECT a(), lower('x'), c()", &safe, 9);
    assert_eq!((called.all.len(), called.unknown.len()), (3, 2));
    assert_eq!(called_functions("SELECT a(), b(), c()", &safe, 2).all.len(), 2, "bounded");
}
