//! What must be reset: statements that are not clean, yet run on any connection.

use super::super::*;
use super::classify_plain;

fn assert_reset(sql: &str) {
    let found = classify_plain(sql);
    assert!(!found.clean, "clean: {sql}");
    assert!(!found.read_only, "read only: {sql}");
    assert_eq!(found.needs_session, None, "{sql}");
}

#[test]
fn functions_that_touch_the_session() {
    for sql in [
        "SELECT set_config('a.b', $1, $2)",
        "SELECT setseed(0.5)",
        "SELECT lo_import('/x')",
        "SELECT lo_from_bytea(0, $1)",
        "SELECT query_to_xml('select evil()', true, true, '')",
        "SELECT * FROM ts_stat('select evil()')",
        "SELECT ts_rewrite(q, 'select evil()') FROM t",
        "SELECT pg_export_snapshot()",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_stat_reset()",
        "SELECT pg_replication_origin_session_setup('x')",
        "SELECT dblink_connect('x')",
    ] {
        assert_reset(sql);
    }
}

#[test]
fn unknown_functions_wherever_a_call_can_stand() {
    for sql in [
        "SELECT evil()",
        "SELECT evil (1)",
        "SELECT evil/* c */(1)",
        "SELECT evil -- c\n (1)",
        "SELECT \"evil\"(1)",
        "SELECT public.evil(1)",
        "SELECT \"public\".\"evil\"(1)",
        "SELECT public.lower('a')",
        "SELECT a.b.lower('a')",
        "SELECT \"Lower\"('a')",
        "SELECT U&\"evil\"(1)",
        "SELECT U&\"!0065vil\" UESCAPE '!' (1)",
        "SELECT U&\"\\0065vil\"(1)",
        "SELECT \"values\"(1)",
        "SELECT функция(1)",
        "SELECT a, evil(1)",
        "SELECT a+evil(1)",
        "SELECT -evil(1)",
        "SELECT (evil(1))",
        "SELECT lower(evil(1))",
        "SELECT lower(a, (b, evil(1)))",
        "SELECT ARRAY[evil(1)]",
        "SELECT a[evil(1)] FROM t",
        "SELECT a[1:evil(1)] FROM t",
        "SELECT DISTINCT evil(1)",
        "SELECT DISTINCT ON (a) evil(1) FROM t",
        "SELECT DISTINCT ON (lower(a)) \"evil\"(1) FROM t",
        "SELECT a OPERATOR(pg_catalog.+) evil(1) FROM t",
        "SELECT 1 AS a, evil(1)",
        "SELECT * FROM evil(1)",
        "SELECT * FROM a, evil(1)",
        "SELECT * FROM a JOIN evil(1) ON true",
        "SELECT * FROM a, LATERAL evil(a.x)",
        "SELECT * FROM ROWS FROM (evil(1))",
        "SELECT * FROM a TABLESAMPLE evil(1)",
        "SELECT * FROM t WHERE evil(1)",
        "SELECT * FROM t WHERE NOT evil(1)",
        "SELECT * FROM t WHERE a IN (evil(1))",
        "SELECT * FROM t WHERE a LIKE evil(1)",
        "SELECT * FROM t WHERE a LIKE 'x' ESCAPE evil(1)",
        "SELECT * FROM t WHERE a BETWEEN 1 AND evil(1)",
        "SELECT * FROM t ORDER BY evil(1)",
        "SELECT * FROM t GROUP BY evil(1)",
        "SELECT * FROM t GROUP BY ROLLUP (evil(1))",
        "SELECT * FROM t LIMIT evil(1)",
        "SELECT * FROM t OFFSET 1 + evil(1)",
        "SELECT CASE WHEN a THEN evil(1) END FROM t",
        "SELECT COALESCE(a, evil(1)) FROM t",
        "SELECT count(*) FILTER (WHERE evil(1)) FROM t",
        "SELECT count(*) OVER (PARTITION BY evil(1)) FROM t",
        "SELECT sum(1) OVER w FROM t WINDOW w AS (ORDER BY evil(1))",
        "WITH a AS (SELECT evil(1)) SELECT * FROM a",
        "WITH a AS MATERIALIZED (SELECT evil(1)) SELECT * FROM a",
        "WITH a (x) AS (SELECT 1) SELECT x, evil(1) FROM a",
        "WITH a AS (SELECT 1), b AS (SELECT 2) SELECT 1, evil(1)",
        "WITH a AS (SELECT 1) (SELECT 2) ORDER BY 1, evil(1)",
        "WITH a AS (SELECT 1) VALUES (1), (evil(1))",
        "INSERT INTO t VALUES (1, evil(1))",
        "INSERT INTO t (a) SELECT evil(1)",
        "INSERT INTO t (a[evil(1)]) VALUES (1)",
        "INSERT INTO t WITH a AS (SELECT 1) SELECT 1, evil(1)",
        "INSERT INTO t VALUES (1) ON CONFLICT (evil(a)) DO NOTHING",
        "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = evil(1)",
        "INSERT INTO t VALUES (1) RETURNING evil(a)",
        "INSERT INTO t VALUES (1) RETURNING WITH (OLD AS o, NEW AS n) evil(o.a)",
        "UPDATE t SET a = evil(1)",
        "UPDATE t SET (a, b) = (1, evil(1))",
        "DELETE FROM t USING evil(1) AS e WHERE t.id = e.id",
        "MERGE INTO t USING evil(1) AS e ON true WHEN MATCHED THEN DELETE",
        "SELECT XMLELEMENT(NAME a, XMLATTRIBUTES(evil(1) AS b))",
        "SELECT * FROM XMLTABLE('/a' PASSING evil(1) COLUMNS a int PATH 'b' DEFAULT evil(2))",
        "SELECT JSON_OBJECT('a' VALUE evil(1))",
        "SELECT a IS JSON WITH UNIQUE AS b, evil(1)",
        "SELECT rollup(1)",
        "SELECT filter(1)",
        "SELECT over(1)",
        "SELECT a, set(1)",
        "EXPLAIN SELECT evil(1)",
        "EXPLAIN (ANALYZE) SELECT evil(1)",
    ] {
        assert_reset(sql);
    }
}

