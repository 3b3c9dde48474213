//! How a text is cut into statements and what the whole text says of its parts.

use super::super::*;
use super::classify_plain;

#[test]
fn statements_are_counted_at_top_level_semicolons() {
    for (sql, count) in [
        ("SELECT 1", 1),
        ("SELECT 1;", 1),
        (";;SELECT 1;; ;", 1),
        ("SELECT 1; SELECT 2", 2),
        ("SELECT ';'; SELECT $a$;$a$; SELECT \";\" -- ;\n; /* ; */", 3),
        ("CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b); SELECT 1", 2),
        ("SELECT U&';'; SELECT E'\\';'", 2),
        ("BEGIN; UPDATE t SET a = 1; COMMIT", 3),
    ] {
        assert_eq!(classify_plain(sql).statements, count, "{sql}");
    }
}

#[test]
fn begin_atomic_bodies_are_not_cut() {
    for (sql, count) in [
        (
            "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3",
            2,
        ),
        (
            "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC INSERT INTO t VALUES (CASE WHEN true THEN 1 END); DELETE FROM t; END",
            1,
        ),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 AS end; SELECT 2 AS case; END; SELECT 1",
            2,
        ),
        ("CREATE FUNCTION f() RETURNS int AS 'begin; end' LANGUAGE sql; SELECT 1", 2),
        ("CREATE TABLE begin (atomic int); SELECT 1", 2),
        ("BEGIN; CREATE TABLE atomic (a int); END", 3),
    ] {
        assert_eq!(classify_plain(sql).statements, count, "{sql}");
    }
}

#[test]
fn the_text_tells_what_any_statement_does() {
    let found = classify_plain("SELECT 1; BEGIN; LISTEN c; COMMIT");
    assert_eq!(found.kind, StatementKind::Select);
    assert_eq!(found.transaction, TransactionControl::Begin { read_only: false });
    assert_eq!(found.needs_session, Some(SessionNeed::Listen));
    assert!(!found.clean && !found.taints);
}

#[test]
fn kinds_follow_the_verb() {
    for (sql, kind) in [
        ("select 1", StatementKind::Select),
        ("((select 1))", StatementKind::Select),
        ("(values (1))", StatementKind::Select),
        ("values (1)", StatementKind::Values),
        ("table t", StatementKind::Table),
        ("with a as (delete from t returning *) insert into b select * from a", {
            StatementKind::Insert
        }),
        ("with a as (with b as (select 1) select * from b) update t set x = 1", {
            StatementKind::Update
        }),
        ("with insert as (select 1), update(a) as (select 2) delete from t", StatementKind::Delete),
        ("with a as (select 1) (select 2)", StatementKind::Select),
        ("(with a as (select 1) table a)", StatementKind::Select),
        ("explain analyze insert into t values (1)", StatementKind::Explain),
    ] {
        assert_eq!(classify_plain(sql).kind, kind, "{sql}");
    }
}

#[test]
fn explain_reads_what_it_explains() {
    let needs = classify_plain("EXPLAIN SELECT lastval()");
    assert_eq!(needs.needs_session, Some(SessionNeed::SequenceValue));
    let reads = classify_plain("EXPLAIN (COSTS off) WITH a AS (SELECT 1) SELECT * FROM a");
    assert!(reads.clean && reads.read_only && !reads.cacheable);
    assert!(!classify_plain("EXPLAIN (COSTS off").clean);
}
