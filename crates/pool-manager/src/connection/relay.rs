//! A connection in the hands of a client that speaks PostgreSQL's protocol itself: its messages go
//! out as they are, and the relay looks at the replies. What may be left behind in the session is
//! noted here, from what is known of each statement before it is sent; whether the connection can
//! be given back is then decided as for everybody else.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::ServerConnection;
use crate::classify::Classification;
use crate::connect::CancelTarget;
use crate::engine::{LinkError, Parameters, TransactionStatus};

/// Who used a session's sequences last: only that client may see lastval() and currval().
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SequenceUse {
    /// Nobody since the session began or was reset.
    #[default]
    None,
    /// One relayed client, by its number.
    Client(u64),
    /// Anybody else.
    Others,
}

impl ServerConnection {
    /// Where whole frontend messages are put. From here on the connection is busy until what they
    /// [owe](Self::owe) was read.
    pub fn outgoing(&mut self) -> &mut BytesMut {
        self.link.outgoing()
    }

    /// Counts a ReadyForQuery to come: before a Query or FunctionCall is put into
    /// [`outgoing`](Self::outgoing), or the first message of a batch that a Sync will end.
    pub fn owe(&mut self) {
        self.link.owe();
    }

    /// How many ReadyForQuery are to come.
    pub fn owed(&self) -> u32 {
        self.link.owed()
    }

    /// Counts a Sync as swallowed: the server ignores those that it reads during COPY FROM STDIN.
    pub fn forgive(&mut self) {
        self.link.forgive();
    }

    /// Bytes that have not reached the socket.
    pub fn unsent(&self) -> usize {
        self.link.unsent()
    }

