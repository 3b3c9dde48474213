//! What takes more than moving bytes: getting a server connection, finding out about settings, the
//! end of the session.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use pool_manager::{
    Checkout, DatabasePool, Error, STATEMENT_PREFIX, ServerError, Settings, SettingsQuestion,
    SqlState, TransactionStatus,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::attached::Attached;
use super::cancel::Cancelling;
use super::expect::OwnQuery;
use super::{ClientState, READ_AHEAD, READ_CHUNK, Session};
use crate::database::Mode;
use crate::message::backend;

/// How long a client may take to receive the last words.
const GOODBYE: Duration = Duration::from_secs(1);

impl Session {
    /// The server connection, if the client has one or can have one at once.
    pub(super) fn attached(&mut self) -> Option<&mut Attached> {
        if self.server.is_none() && self.lost.is_none() && self.client.mode != Mode::Session {
            let now = self.now();
            let connection = self.pool().try_checkout(now)?;
            if connection.has_settings(&self.client.wanted) {
                let mut server = Attached::new(connection);
                server.busy_since = now;
                self.note_attached(&server);
                self.server = Some(server);
            } else {
                self.offered = Some(connection);
            }
        } else if self.server.as_ref().is_some_and(|server| server.is_free()) {
            // Until now it has waited for the client.
            let now = self.now();
            if let Some(server) = self.server.as_deref_mut() {
                (server.busy_since, server.unit_ended_at) = (now, None);
            }
        }
        self.server.as_deref_mut()
    }

    /// The connections that the client is served from.
    pub(super) fn pool(&self) -> &DatabasePool {
        let replica = self.routing.as_ref().and_then(|routing| routing.replica());
        replica.unwrap_or_else(|| self.client.database.pool())
    }

    /// Gets a server connection for the message at the front of the input. When that fails, the
    /// message is answered with the reason.
    pub(super) async fn attach(&mut self) {
        let asked = Instant::now();
        let offered = match self.offered.take() {
            Some(connection) => Ok(Some(connection)),
            None => self.wait_for_connection().await,
        };
        let mut connection = match offered {
            Ok(Some(connection)) => connection,
            Ok(None) => {
                self.leaving = true;
                return;
            }
            Err(error) => return self.fail(error.to_server_error()),
        };
        if !connection.has_settings(&self.client.wanted)
            && let Err(error) = connection.settle_settings(&self.client.wanted).await
        {
            return self.fail(error.to_server_error());
        }
        let mut server = Attached::new(connection);
        server.busy_since = Instant::now();
        server.waited = server.busy_since.saturating_duration_since(asked);
        if self.client.mode == Mode::Session {
            if server.connection.dedicate() {
                server.own_query("DEALLOCATE ALL", OwnQuery::MustSucceed);
            }
            if server.connection.has_foreign_sequences(self.client.number) {
                server.own_query("DISCARD SEQUENCES", OwnQuery::MustSucceed);
                server.connection.sequences_discarded();
            }
        }
        if let Some(lost) = self.lost.take() {
            // The transaction goes on here, as failed as it is.
            server.own_query("BEGIN", OwnQuery::MustSucceed);
            server.own_query(&format!("EXECUTE {STATEMENT_PREFIX}lost"), OwnQuery::Fails);
            self.failure = lost.untold;
        }
        self.note_attached(&server);
        self.server = Some(server);
    }

    /// Notes for an administrator who has the connection.
    fn note_attached(&self, server: &Attached) {
        let id = self.registration.key.process_id;
        server.connection.used_by(u64::try_from(id).unwrap_or_default());
        self.client.database.counters().assigned();
    }

    fn fail(&mut self, mut error: ServerError) {
        // It ends a statement, not the client's session.
        error.severity = "ERROR".to_owned();
        self.refusing = Some(Box::new(error));
    }

    /// Waits in the pool's queue; `None` when the client has gone meanwhile.
    async fn wait_for_connection(&mut self) -> Result<Option<Checkout>, Error> {
        let database = Arc::clone(&self.client.database);
        let hold = self.client.mode == Mode::Session;
        let replica = self.routing.as_ref().and_then(|routing| routing.replica().cloned());
        let mut waiting = pin!(async move {
            match &replica {
                Some(replica) => replica.checkout(hold).await,
                None => database.backends().primary_at_work().await.checkout(hold).await,
            }
        });
        let _waits = self.registration.waits();
        let patience = self.clock.wait_notice();
        let mut impatience = pin!(async move {
            match patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        });
        let counted = Arc::clone(&self.client.database);
        let mut told = false;
        poll_fn(|cx| {
            let signals = &self.registration.signals;
            signals.register(cx.waker());
            if signals.ends() {
                return Poll::Ready(Ok(None));
            }
            if signals.take_cancels().is_some() {
                let message = "canceling statement due to user request";
                return Poll::Ready(Err(Error::refused(SqlState::QUERY_CANCELED, message)));
            }
            if let Poll::Ready(result) = waiting.as_mut().poll(cx) {
                return Poll::Ready(result.map(Some));
            }
            while self.input.len() < READ_AHEAD {
                self.input.reserve(READ_CHUNK);
                let reading = pin!(self.stream.read_buf(&mut self.input));
                match reading.poll(cx) {
                    Poll::Ready(Ok(read @ 1..)) => counted.counters().received(read),
                    Poll::Ready(_) => return Poll::Ready(Ok(None)),
                    Poll::Pending => break,
                }
            }
            if !told && impatience.as_mut().poll(cx).is_ready() {
                told = true;
                self.tell_of_waiting(patience.unwrap_or_default());
            }
            match self.poll_flush(cx) {
                Ok(()) => Poll::Pending,
                Err(_) => Poll::Ready(Ok(None)),
            }
        })
        .await
    }

