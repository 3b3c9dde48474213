//! What is of use only to a caller that keeps its session or transaction, and what it leaves.

use super::super::*;
use super::classify_plain;

fn assert_needs(sql: &str, need: SessionNeed) {
    let found = classify_plain(sql);
    assert_eq!(found.needs_session, Some(need), "{sql}");
    assert!(!found.clean && !found.read_only, "{sql}");
}

#[test]
fn commands_that_need_a_session() {
    for (sql, need) in [
        ("LISTEN c", SessionNeed::Listen),
        ("/* x */ listen \"c\";", SessionNeed::Listen),
        ("UNLISTEN *", SessionNeed::Unlisten),
        ("PREPARE p AS SELECT 1", SessionNeed::Prepare),
        ("PREPARE p (int) AS SELECT $1", SessionNeed::Prepare),
        ("EXECUTE p(1)", SessionNeed::Execute),
        ("EXPLAIN EXECUTE p(1)", SessionNeed::Execute),
        ("EXPLAIN (ANALYZE, VERBOSE) EXECUTE p", SessionNeed::Execute),
        ("DEALLOCATE p", SessionNeed::Deallocate),
        ("DEALLOCATE ALL", SessionNeed::Deallocate),
        ("DISCARD ALL", SessionNeed::Discard),
        ("DISCARD TEMP", SessionNeed::Discard),
        ("LOAD 'auto_explain'", SessionNeed::Load),
        ("LOCK TABLE t IN EXCLUSIVE MODE", SessionNeed::Lock),
        ("DECLARE c CURSOR FOR SELECT 1", SessionNeed::Cursor),
        ("DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1", SessionNeed::Cursor),
        ("DECLARE c CURSOR FOR WITH hold AS (SELECT 1) SELECT 1", SessionNeed::Cursor),
        ("DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT 1", SessionNeed::HoldCursor),
        ("FETCH ALL FROM c", SessionNeed::Fetch),
        ("MOVE 5 IN c", SessionNeed::Move),
        ("CLOSE c", SessionNeed::Close),
    ] {
        assert_needs(sql, need);
    }
}

#[test]
fn settings() {
    for (sql, need) in [
        ("SET search_path TO app", SessionNeed::Set),
        ("SET SESSION statement_timeout = 0", SessionNeed::Set),
        ("SET TIME ZONE 'UTC'", SessionNeed::Set),
        ("set names 'utf8'", SessionNeed::Set),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", SessionNeed::Set),
        ("SET LOCAL lock_timeout = 1", SessionNeed::SetLocal),
        ("SET TRANSACTION READ ONLY", SessionNeed::SetTransaction),
        ("SET CONSTRAINTS ALL DEFERRED", SessionNeed::SetConstraints),
        ("SET ROLE admin", SessionNeed::SetRole),
        ("SET SESSION ROLE admin", SessionNeed::SetRole),
        ("SET SESSION AUTHORIZATION admin", SessionNeed::SetRole),
        ("RESET ALL", SessionNeed::Reset),
        ("SELECT set_config('a.b', $1, false)", SessionNeed::SetConfig),
        ("SELECT pg_catalog.set_config('search_path', '', FALSE)", SessionNeed::SetConfig),
        ("SELECT set_config('a.b', lower(', true'), is_local => false)", SessionNeed::SetConfig),
        ("SELECT a FROM (SELECT set_config('a.b', $1, false) AS a) AS b", SessionNeed::SetConfig),
    ] {
        assert_needs(sql, need);
    }
}

#[test]
fn temporary_objects() {
    for sql in [
        "CREATE TEMP TABLE t (id int)",
        "CREATE TEMPORARY TABLE t AS SELECT 1",
        "create local temp table t (id int)",
        "CREATE GLOBAL TEMPORARY TABLE t (id int)",
        "CREATE TEMP VIEW v AS SELECT 1",
        "CREATE OR REPLACE TEMP VIEW v AS SELECT 1",
        "CREATE TEMPORARY SEQUENCE s",
        "CREATE TABLE pg_temp.t (id int)",
        "CREATE FUNCTION \"pg_temp\".f() RETURNS int LANGUAGE sql AS 'select 1'",
        "EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1",
        "SELECT * INTO TEMP t2 FROM t",
        "SELECT * INTO TEMPORARY TABLE t2 FROM t",
        "SELECT * INTO LOCAL TEMP TABLE t2 FROM t",
        "SELECT * INTO pg_temp.t2 FROM t",
        "SELECT * INTO TABLE \"pg_temp\".t2 FROM t",
    ] {
        assert_needs(sql, SessionNeed::TempObject);
    }
    for sql in [
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = app, pg_temp AS 'select 1'",
        "CREATE TABLE temp (id int)",
        "SELECT * INTO temporary_copy FROM t",
    ] {
        assert_eq!(classify_plain(sql).needs_session, None, "{sql}");
    }
}

