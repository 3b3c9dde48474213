//! What a client has asked for, kept until the answer has come, for the log of statements. Where
//! nothing is logged, nothing is kept.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_manager::SqlState;

use super::ClientState;
use super::attached::Attached;
use super::expect::Expect;
use crate::message::frontend::Bind;
use crate::query_log::{EndedQuery, QueryLog};
use crate::statement::Statement;

/// Longest part of a text that is kept, bytes.
const MAX_TEXT: usize = 8 * 1024;
/// Texts of one batch that are kept.
const MAX_TEXTS: usize = 8;
/// Longest list of parameters that is kept, bytes, and of it the longest value.
const MAX_PARAMS: usize = 4 * 1024;
const MAX_VALUE: usize = 256;

/// Who is told of a client's statements.
pub(super) struct Teller {
    pub(super) log: Arc<QueryLog>,
    pub(super) user: Arc<str>,
}

/// The statements of a Query or of a batch; nothing where nobody wants to know.
#[derive(Debug, Default)]
pub(super) struct Asked(Option<Box<Texts>>);

#[derive(Debug, Default)]
struct Texts {
    texts: Vec<Text>,
    /// How many there were.
    count: usize,
    params: String,
}

#[derive(Debug)]
enum Text {
    Prepared(Arc<Statement>),
    Query(Box<[u8]>),
}

impl Text {
    fn bytes(&self) -> &[u8] {
        let text = match self {
            Self::Prepared(statement) => &statement.sql,
            Self::Query(text) => text,
        };
        beginning(text, MAX_TEXT)
    }
}

fn beginning(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(..len).unwrap_or(bytes)
}

impl Asked {
    /// Nothing that anybody wants to know.
    pub(super) const NOTHING: Self = Self(None);

    fn texts(&mut self) -> &mut Texts {
        self.0.get_or_insert_default()
    }

    fn add(&mut self, text: impl FnOnce() -> Text) {
        let asked = self.texts();
        asked.count += 1;
        if asked.texts.len() < MAX_TEXTS {
            asked.texts.push(text());
        }
    }

    /// Adds what an Execute runs.
    pub(super) fn add_execute(&mut self, statement: Arc<Statement>) {
        self.add(|| Text::Prepared(statement));
    }

    fn add_params(&mut self, bind: &Bind<'_>) {
        let params = &mut self.texts().params;
        if params.len() >= MAX_PARAMS {
            return;
        }
        params.push_str(if params.is_empty() { "[" } else { ", [" });
        for (index, value) in bind.parameters().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            if params.len() >= MAX_PARAMS {
                params.push_str(", …");
                break;
            }
            let _ = match value {
                None => write!(params, "{comma}null"),
                Some((true, value)) => write!(params, "{comma}<{} bytes>", value.len()),
                Some((false, value)) => {
                    let more = if value.len() > MAX_VALUE { "…" } else { "" };
                    let value = String::from_utf8_lossy(beginning(value, MAX_VALUE));
                    write!(params, "{comma}{value:?}{more}")
                }
            };
        }
        params.push(']');
    }
}

impl ClientState {
    /// What a Query asks for.
    pub(super) fn asked(&self, sql: &[u8]) -> Asked {
        let mut asked = Asked::default();
        if self.teller.is_some() {
            asked.add(|| Text::Query(beginning(sql, MAX_TEXT).into()));
        }
        asked
    }

    /// Tells of statements that have ended.
    fn tell(&self, asked: &Asked, took: Duration, waited: Duration, sqlstate: Option<SqlState>) {
        let (Some(Teller { log, user }), Some(asked)) = (&self.teller, &asked.0) else { return };
        if took < log.from || asked.count == 0 {
            return;
        }
        (log.tell)(&EndedQuery {
            database: self.database.name(),
            user,
            texts: asked.texts.iter().map(|text| String::from_utf8_lossy(text.bytes())).collect(),
            statements: asked.count,
            params: log.with_params.then_some(asked.params.as_str()),
            waited,
            took,
            sqlstate,
        });
    }
}

impl Attached {
    /// Notes the parameters of a Bind of the open batch, where they are told.
    pub(super) fn note_params(&mut self, bind: &Bind<'_>, client: &ClientState) {
        if client.teller.as_ref().is_some_and(|teller| teller.log.with_params) {
            self.asked.add_params(bind);
        }
    }

    /// Tells of what has ended with the ReadyForQuery that has come, or with this error.
    pub(super) fn tell_ended(
        &mut self,
        asked: &Asked,
        client: &ClientState,
        sqlstate: Option<SqlState>,
    ) {
        if asked.0.is_none() {
            return;
        }
        let now = Instant::now();
        let since = self.unit_since.replace(now).unwrap_or(self.busy_since);
        let waited = std::mem::take(&mut self.waited);
        client.tell(asked, now.saturating_duration_since(since), waited, sqlstate);
    }

    /// Tells of everything that will not be answered.
    pub(super) fn tell_unanswered(&mut self, client: &ClientState, sqlstate: SqlState) {
        if client.teller.is_none() {
            return;
        }
        let owed = self.owed.iter_mut().filter_map(Expect::take_asked);
        let unanswered: Vec<_> = owed.chain([std::mem::take(&mut self.asked)]).collect();
        for asked in &unanswered {
            self.tell_ended(asked, client, Some(sqlstate));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(rest: &[u8]) -> Bind<'_> {
        Bind { portal: b"", statement: b"", rest }
    }

    #[test]
    fn parameters_are_shown_by_their_formats() {
        let mut asked = Asked::default();
        asked.add_params(&bind(b"\0\0\0\x03\0\0\0\x01a\xff\xff\xff\xff\0\0\0\x02\"\xff\0\0"));
        assert_eq!(asked.texts().params, "[\"a\", null, \"\\\"\u{fffd}\"]");
        let mut asked = Asked::default();
        asked.add_params(&bind(b"\0\x01\0\x01\0\x01\0\0\0\x02\x01\x02\0\0"));
        asked.add_params(&bind(b"\0\x02\0\0\0\x01\0\x02\0\0\0\x01a\0\0\0\x01b\0\0"));
        assert_eq!(asked.texts().params, "[<2 bytes>], [\"a\", <1 bytes>]");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut asked = Asked::default();
        let value = [&1000_i32.to_be_bytes()[..], &[b'x'; 1000]].concat();
        let count = 100_u16;
        let many = [&[0, 0][..], &count.to_be_bytes(), &value.repeat(100), b"\0\0"].concat();
        asked.add_params(&bind(&many));
        asked.add_params(&bind(&many));
        assert!(asked.texts().params.len() < MAX_PARAMS + 2 * MAX_VALUE);
        for _ in 0..100 {
            asked.add(|| Text::Query([b'x'; 2 * MAX_TEXT].as_slice().into()));
        }
        let asked = asked.texts();
        assert_eq!((asked.count, asked.texts.len()), (100, MAX_TEXTS));
        assert!(asked.texts.iter().all(|text| text.bytes().len() == MAX_TEXT));
    }
}
