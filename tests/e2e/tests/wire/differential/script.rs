//! What a random client sends: every message of the protocol, legal or not, in any order.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use test_support::wire::message;

use super::texts::{CALLS, DEALLOCATE, LASTING, PARAMETERS, PORTALS, PREPARED, STATEMENTS, TEXTS};

/// One thing that a client sends.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Step {
    Query(String),
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind {
        portal: String,
        statement: String,
        parameters: Vec<Option<String>>,
    },
    Describe {
        kind: u8,
        name: String,
    },
    Execute {
        portal: String,
        limit: i32,
    },
    Close {
        kind: u8,
        name: String,
    },
    Sync,
    Flush,
    CopyData(String),
    CopyDone,
    CopyFail,
    FunctionCall {
        oid: u32,
        arguments: Vec<String>,
    },
    Terminate,
    /// A message whose body may be anything.
    Raw {
        tag: u8,
        body: Vec<u8>,
    },
    /// A length that its bytes do not have.
    Length {
        tag: u8,
        len: u32,
    },
}

impl Step {
    /// Whether the server closes the connection without a word.
    pub(super) fn leaves(&self) -> bool {
        matches!(self, Self::Terminate | Self::Length { .. })
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Query(sql) => message::query(sql),
            Self::Parse { name, sql, types } => message::parse_typed(name, sql, types),
            Self::Bind { portal, statement, parameters } => {
                let parameters: Vec<_> = parameters.iter().map(Option::as_deref).collect();
                message::bind(portal, statement, &parameters)
            }
            Self::Describe { kind: b'S', name } => message::describe_statement(name),
            Self::Describe { name, .. } => message::describe_portal(name),
            Self::Execute { portal, limit } => message::execute(portal, *limit),
            Self::Close { kind: b'S', name } => message::close_statement(name),
            Self::Close { name, .. } => message::close_portal(name),
            Self::Sync => message::sync(),
            Self::Flush => message::flush(),
            Self::CopyData(data) => message::copy_data(data.as_bytes()),
            Self::CopyDone => message::copy_done(),
            Self::CopyFail => message::copy_fail("no more"),
            Self::FunctionCall { oid, arguments } => {
                let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
                message::function_call(*oid, &arguments)
            }
            Self::Terminate => message::terminate(),
            Self::Raw { tag, body } => message::message(*tag, body),
            Self::Length { tag, len } => [&[*tag][..], &len.to_be_bytes()].concat(),
        }
    }
}

/// As one would write it down.
impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Query(sql) => write!(f, "Query {sql:?}"),
            Self::Parse { name, sql, types } => write!(f, "Parse {name:?} {sql:?} {types:?}"),
            Self::Bind { portal, statement, parameters } => {
                write!(f, "Bind {portal:?} of {statement:?} {parameters:?}")
            }
            Self::Describe { kind, name } => write!(f, "Describe {} {name:?}", char::from(*kind)),
            Self::Execute { portal, limit } => write!(f, "Execute {portal:?} {limit}"),
            Self::Close { kind, name } => write!(f, "Close {} {name:?}", char::from(*kind)),
            Self::CopyData(data) => write!(f, "CopyData {data:?}"),
            Self::FunctionCall { oid, arguments } => write!(f, "FunctionCall {oid} {arguments:?}"),
            Self::Raw { tag, body } => write!(f, "Raw {} {body:?}", char::from(*tag)),
            Self::Length { tag, len } => write!(f, "Length {} {len}", char::from(*tag)),
            Self::Sync => f.write_str("Sync"),
            Self::Flush => f.write_str("Flush"),
            Self::CopyDone => f.write_str("CopyDone"),
            Self::CopyFail => f.write_str("CopyFail"),
            Self::Terminate => f.write_str("Terminate"),
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    select(TEXTS).prop_map(str::to_owned)
}

fn kind() -> impl Strategy<Value = u8> {
    select(&[b'S', b'P'][..])
}

fn name(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(of).prop_map(str::to_owned)
}