#[test]
fn functions_that_need_a_session() {
    for (sql, need) in [
        ("SELECT lastval()", SessionNeed::SequenceValue),
        ("SELECT LASTVAL ()", SessionNeed::SequenceValue),
        ("SELECT \"lastval\"()", SessionNeed::SequenceValue),
        ("SELECT currval('s')", SessionNeed::SequenceValue),
        ("SELECT pg_advisory_lock(1)", SessionNeed::AdvisoryLock),
        ("SELECT pg_try_advisory_lock_shared(1, 2)", SessionNeed::AdvisoryLock),
        ("SELECT pg_catalog.pg_advisory_unlock_all()", SessionNeed::AdvisoryUnlock),
        ("UPDATE t SET a = currval('s')", SessionNeed::SequenceValue),
        ("SELECT lo_open(1, 131072)", SessionNeed::LargeObject),
        ("SELECT loread(0, 100)", SessionNeed::LargeObject),
    ] {
        assert_needs(sql, need);
    }
    let shadowed = classify_plain("SELECT app.lastval()");
    assert_eq!(shadowed.needs_session, None);
    assert!(!shadowed.clean);
}

#[test]
fn transaction_control() {
    use TransactionControl as T;
    for (sql, control, need) in [
        ("BEGIN", T::Begin { read_only: false }, SessionNeed::Begin),
        ("begin isolation level serializable", T::Begin { read_only: false }, SessionNeed::Begin),
        ("begin read only read write", T::Begin { read_only: false }, SessionNeed::Begin),
        ("BEGIN READ ONLY; SELECT 1", T::Begin { read_only: true }, SessionNeed::Begin),
        (
            "begin isolation level serializable read only",
            T::Begin { read_only: false },
            SessionNeed::Begin,
        ),
        ("START TRANSACTION READ ONLY", T::Begin { read_only: true }, SessionNeed::Begin),
        ("COMMIT", T::Commit { chain: false }, SessionNeed::Commit),
        ("END TRANSACTION", T::Commit { chain: false }, SessionNeed::Commit),
        ("COMMIT WORK AND CHAIN", T::Commit { chain: true }, SessionNeed::Commit),
        ("COMMIT AND NO CHAIN", T::Commit { chain: false }, SessionNeed::Commit),
        ("ROLLBACK", T::Rollback { chain: false }, SessionNeed::Rollback),
        ("ABORT AND CHAIN", T::Rollback { chain: true }, SessionNeed::Rollback),
        ("SAVEPOINT a", T::Savepoint, SessionNeed::Savepoint),
        ("RELEASE SAVEPOINT a", T::Release, SessionNeed::Savepoint),
        ("ROLLBACK TO a", T::RollbackTo, SessionNeed::Savepoint),
        ("ROLLBACK WORK TO SAVEPOINT a", T::RollbackTo, SessionNeed::Savepoint),
        ("PREPARE TRANSACTION 'x'", T::PrepareTransaction, SessionNeed::PrepareTransaction),
    ] {
        assert_needs(sql, need);
        let found = classify_plain(sql);
        assert_eq!((found.kind, found.transaction), (StatementKind::Transaction, control), "{sql}");
        assert!(!found.taints, "{sql}");
    }
    assert_eq!(classify_plain("COMMIT PREPARED 'x'").transaction, T::CommitPrepared);
    assert_eq!(classify_plain("ROLLBACK PREPARED 'x'").transaction, T::RollbackPrepared);
}

#[test]
fn what_no_reset_puts_right() {
    for sql in [
        "PREPARE p AS SELECT 1",
        "DEALLOCATE ALL",
        "DEALLOCATE PREPARE p",
        "DISCARD ALL",
        "LOAD 'x'",
        "SELECT 1; LOAD 'x'",
    ] {
        assert!(classify_plain(sql).taints, "{sql}");
    }
    for sql in ["DISCARD TEMP", "EXECUTE p", "PREPARE TRANSACTION 'x'", "SELECT 'PREPARE p'"] {
        assert!(!classify_plain(sql).taints, "{sql}");
    }
}