    /// Writes what was queued; ready when all of it has reached the socket.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.poll_send(cx)
    }

    /// Writes what was queued and reads once, with room for at least `wanted` bytes. Ready when
    /// something was read.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
    ) -> Poll<Result<(), LinkError>> {
        self.link.poll_receive(cx, wanted)
    }

    /// What was received and not consumed.
    pub fn received(&self) -> &[u8] {
        self.link.received()
    }

    /// Lets go of the first `len` bytes of what was received.
    pub fn consume(&mut self, len: usize) {
        self.link.consume(len);
    }

    /// Tag and body length of the message that begins at `at` in what was received, as soon as
    /// its header is there.
    ///
    /// # Errors
    /// A length that no message can have.
    pub fn header_at(&mut self, at: usize) -> Result<Option<(u8, usize)>, LinkError> {
        self.link.header_at(at)
    }

    /// Follows what a ReadyForQuery, ParameterStatus or ErrorResponse at `at` says about the
    /// session; `len` is its body's length, all of which has arrived.
    ///
    /// # Errors
    /// It is not what the protocol allows here.
    pub fn note_at(&mut self, at: usize, tag: u8, len: usize) -> Result<(), LinkError> {
        self.link.note_at(at, tag, len)
    }

    /// Declares the connection unusable: the server sent what is not expected here.
    pub fn out_of_step(&mut self) -> LinkError {
        self.link.out_of_step()
    }

    /// Transaction status after the last ReadyForQuery.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.link.status()
    }

    /// What the session has reported about itself.
    pub fn parameters(&self) -> &Arc<Parameters> {
        self.link.parameters()
    }

    /// Has these kept in place of [`parameters`](Self::parameters), which they equal.
    pub fn share_parameters(&mut self, parameters: &Arc<Parameters>) {
        self.link.share_parameters(parameters);
    }

    /// How often one of the reported parameters has changed.
    pub fn parameter_changes(&self) -> u64 {
        self.link.parameter_changes()
    }

    /// Whether every reply was read and nothing is on its way, a cancel request included.
    pub fn is_at_rest(&self) -> bool {
        self.at_rest()
    }

    /// Notes what running a statement may leave behind in the session; to be called before its
    /// first byte is sent. `client` is a number that only this client has.
    pub fn will_run(&mut self, class: &Classification, client: u64) {
        self.dirty |= !class.neutral || !self.link.has_standard_strings();
        self.tainted |= class.taints;
        self.used_sequences(class, SequenceUse::Client(client));
    }

    /// The same for what is not known at all: a text too long to be looked at, a function call.
    pub fn will_run_anything(&mut self, client: u64) {
        self.dirty = true;
        self.sequences = SequenceUse::Client(client);
    }

    /// Has the connection closed instead of being used again.
    pub fn taint(&mut self) {
        self.tainted = true;
    }

    /// Has the session reset before it is used again.
    pub fn soil(&mut self) {
        self.dirty = true;
    }

    /// Gives the session to one client for good: it names its prepared statements itself, so at the
    /// end all of them go. The statements kept for others are forgotten here; the caller sends
    /// `DEALLOCATE ALL` when this says that there were some.
    pub fn dedicate(&mut self) -> bool {
        self.dedicated = true;
        self.stale_names.clear();
        !self.statements.clear().is_empty()
    }

    /// Whether lastval() and currval() could answer `client` with another one's value.
    pub fn has_foreign_sequences(&self, client: u64) -> bool {
        ![SequenceUse::None, SequenceUse::Client(client)].contains(&self.sequences)
    }

    /// Notes that DISCARD SEQUENCES is on its way.
    pub fn sequences_discarded(&mut self) {
        self.sequences = SequenceUse::None;
    }

    pub(super) fn used_sequences(&mut self, class: &Classification, by: SequenceUse) {
        if !class.read_only {
            let mixed = ![SequenceUse::None, by].contains(&self.sequences);
            self.sequences = if mixed { SequenceUse::Others } else { by };
        }
    }

    /// The name under which the statement of that number is prepared here.
    pub fn statement(&mut self, number: u64) -> Option<&str> {
        self.statements.name_of(number)
    }

    /// The same, and where messages that name it are put.
    pub fn statement_and_outgoing(&mut self, number: u64) -> Option<(&str, &mut BytesMut)> {
        if self.statements.name_of(number).is_some() {
            self.statements.count_hit();
        }
        Some((self.statements.name_of(number)?, self.link.outgoing()))
    }

    /// A name that this session has not used yet.
    pub fn new_statement_name(&mut self) -> String {
        self.statements.next_name()
    }

    /// Notes that a statement is prepared: its ParseComplete was read.
    pub fn keep_statement(&mut self, number: u64, name: String) {
        if let Some(replaced) = self.statements.insert_relayed(number, name) {
            self.stale_names.push(replaced);
        }
    }

    /// Forgets a statement that the server no longer accepts.
    pub fn forget_statement(&mut self, number: u64) {
        if let Some(name) = self.statements.remove_relayed(number) {
            self.stale_names.push(name);
        }
    }

    /// Forgets every statement: the server has dropped them all.
    pub fn forget_statements(&mut self) {
        self.statements.clear();
        self.stale_names.clear();
    }

    /// Has a statement closed that may be prepared without being known here.
    pub fn close_statement_later(&mut self, name: String) {
        self.stale_names.push(name);
    }

    /// A statement that is to be closed in front of the next batch: one too many, or stale. Never
    /// within a batch, which may be using it.
    pub fn next_statement_to_close(&mut self) -> Option<String> {
        self.stale_names.pop().or_else(|| self.statements.evict_surplus())
    }

    /// A place for what a relay needs only while it has a connection: whoever comes next finds it.
    pub fn workspace(&mut self) -> &mut Option<Box<dyn Any + Send>> {
        &mut self.workspace
    }

    /// How to cancel what runs here.
    pub fn cancel_target(&self) -> CancelTarget {
        self.cancel.clone()
    }

    /// Notes that a cancel request may be under way, or that its end was seen. Until then the
    /// connection is not at rest: a late request would hit whoever comes next.
    pub fn set_cancelling(&mut self, under_way: bool) {
        self.was_cancelled = true;
        self.cancelling.store(under_way, Ordering::Relaxed);
    }

    /// Whether a cancel request may be under way.
    pub fn is_cancelling(&self) -> bool {
        self.cancelling.load(Ordering::Relaxed)
    }
}