fn query() -> impl Strategy<Value = Step> {
    prop_oneof![12 => text(), 1 => name(DEALLOCATE)].prop_map(Step::Query)
}

/// DEALLOCATE as drivers send it that prepare everything.
fn deallocate() -> impl Strategy<Value = Vec<Step>> {
    name(DEALLOCATE).prop_map(|sql| {
        let empty = String::new;
        vec![
            Step::Parse { name: empty(), sql, types: vec![] },
            Step::Bind { portal: empty(), statement: empty(), parameters: vec![] },
            Step::Execute { portal: empty(), limit: 0 },
            Step::Sync,
            // Nothing runs it again, when the name may stand for something else.
            Step::Query(empty()),
        ]
    })
}

fn parse() -> impl Strategy<Value = Step> {
    let sql = prop_oneof![3 => name(PREPARED), 2 => text()];
    let types = prop_oneof![6 => Just(vec![]), 1 => Just(vec![23]), 1 => Just(vec![25, 25])];
    (name(STATEMENTS), sql, types).prop_map(|(name, sql, types)| Step::Parse { name, sql, types })
}

fn bind() -> impl Strategy<Value = Step> {
    let parameters = vec(select(PARAMETERS).prop_map(|text| text.map(str::to_owned)), 0..3);
    (name(PORTALS), name(STATEMENTS), parameters)
        .prop_map(|(portal, statement, parameters)| Step::Bind { portal, statement, parameters })
}

fn describe() -> impl Strategy<Value = Step> {
    prop_oneof![
        name(STATEMENTS).prop_map(|name| Step::Describe { kind: b'S', name }),
        name(PORTALS).prop_map(|name| Step::Describe { kind: b'P', name }),
    ]
}

fn execute() -> impl Strategy<Value = Step> {
    (name(PORTALS), prop_oneof![3 => Just(0), 1 => 1..4, 1 => Just(-1)])
        .prop_map(|(portal, limit)| Step::Execute { portal, limit })
}

fn close() -> impl Strategy<Value = Step> {
    (kind(), name(STATEMENTS)).prop_map(|(kind, name)| Step::Close { kind, name })
}

fn copy() -> impl Strategy<Value = Step> {
    let data = select(&["20\ttwenty\n", "21\t", "bad", "\\.\n", ""][..]);
    prop_oneof![
        4 => data.prop_map(|data| Step::CopyData(data.to_owned())),
        2 => Just(Step::CopyDone),
        1 => Just(Step::CopyFail),
    ]
}

fn function_call() -> impl Strategy<Value = Step> {
    select(CALLS).prop_map(|(oid, arguments)| Step::FunctionCall {
        oid,
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
    })
}

/// Messages whose bodies are not what they should be. Not FunctionCall: some functions are not made
/// to be called with anything, and take the server down.
fn raw() -> impl Strategy<Value = Step> {
    let tag = select(&b"QPBDECSHdcf"[..]);
    (tag, vec(prop_oneof![Just(0), Just(b'S'), Just(b'P'), Just(1), any::<u8>()], 0..12)).prop_map(
        |(tag, body)| {
            // With a body: see the differences.
            let body = if b"HS".contains(&tag) { vec![] } else { body };
            Step::Raw { tag, body }
        },
    )
}

/// Breaches of the protocol after which no server goes on.
fn fatal() -> impl Strategy<Value = Step> {
    prop_oneof![
        select(&b"!pzR\0"[..]).prop_map(|tag| Step::Raw { tag, body: vec![] }),
        (select(&b"QSE"[..]), select(&[0, 3, u32::MAX][..]))
            .prop_map(|(tag, len)| Step::Length { tag, len }),
        Just(Step::Terminate),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => query(),
        6 => parse(),
        6 => bind(),
        4 => describe(),
        6 => execute(),
        3 => close(),
        6 => Just(Step::Sync),
        2 => Just(Step::Flush),
        3 => copy(),
        2 => function_call(),
        2 => raw(),
        1 => fatal(),
    ]
}