    /// Tells the client why it gets no answer.
    fn tell_of_waiting(&mut self, waited: Duration) {
        let pool = self.pool();
        let stats = pool.stats();
        let mut notice = ServerError::new(
            SqlState::SUCCESSFUL_COMPLETION,
            format!(
                "waiting for a server connection of pool \"{}\" for {} s: {} of {} are in use, {} \
                 clients wait",
                pool.name(),
                waited.as_secs_f32(),
                stats.active_connections,
                stats.max_connections,
                stats.waiting_clients,
            ),
        );
        "NOTICE".clone_into(&mut notice.severity);
        backend::notice(&mut self.output, &notice);
        self.flush = true;
    }

    /// Finds out which settings the client has now, before it is told that its statement is done:
    /// when the server is lost meanwhile, so are they, and the client has to know.
    pub(super) async fn settle(&mut self) {
        let Some(server) = self.server.as_deref_mut() else { return };
        let Some(question) = server.touched.take() else { return };
        // The question is a Query.
        server.unnamed = None;
        let connection = &mut server.connection;
        let client = &mut self.client;
        let settled = async {
            let captured = connection.capture_settings(&client.wanted, &question).await?;
            let none = leaves_its_role(client, &captured, &question).then_some(("role", "none"));
            let captured = captured.iter().filter(|pair| *pair != ("role", "none")).chain(none);
            let captured: Vec<_> = captured.collect();
            let is_captured = |name: &str| captured.iter().any(|(other, _)| *other == name);
            let startup = client.startup.iter().filter(|(name, _)| !is_captured(name));
            let all = startup.chain(captured.iter().copied());
            let all = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let wanted = client.database.share_settings(Settings::accepted(all));
            client.want(Arc::clone(&wanted));
            if connection.has_settings(&wanted) {
                return Ok(());
            }
            connection.settle_settings(&wanted).await
        };
        let settled: Result<(), Error> = settled.await;
        if let Err(error) = settled {
            server.connection.taint();
            self.server = None;
            let error = error.to_server_error();
            self.fatal(error.code, error.message);
            self.leaving = true;
            return;
        }
        server.tell_parameters(client, &mut self.output);
        backend::ready(&mut self.output, TransactionStatus::Idle);
        self.flush = true;
        self.count_unit();
        self.release_if_done();
    }

    /// Cancels what the server runs for this client; nothing when it runs nothing.
    pub(super) fn cancel(&mut self, asked_by: Vec<oneshot::Sender<()>>) {
        if let Some(server) = self.server.as_deref_mut()
            && !server.is_free()
            && server.cancelling.is_none()
        {
            server.cancelling = Some(Cancelling::start(&mut server.connection, asked_by));
        }
    }

    /// This moment; one look at the clock serves everything that is done between two waits.
    pub(super) fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(Instant::now)
    }

    /// Counts what has just ended.
    pub(super) fn count_unit(&mut self) {
        let ended_at = self.server.as_ref().and_then(|server| server.unit_ended_at);
        let now = *self.now.get_or_insert_with(|| ended_at.unwrap_or_else(Instant::now));
        if let Some(server) = self.server.as_deref_mut() {
            let took = now.saturating_duration_since(server.busy_since);
            let (ended, failed) = std::mem::take(&mut server.ended);
            server.connection.count_queries(took, ended, failed);
            let transactions = server.calls.count(took);
            if transactions > 0 {
                server.connection.count_transactions(transactions);
            }
            self.client.database.counters().ended(&std::mem::take(&mut server.finished));
            server.busy_since = now;
            self.was_active = true;
        }
        self.note_write();
    }

    /// Whether nothing is left to be done when it is over.
    pub(super) fn has_ended(&self) -> bool {
        self.server.is_none() && self.output.is_empty() && !self.stream.is_tls()
    }

    /// The end: a transaction that is open is rolled back, what runs is cancelled by letting go of
    /// its connection, and the last words go out.
    pub(super) async fn end(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.tell_unanswered(&self.client, SqlState::QUERY_CANCELED);
            server.close_private();
            if server.touched.is_some() {
                // Nobody has found out about its settings.
                server.connection.soil();
            }
            if server.uploading {
                // Whatever comes next would be read as the rest of the message.
                server.connection.taint();
            }
            let idles = server.is_free() && !server.uploading && server.connection.is_at_rest();
            if idles && server.status() != TransactionStatus::Idle {
                server.connection.roll_back().await;
            }
            if server.passing > 0 {
                // Nothing that makes sense can follow the begin of a message.
                self.output.clear();
            } else {
                server.cut(0, &mut self.output);
            }
            if self.client.mode == Mode::Session {
                server.connection.soil();
            }
        }
        // TLS may hold back what was written, and says goodbye itself.
        if !self.output.is_empty() || self.stream.is_tls() {
            let last_words = async {
                let _ = self.stream.write_all(&self.output).await;
                let _ = self.stream.shutdown().await;
            };
            let _ = tokio::time::timeout(GOODBYE, last_words).await;
        }
    }
}

/// Whether a client that has come with a role goes without one from now on: it has said SET ROLE NONE,
/// now or before. RESET ROLE goes back to the role, RESET ALL leaves it as it is.
fn leaves_its_role(client: &ClientState, captured: &Settings, question: &SettingsQuestion) -> bool {
    let is_named = question.names.iter().any(|name| name == "role");
    let is_reset = is_named && question.everything;
    let has_none = captured.get("role").is_none_or(|role| role == "none");
    has_none && !is_reset && client.startup.get("role").is_some()
}
