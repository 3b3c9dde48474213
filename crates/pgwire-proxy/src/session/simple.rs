//! Query: one text of any number of statements. A few are answered without the server, because
//! what they are about is here: a client's prepared statements have other names there, and
//! DISCARD ALL would discard what others have prepared.

use std::sync::{Arc, Mutex};

use pool_manager::classify::{Classification, TransactionControl};
use pool_manager::{ServerError, Tally};

use super::expect::{Effect, Ending, Expect, Querying};
use super::extended::NO_STATEMENT;
use super::input::Taken;
use super::route::Routed;
use super::unit::Unit;
use super::{Session, linger};
use crate::database::Mode;
use crate::message::{HEADER_LEN, backend, frontend};

impl Session {
    pub(super) fn query(&mut self, message: &[u8], body: &[u8]) -> Taken {
        let Some(sql) = frontend::query_text(body) else { return self.unreadable(message) };
        let class = self.client.database.judge(sql);
        if self.lost.is_some() {
            return self.query_while_lost(&class);
        }
        if self.route_query(sql, &class) == Routed::Waits {
            return Taken::Wait;
        }
        if let Some(taken) = self.answer_locally(&class, sql) {
            return taken;
        }
        if let Some(error) = self.refusal(&class, sql) {
            return self.refuse_query(error);
        }
        let who = self.client.who();
        if self.attached().is_none() {
            return Taken::Attach;
        }
        if let Some(error) = self.pin_for(&class, sql) {
            let refused = self.refuse_query(error);
            // Nothing was sent on the connection that it has got for this.
            self.release_if_done();
            return refused;
        }
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        server.prepare_for(Some(&class), who);
        let mut ending = self.run(&class, sql);
        ending.tally = self.tally(sql, &Mutex::default());
        let mut unit = Unit::NOTHING;
        unit.add(&class);
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        let asked = server.asked_by_query(sql, &self.client);
        self.send_query(message, Querying { unit, ending, change: None, asked })
    }

    /// The begin of a Query that is too long to be looked at.
    pub(super) fn large_query(&mut self, begin: &[u8]) -> Taken {
        if self.lost.is_some() {
            let class = self.client.database.judge(b"SELECT");
            self.query_while_lost(&class);
            return Taken::Dropped;
        }
        let who = self.client.who();
        let Some(server) = self.attached() else { return Taken::Attach };
        server.prepare_for(None, who);
        server.will_run_anything(who.number);
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        let sql = begin.get(HEADER_LEN..).unwrap_or_default();
        let asked = server.asked_by_query(sql, &self.client);
        self.send_query(begin, Querying { asked, ..Querying::ANYTHING })
    }

    /// Sends a client's Query, or the begin of one. The server drops the unnamed statement when it
    /// comes to it.
    pub(super) fn send_query(&mut self, message: &[u8], query: Querying) -> Taken {
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        server.unnamed = None;
        let change = Some(self.client.names.set(b"", None));
        server.connection.owe();
        server.forward(message, Expect::Query(Querying { change, ..query }));
        Taken::Done
    }

    /// Answers a Query with an error of ours. In a transaction the server is made to fail, too, so
    /// that both agree about its state.
    pub(super) fn refuse_query(&mut self, error: ServerError) -> Taken {
        match self.server.as_deref_mut().filter(|server| server.is_in_block()) {
            None => {
                self.client.names.set(b"", None);
                self.answer_query(|out| backend::error(out, &error))
            }
            Some(server) => {
                server.connection.owe();
                let failing = format!("EXECUTE {NO_STATEMENT}");
                frontend::put_query(server.connection.outgoing(), &failing);
                server.owed.push_back(Expect::QueryRefused(Box::new(error)));
                Taken::Done
            }
        }
    }

    /// Where calls of a text are counted; `kept` remembers it for the next time.
    pub(super) fn tally(&self, sql: &[u8], kept: &Mutex<Option<Arc<Tally>>>) -> Option<Arc<Tally>> {
        self.server.as_ref().and_then(|server| server.connection.tally(sql, kept))
    }

    /// Notes that a statement is about to run, and tells what it must come to. A session's client
    /// finds its settings as it left them, unless they are put back to what they were at its begin.
    pub(super) fn run(&mut self, class: &Classification, sql: &[u8]) -> Ending {
        let tag = class.expected_tag;
        let client = &mut self.client;
        let Some(server) = self.server.as_deref_mut() else {
            return Ending { tag, effect: Effect::None, tally: None };
        };
        let effect = server.take_away(class, sql, client);
        let mut class = *class;
        if !matches!(effect, Effect::None) {
            // What is taken away is taken out of our books, too.
            class.taints = false;
            class.neutral = true;
        }
        server.will_run(&class, sql, client.number);
        server.wrote |= linger::may_use_sequences(&class);
        let is_kept = client.mode == Mode::Session || server.connection.is_pinned();
        if is_kept && !server.touched.as_ref().is_some_and(|question| question.everything) {
            server.touched = None;
        }
        if matches!(
            class.transaction,
            TransactionControl::Rollback { .. } | TransactionControl::RollbackTo
        ) {
            server.will_roll_back();
        }
        Ending { tag, effect, tally: None }
    }
}
