//! Values of every type, against the server's own output: read in both protocols, both codecs
//! and both styles, and sent back as parameters.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod samples;

use pool_manager::config::BackendConfig;
use pool_manager::values::{Arg, Columns, Row, RowShape, RowStyle, ValueStyle};
use pool_manager::{DatabasePool, ResultSink, SinkError, Statement};
use samples::{BUILTIN, CUSTOM, Class, SETUP, Sample, WITHOUT_INPUT};
use std::sync::Arc;
use test_support::{TestCluster, TestDatabase};
use tokio_postgres::{Client, SimpleQueryMessage};

/// Random values per type; the first is NULL.
const VALUES: i32 = 25;

/// A result in one style, each value as the codecs' clients read it.
#[derive(Default)]
struct Results {
    json_native: Vec<Arg>,
    json_text: Vec<Arg>,
    msgpack_native: Vec<Arg>,
    msgpack_text: Vec<Arg>,
    display: Vec<Option<String>>,
}

impl ResultSink for Results {
    fn begin(&mut self, _: &Arc<Columns>) -> Result<(), SinkError> {
        Ok(())
    }

    fn row(&mut self, columns: &Columns, body: &[u8]) -> Result<(), SinkError> {
        let row = Row::new(columns, body)?;
        let styled = |values| row.styled(RowStyle { shape: RowShape::List, values });
        self.json_native.push(through_json(&styled(ValueStyle::Native)));
        self.json_text.push(through_json(&styled(ValueStyle::Text)));
        self.msgpack_native.push(through_msgpack(&styled(ValueStyle::Native)));
        self.msgpack_text.push(through_msgpack(&styled(ValueStyle::Text)));
        self.display.push(row.display(0));
        Ok(())
    }
}

fn through_json(row: &Row<'_>) -> Arg {
    only(serde_json::from_str(&serde_json::to_string(row).unwrap()).unwrap())
}

fn through_msgpack(row: &Row<'_>) -> Arg {
    only(rmp_serde::from_slice(&rmp_serde::to_vec(row).unwrap()).unwrap())
}

fn only(row: Arg) -> Arg {
    match row {
        Arg::List(mut values) if values.len() == 1 => values.remove(0),
        other => panic!("{other:?}"),
    }
}

struct Bench {
    pool: DatabasePool,
    client: Client,
    _database: TestDatabase,
}

impl Bench {
    async fn new() -> Self {
        let database = TestCluster::shared().await.database().await;
        let admin = database.admin().await;
        admin.batch_execute(SETUP).await.unwrap();
        let mut config = BackendConfig::from_dsn(database.dsn());
        config.pool.max_connections = 2;
        let pool = DatabasePool::new("primary", &config).unwrap();
        Self { pool, client: admin, _database: database }
    }