#[test]
fn tables_made_by_select() {
    for sql in [
        "SELECT * INTO t2 FROM t",
        "select 1 into unlogged t2",
        "WITH a AS (SELECT 1) SELECT * INTO TABLE t2 FROM a",
    ] {
        assert_reset(sql);
        let found = classify_plain(sql);
        assert_eq!(found.kind, StatementKind::SelectInto, "{sql}");
        assert!(!found.cacheable, "{sql}");
    }
}

#[test]
fn what_is_not_a_query() {
    for (sql, kind) in [
        ("CREATE TABLE t (id int)", StatementKind::Create),
        ("ALTER TABLE t ADD COLUMN a int", StatementKind::Alter),
        ("DROP TABLE t", StatementKind::Drop),
        ("TRUNCATE t", StatementKind::Truncate),
        ("COPY t TO STDOUT", StatementKind::Copy),
        ("CALL p(1)", StatementKind::Call),
        ("DO $$ BEGIN PERFORM set_config('a.b', 'c', false); END $$", StatementKind::Do),
        ("NOTIFY c, 'x'", StatementKind::Notify),
        ("VACUUM ANALYZE t", StatementKind::Other),
        ("REFRESH MATERIALIZED VIEW v", StatementKind::Other),
        ("\"select\" 1", StatementKind::Other),
        ("gibberish", StatementKind::Other),
        ("1", StatementKind::Other),
        ("START something", StatementKind::Other),
        ("EXPLAIN CREATE TABLE a AS SELECT 1", StatementKind::Explain),
        ("COMMIT PREPARED 'x'", StatementKind::Transaction),
    ] {
        assert_reset(sql);
        assert_eq!(classify_plain(sql).kind, kind, "{sql}");
        assert!(!classify_plain(sql).cacheable, "{sql}");
    }
}

#[test]
fn what_cannot_be_read_to_its_end() {
    for sql in [
        "SELECT 'x",
        "SELECT \"x",
        "SELECT /* x",
        "SELECT $a$ x $b$",
        "SELECT E'\\'",
        "SELECT (1",
        "SELECT 1)",
        "SELECT [",
        "SELECT 1 \\ 2",
        "SELECT 1 \0",
        "SELECT {x}",
        "(",
        "WITH",
        "WITH a AS (SELECT 1)",
        "SHOW 'x",
    ] {
        assert_reset(sql);
    }
}

#[test]
fn what_lies_too_deep_is_reset() {
    let nested = |depth: usize| format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(classify_plain(&nested(100)).clean);
    assert_reset(&nested(10_000));
}

#[test]
fn several_statements_are_reset() {
    let found = classify_plain("SELECT 1; SELECT 2");
    assert_eq!((found.statements, found.kind), (2, StatementKind::Select));
    assert!(!found.clean && !found.read_only && !found.cacheable);
    assert_eq!(found.expected_tag, None);
}