/// Parse, Bind, Describe, Execute, Sync, as drivers send them.
fn batch() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => parse(), 3 => bind(), 2 => describe(), 3 => execute(), 1 => close(), 1 => Just(Step::Flush),
    ];
    vec(step, 1..6).prop_map(|mut steps| {
        steps.push(Step::Sync);
        steps
    })
}

/// One statement from its Parse to its Sync.
fn statement() -> impl Strategy<Value = Vec<Step>> {
    (name(STATEMENTS), name(PORTALS), parse(), bind(), any::<bool>(), execute()).prop_map(
        |(name, portal, parse, bind, describes, execute)| {
            let Step::Parse { sql, types, .. } = parse else { return vec![] };
            let Step::Bind { parameters, .. } = bind else { return vec![] };
            let Step::Execute { limit, .. } = execute else { return vec![] };
            let needed = (1..3).filter(|n| sql.contains(&format!("${n}"))).count();
            let parameters =
                parameters.into_iter().chain([Some("1".to_owned()), None]).take(needed);
            let mut steps = vec![
                Step::Parse { name: name.clone(), sql, types },
                Step::Bind {
                    portal: portal.clone(),
                    statement: name,
                    parameters: parameters.collect(),
                },
            ];
            if describes {
                steps.push(Step::Describe { kind: b'P', name: portal.clone() });
            }
            steps.extend([Step::Execute { portal, limit }, Step::Sync]);
            steps
        },
    )
}

/// A COPY FROM STDIN and its data.
fn upload() -> impl Strategy<Value = Vec<Step>> {
    vec(copy(), 0..4).prop_map(|mut data| {
        data.insert(0, Step::Query("COPY t FROM STDIN".to_owned()));
        data.push(Step::CopyDone);
        data
    })
}

/// Without what may come to something else while data of a COPY is read: see the differences.
fn without_intruders_in_data(mut steps: Vec<Step>) -> Vec<Step> {
    let (mut copies, mut in_data) = (false, false);
    steps.retain(|step| {
        match step {
            Step::Query(sql) | Step::Parse { sql, .. } if sql.contains("FROM STDIN") => {
                copies = true;
            }
            Step::CopyData(_) => in_data = true,
            Step::CopyDone | Step::CopyFail => (copies, in_data) = (false, false),
            _ => {}
        }
        match step {
            Step::Sync => !in_data,
            Step::Parse { sql, .. } => !copies || sql.contains("FROM STDIN"),
            // A Bind may have a Parse of ours in front of it; whoever leaves reads no answer.
            Step::Close { .. } | Step::Bind { .. } | Step::Terminate => !copies,
            _ => true,
        }
    });
    steps
}

/// What makes or uses something that lasts in the session, by either protocol.
fn lasting() -> impl Strategy<Value = Vec<Step>> {
    (name(LASTING), name(STATEMENTS), any::<bool>()).prop_map(|(sql, statement, extended)| {
        if !extended {
            return vec![Step::Query(sql)];
        }
        vec![
            Step::Close { kind: b'S', name: statement.clone() },
            Step::Parse { name: statement.clone(), sql, types: vec![] },
            Step::Bind { portal: String::new(), statement, parameters: vec![] },
            Step::Execute { portal: String::new(), limit: 0 },
            Step::Sync,
        ]
    })
}

/// What one client sends; with `lasts` also what not every mode allows.
pub(super) fn script(lasts: bool) -> impl Strategy<Value = Vec<Step>> {
    let short = prop_oneof![
        6 => query().prop_map(|step| vec![step]),
        6 => statement(),
        4 => batch(),
        1 => upload(),
        1 => deallocate(),
        2 => vec(any_step(), 1..8),
    ];
    let part = if lasts { prop_oneof![3 => short, 1 => lasting()].boxed() } else { short.boxed() };
    vec(part, 1..9).prop_map(|parts| without_intruders_in_data(parts.concat()))
}
