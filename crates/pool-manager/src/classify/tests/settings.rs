//! Settings that texts touch, and statements that they deallocate.

use super::super::*;
use super::classify_plain;

fn touched(sql: &str) -> (Vec<String>, bool) {
    let found = touched_settings(sql);
    (found.names, found.resets)
}

#[test]
fn every_form_of_set_names_its_parameter() {
    for (sql, name) in [
        ("SET search_path TO a, b", "search_path"),
        ("set session Work_Mem = '64MB';", "work_mem"),
        ("SET app.User_Id = 7", "app.user_id"),
        ("SET \"TimeZone\" TO 'UTC'", "timezone"),
        ("SET TIME ZONE 'Europe/Berlin'", "timezone"),
        ("SET SESSION TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE", "timezone"),
        ("SET NAMES 'utf8'", "client_encoding"),
        ("SET SCHEMA 'a'", "search_path"),
        ("SET ROLE reader", "role"),
        ("SET SESSION ROLE reader", "role"),
        ("SET SESSION AUTHORIZATION reader", "session_authorization"),
        ("SET XML OPTION DOCUMENT", "xmloption"),
    ] {
        assert_eq!(touched(sql), (vec![name.to_owned()], false), "{sql}");
        let class = classify_plain(sql);
        assert_eq!((class.settings, class.neutral), (SettingsEffect::Named, true), "{sql}");
    }
}

#[test]
fn putting_back_to_the_default_is_told() {
    for (sql, name) in [
        ("RESET search_path", "search_path"),
        ("RESET TIME ZONE", "timezone"),
        ("RESET ROLE", "role"),
        ("RESET SESSION AUTHORIZATION", "session_authorization"),
        ("SET work_mem TO DEFAULT", "work_mem"),
        ("SET work_mem = DEFAULT", "work_mem"),
        ("SET TIME ZONE LOCAL", "timezone"),
    ] {
        assert_eq!(touched(sql), (vec![name.to_owned()], true), "{sql}");
        assert_eq!(classify_plain(sql).settings, SettingsEffect::Named, "{sql}");
    }
    // No role at all is a value, which is not the default of who has come with a role.
    assert_eq!(touched("SET ROLE NONE"), (vec!["role".to_owned()], false));
}

#[test]
fn several_statements_and_several_parameters() {
    let sql =
        "SET a TO ';'; SELECT 'SET b TO 1'; RESET c; SET LOCAL d TO 1; SET TRANSACTION READ ONLY";
    assert_eq!(touched(sql), (vec!["a".to_owned(), "c".to_owned()], true));
    let (names, _) = touched("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY");
    assert_eq!(names.len(), 3);
    assert!(names.contains(&"default_transaction_read_only".to_owned()));
}

#[test]
fn what_lasts_for_the_transaction_touches_nothing() {
    for sql in [
        "SET LOCAL work_mem TO '1GB'",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET CONSTRAINTS ALL DEFERRED",
        "SELECT set_config('a.b', $1, true)",
        "SELECT 1",
        "BEGIN; COMMIT",
    ] {
        let class = classify_plain(sql);
        assert_eq!((class.settings, class.neutral), (SettingsEffect::None, true), "{sql}");
        let (names, resets) = touched(sql);
        assert!(names.iter().all(|name| name == "a.b") && !resets, "{sql}");
    }
}

#[test]
fn what_may_touch_any_setting_is_told() {
    for sql in [
        "SELECT set_config('a.b', $1, false)",
        "SELECT set_config('a.b', $1, $2)",
        "SELECT 1; SELECT set_config($1, $2, false)",
        "RESET ALL",
        "DISCARD ALL",
    ] {
        assert_eq!(classify_plain(sql).settings, SettingsEffect::Any, "{sql}");
    }
}

#[test]
fn deallocate_names_its_statement() {
    let name = |text: &str| Some(Deallocated::Name(text.to_owned()));
    for (sql, found) in [
        ("DEALLOCATE pdo_stmt_00000001", name("pdo_stmt_00000001")),
        ("deallocate prepare Foo;", name("foo")),
        (" /* x */ DEALLOCATE \"Foo\"\"s\"", name("Foo\"s")),
        ("DEALLOCATE ALL", Some(Deallocated::All)),
        ("DEALLOCATE PREPARE ALL", Some(Deallocated::All)),
        ("DEALLOCATE \"all\"", name("all")),
        ("DEALLOCATE", None),
        ("DEALLOCATE a, b", None),
        ("DEALLOCATE a; SELECT 1", None),
        ("SELECT 1", None),
    ] {
        assert_eq!(deallocated(sql), found, "{sql}");
    }
}

#[test]
fn settings_of_an_applications_own_are_found_in_set_config() {
    for sql in [
        "SELECT set_config('app.User_Id', '42', false)",
        "select pg_catalog . \"set_config\" ( E'app.user_id', $1, $2)",
        "SELECT set_config(is_local => false, new_value => 'x', setting_name => 'app.user_id')",
        "SELECT 1; SELECT set_config('app.user_id', null, false), 'a b.c'",
    ] {
        assert_eq!(touched(sql), (vec!["app.user_id".to_owned()], false), "{sql}");
    }
    for sql in ["SELECT 'app.user_id'", "SELECT set_config('work_mem', '1MB', false)"] {
        assert_eq!(touched(sql), (vec![], false), "{sql}");
    }
}
