//! What a client has asked for, kept until the answer has come, for the log of statements. Where
//! nothing is logged, nothing is kept.

use std::borrow::Cow;
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
    /// What the Executes of a batch run, the first ones.
    prepared: Vec<Arc<Statement>>,
    /// The begin of a Query's text.
    query: Vec<u8>,
    /// How many texts there were.
    count: usize,
    params: String,
}

fn beginning(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(..len).unwrap_or(bytes)
}

impl Asked {
    /// Nothing that anybody wants to know.
    pub(super) const NOTHING: Self = Self(None);

    /// What may be added to, in `spare` memory if there is some.
    fn texts(&mut self, spare: &mut Self) -> &mut Texts {
        self.0.get_or_insert_with(|| spare.0.take().unwrap_or_default())
    }

    /// Its memory, with nothing in it.
    fn cleared(mut self) -> Self {
        if let Some(texts) = &mut self.0 {
            texts.prepared.clear();
            texts.query.clear();
            texts.params.clear();
            texts.count = 0;
        }
        self
    }
}

impl Texts {
    fn add_query(&mut self, sql: &[u8]) {
        self.count += 1;
        self.query.extend_from_slice(beginning(sql, MAX_TEXT));
    }

    fn add_execute(&mut self, statement: Arc<Statement>) {
        self.count += 1;
        if self.prepared.len() < MAX_TEXTS {
            self.prepared.push(statement);
        }
    }

    fn add_params(&mut self, bind: &Bind<'_>) {
        let params = &mut self.params;
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

    fn shown(&self) -> Vec<Cow<'_, str>> {
        let prepared = self.prepared.iter().map(|statement| &*statement.sql);
        let query = Some(&*self.query).filter(|query| !query.is_empty());
        let all = prepared.chain(query);
        all.map(|text| String::from_utf8_lossy(beginning(text, MAX_TEXT))).collect()
    }
}

impl ClientState {
    /// Tells of statements that have ended.
    fn tell(&self, asked: &Asked, took: Duration, waited: Duration, sqlstate: Option<SqlState>) {
        let (Some(Teller { log, user }), Some(asked)) = (&self.teller, &asked.0) else { return };
        if took < log.from || asked.count == 0 {
            return;
        }
        (log.tell)(&EndedQuery {
            database: self.database.name(),
            user,
            texts: asked.shown(),
            statements: asked.count,
            params: log.with_params.then_some(asked.params.as_str()),
            waited,
            took,
            sqlstate,
        });
    }
}

impl Attached {
    /// What a Query asks for.
    pub(super) fn asked_by_query(&mut self, sql: &[u8], client: &ClientState) -> Asked {
        let mut asked = Asked::NOTHING;
        if client.teller.is_some() {
            asked.texts(&mut self.spare_asked).add_query(sql);
        }
        asked
    }

    /// Notes what an Execute of the open batch runs.
    pub(super) fn note_execute(&mut self, statement: Arc<Statement>) {
        self.asked.texts(&mut self.spare_asked).add_execute(statement);
    }

    /// Notes the parameters of a Bind of the open batch, where they are told.
    pub(super) fn note_params(&mut self, bind: &Bind<'_>, client: &ClientState) {
        if client.teller.as_ref().is_some_and(|teller| teller.log.with_params) {
            self.asked.texts(&mut self.spare_asked).add_params(bind);
        }
    }

    /// Tells of what has ended with the ReadyForQuery that has come, or with this error.
    pub(super) fn tell_ended(
        &mut self,
        asked: Asked,
        client: &ClientState,
        sqlstate: Option<SqlState>,
    ) {
        if asked.0.is_none() {
            return;
        }
        let now = Instant::now();
        let since = self.unit_ended_at.replace(now).unwrap_or(self.busy_since);
        let waited = std::mem::take(&mut self.waited);
        client.tell(&asked, now.saturating_duration_since(since), waited, sqlstate);
        self.spare_asked = asked.cleared();
    }

    /// Tells of everything that will not be answered.
    pub(super) fn tell_unanswered(&mut self, client: &ClientState, sqlstate: SqlState) {
        if client.teller.is_none() {
            return;
        }
        let owed = self.owed.iter_mut().filter_map(Expect::take_asked);
        let unanswered: Vec<_> = owed.chain([std::mem::take(&mut self.asked)]).collect();
        for asked in unanswered {
            self.tell_ended(asked, client, Some(sqlstate));
        }
    }
}

#[cfg(test)]
mod tests {
    use pool_manager::classify::{SafeFunctions, classify};

    use super::*;

    fn bind(rest: &[u8]) -> Bind<'_> {
        Bind { portal: b"", statement: b"", rest }
    }

    #[test]
    fn parameters_are_shown_by_their_formats() {
        let mut texts = Texts::default();
        texts.add_params(&bind(b"\0\0\0\x03\0\0\0\x01a\xff\xff\xff\xff\0\0\0\x02\"\xff\0\0"));
        assert_eq!(texts.params, "[\"a\", null, \"\\\"\u{fffd}\"]");
        let mut texts = Texts::default();
        texts.add_params(&bind(b"\0\x01\0\x01\0\x01\0\0\0\x02\x01\x02\0\0"));
        texts.add_params(&bind(b"\0\x02\0\0\0\x01\0\x02\0\0\0\x01a\0\0\0\x01b\0\0"));
        assert_eq!(texts.params, "[<2 bytes>], [\"a\", <1 bytes>]");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut texts = Texts::default();
        let value = [&1000_i32.to_be_bytes()[..], &[b'x'; 1000]].concat();
        let count = 100_u16;
        let many = [&[0, 0][..], &count.to_be_bytes(), &value.repeat(100), b"\0\0"].concat();
        for _ in 0..100 {
            texts.add_params(&bind(&many));
        }
        assert!(texts.params.len() < MAX_PARAMS + 2 * MAX_VALUE);
        texts.add_query(&[b'x'; 2 * MAX_TEXT]);
        assert_eq!(texts.query.len(), MAX_TEXT);
        let class = classify("SELECT 1", &SafeFunctions::default());
        let long = Arc::new(Statement::new(&[b'x'; 2 * MAX_TEXT], b"\0\0", None, class, 1));
        for _ in 0..100 {
            texts.add_execute(Arc::clone(&long));
        }
        assert_eq!((texts.count, texts.prepared.len()), (101, MAX_TEXTS));
        assert!(texts.shown().iter().all(|text| text.len() == MAX_TEXT));
    }

    #[test]
    fn memory_that_is_used_again_has_nothing_of_before_in_it() {
        let (mut asked, mut none) = (Asked::NOTHING, Asked::NOTHING);
        let texts = asked.texts(&mut none);
        texts.add_query(b"SELECT 'secret'");
        texts.add_params(&bind(b"\0\0\0\x01\0\0\0\x01a\0\0"));
        let mut spare = asked.cleared();
        let mut next = Asked::NOTHING;
        let texts = next.texts(&mut spare);
        assert!(texts.shown().is_empty() && texts.params.is_empty() && texts.count == 0);
        assert!(texts.query.capacity() > 0 && spare.0.is_none(), "it is the same memory");
    }
}