    /// What the server prints, by another client and without our decoding.
    async fn printed(&self, sql: &str) -> Vec<Option<String>> {
        let messages = self.client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        });
        rows.collect()
    }

    async fn read(&self, sql: &str, args: &[Arg], simple: bool) -> Results {
        let mut results = Results::default();
        let mut statement = Statement::new(sql, args);
        statement.simple = simple;
        let done = self.pool.execute(&statement, &mut results).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
        results
    }

    /// Makes a table of random values and checks them one by one and as arrays.
    async fn check(&self, table: &str, (ty, class, expression): Sample) {
        let create = format!(
            "CREATE TABLE {table} AS SELECT i, (CASE WHEN i > 1 THEN ({expression})::text END)::{ty} AS v \
             FROM generate_series(1, {VALUES}) AS i; GRANT SELECT ON {table} TO PUBLIC"
        );
        self.client.batch_execute(&create).await.unwrap_or_else(|e| panic!("{ty}: {e:?}"));
        let select = format!("SELECT v FROM {table} ORDER BY i");
        let printed = self.printed(&select).await;
        let element = printed.iter().filter(|value| value.is_some()).count();
        assert_eq!(element, VALUES as usize - 1, "{ty}");

        for simple in [false, true] {
            let read = self.read(&select, &[], simple).await;
            assert_eq!(read.display, printed, "{ty}");
            let expect = |codec| {
                let native = move |v: &Option<String>| native(class, v.as_deref(), codec);
                printed.iter().map(native).collect::<Vec<_>>()
            };
            same(ty, "JSON", &read.json_native, &expect(Codec::Json));
            same(ty, "MessagePack", &read.msgpack_native, &expect(Codec::Msgpack));
            let text: Vec<_> = printed.iter().map(|v| text(class, v.as_deref())).collect();
            same(ty, "JSON text", &read.json_text, &text);
            same(ty, "MessagePack text", &read.msgpack_text, &text);
        }
        self.check_arrays(table, ty, class, &printed).await;
        self.check_parameters(ty, class, &printed).await;
    }

    async fn check_arrays(&self, table: &str, ty: &str, class: Class, printed: &[Option<String>]) {
        let list = format!("ARRAY(SELECT v FROM {table} ORDER BY i)");
        let line = |codec| {
            let values = printed.iter().map(|v| native(class, v.as_deref(), codec));
            Arg::List(values.collect())
        };
        // An element that is an array itself cannot tell a further dimension from a value.
        let dimensions = if class == Class::IntegerList { 1 } else { 2 };
        for dimension in 1..=dimensions {
            let expect = |codec| match dimension {
                1 => line(codec),
                _ => Arg::List(vec![line(codec), line(codec)]),
            };
            let sql = match dimension {
                1 => format!("SELECT {list}"),
                _ => format!("SELECT ARRAY[{list}, {list}]"),
            };
            let as_printed = self.printed(&sql).await;
            for simple in [false, true] {
                let read = self.read(&sql, &[], simple).await;
                assert_eq!(read.display, as_printed, "{ty}[]");
                same(ty, "JSON array", &read.json_native, &[expect(Codec::Json)]);
                same(ty, "MessagePack array", &read.msgpack_native, &[expect(Codec::Msgpack)]);
                let text = as_printed.clone().map_text();
                same(ty, "JSON array text", &read.json_text, &text);
                same(ty, "MessagePack array text", &read.msgpack_text, &text);
            }
            // A list inside a parameter of type json[] is an element.
            if class == Class::Json && dimension > 1 {
                continue;
            }
            let echo = format!("SELECT $1::{}[]", base_name(ty));
            let mut args = vec![texts(printed, dimension)];
            // Documents change their white space on the way.
            if ty != "json" {
                args.extend([expect(Codec::Json), expect(Codec::Msgpack)]);
            }
            for arg in args {
                let read = self.read(&echo, &[arg], false).await;
                assert_eq!(read.display, as_printed, "{ty}[] as a parameter");
            }
        }
    }

    /// What was printed, and what we made of it, must come back the same.
    async fn check_parameters(&self, ty: &str, class: Class, printed: &[Option<String>]) {
        let echo = format!("SELECT $1::{ty}");
        for value in printed {
            let text = value.as_deref();
            let mut args = vec![Arg::from(text)];
            if ty != "json" {
                args.push(native(class, text, Codec::Json));
                args.push(native(class, text, Codec::Msgpack));
            }
            for arg in args {
                let read = self.read(&echo, &[arg], false).await;
                assert_eq!(read.display, std::slice::from_ref(value), "{ty} as a parameter");
            }
        }
    }
}

trait MapText {
    fn map_text(self) -> Vec<Arg>;
}

impl MapText for Vec<Option<String>> {
    fn map_text(self) -> Vec<Arg> {
        self.into_iter().map(Arg::from).collect()
    }
}

/// The type without its modifier: an element of `bpchar[]` is not cut again.
fn base_name(ty: &str) -> &str {
    match ty {
        "char(9)" => "bpchar",
        "bit(5)" => "bit(5)",
        _ => ty.split('(').next().unwrap(),
    }
}

fn texts(printed: &[Option<String>], dimension: usize) -> Arg {
    let line = || Arg::List(printed.iter().map(|v| Arg::from(v.as_deref())).collect());
    if dimension == 1 { line() } else { Arg::List(vec![line(), line()]) }
}

#[derive(Clone, Copy)]
enum Codec {
    Json,
    Msgpack,
}

/// What the native style owes for a printed value, found without any code of the crate's.
fn native(class: Class, printed: Option<&str>, codec: Codec) -> Arg {
    let Some(text) = printed else { return Arg::Null };
    match (class, codec) {
        (Class::Json, _) => serde_json::from_str(text).unwrap(),
        (Class::IntegerList, _) => {
            serde_json::from_str(&text.replace('{', "[").replace('}', "]")).unwrap()
        }
        (Class::Bytea, Codec::Msgpack) => {
            let digits = text.strip_prefix("\\x").unwrap().as_bytes().chunks(2);
            let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            Arg::Binary(digits.map(byte).collect())
        }
        _ => self::text(class, printed),
    }
}

/// What the text style owes for a printed value.
fn text(class: Class, printed: Option<&str>) -> Arg {
    let Some(text) = printed else { return Arg::Null };
    match class {
        Class::Bool => Arg::Bool(text == "t"),
        Class::Integer => Arg::Int(text.parse().unwrap()),
        Class::Float if !text.contains('N') && !text.contains('I') => {
            Arg::Float(text.parse().unwrap())
        }
        _ => Arg::Text(text.to_owned()),
    }
}

/// Compares readably: `Debug` of an argument hides its value.
#[track_caller]
fn same(ty: &str, what: &str, read: &[Arg], expected: &[Arg]) {
    assert_eq!(show(read), show(expected), "{ty}: {what}");
    assert!(read == expected, "{ty}: {what}");
}

fn show(args: &[Arg]) -> Vec<String> {
    args.iter()
        .map(|arg| match arg {
            Arg::Text(text) => format!("{text:?}"),
            Arg::Int(n) => n.to_string(),
            Arg::Float(x) => format!("{x:?}"),
            Arg::Bool(v) => v.to_string(),
            Arg::Binary(bytes) => format!("{bytes:?}"),
            Arg::List(items) => format!("{:?}", show(items)),
            Arg::Map(entries) => {
                let entry = |(k, v): &(String, Arg)| (k.clone(), show(std::slice::from_ref(v)));
                format!("{:?}", entries.iter().map(entry).collect::<Vec<_>>())
            }
            other => format!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn builtin_types_agree_with_the_server() {
    let bench = Bench::new().await;
    for (index, sample) in BUILTIN.iter().enumerate() {
        bench.check(&format!("sample_{index}"), *sample).await;
    }
}

#[tokio::test]
async fn custom_and_extension_types_agree_with_the_server() {
    let bench = Bench::new().await;
    for (index, sample) in CUSTOM.iter().enumerate() {
        bench.check(&format!("sample_{index}"), *sample).await;
    }
}

#[tokio::test]
async fn no_builtin_type_is_left_out() {
    let bench = Bench::new().await;
    let all = bench
        .printed(
            "SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace \
             AND typtype IN ('b', 'r', 'm') AND typname !~ '^_'",
        )
        .await;
    for name in all.iter().flatten() {
        let known = BUILTIN.iter().any(|(ty, ..)| {
            matches!((base_name(ty), name.as_str()), ("\"char\"", "char") | ("bit(5)", "bit"))
                || base_name(ty) == name
        });
        assert!(known || WITHOUT_INPUT.contains(&name.as_str()), "{name} has no sample");
    }
}

#[tokio::test]
async fn php_values_reach_text_and_integers_as_defined() {
    let bench = Bench::new().await;
    for (arg, ty, expected) in [
        (Arg::Bool(true), "text", "true"),
        (Arg::Bool(false), "text", "false"),
        (Arg::Int(-7), "text", "-7"),
        (Arg::Float(1.0), "text", "1"),
        (Arg::Float(0.1), "text", "0.1"),
        (Arg::Float(1e15), "text", "1e+15"),
        (Arg::Bool(true), "int4", "1"),
        (Arg::Bool(false), "int8", "0"),
        (Arg::Float(3.0), "int4", "3"),
        (Arg::Float(1e18), "int8", "1000000000000000000"),
        (Arg::Text("12".to_owned()), "int2", "12"),
        (Arg::Bool(true), "numeric", "1"),
        (Arg::Int(1), "bool", "t"),
        (Arg::Int(0), "bool", "f"),
        (Arg::UInt(u64::MAX), "numeric", "18446744073709551615"),
        (Arg::Bool(true), "bit", "1"),
        (Arg::Bool(true), "citext", "true"),
        (Arg::Bool(true), "posint", "1"),
        (Arg::Binary(b"a\\b\0\xff".to_vec()), "bytea", "\\x615c6200ff"),
    ] {
        let read = bench.read(&format!("SELECT $1::{ty}"), &[arg], false).await;
        assert_eq!(read.display, [Some(expected.to_owned())], "{ty}");
    }
}

/// A float prints as PostgreSQL casts it to text, so that text columns agree whoever wrote them.
#[tokio::test]
async fn floats_as_text_are_the_servers_own_text() {
    let bench = Bench::new().await;
    let sql = "SELECT $1::text = $2::float8::text";
    let mut x = 1.234_567_890_123_456_7e-30f64;
    while x < 1e30 {
        for x in [x, -x, x.round(), x.trunc() + 0.5] {
            let read = bench.read(sql, &[Arg::Float(x), Arg::Float(x)], false).await;
            assert_eq!(read.display, [Some("t".to_owned())], "{x}");
        }
        x *= 7.3;
    }
}

#[tokio::test]
async fn results_without_a_type_of_their_own_are_printed() {
    let bench = Bench::new().await;
    for sql in [
        "SELECT ROW(1, 'a b', NULL)",
        "SELECT 'unknown'",
        "SELECT pg_sleep(0)",
        "SELECT ARRAY[ROW(1, 'x'), ROW(2, NULL)]",
        "SELECT '[0:1][-1:0]={{1,2},{3,4}}'::int[]",
        "SELECT t FROM (SELECT 1 AS a, 'b' AS b) AS t",
    ] {
        let printed = bench.printed(sql).await;
        for simple in [false, true] {
            let read = bench.read(sql, &[], simple).await;
            assert_eq!(read.display, printed, "{sql}");
            same(sql, "text", &read.json_text, &printed.clone().map_text());
        }
    }
    let bounds = bench.read("SELECT '[0:1]={1,2}'::int[]", &[], false).await;
    same("bounds", "JSON", &bounds.json_native, &[Arg::List(vec![Arg::Int(1), Arg::Int(2)])]);
}
