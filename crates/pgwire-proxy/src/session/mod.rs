//! One client after its login. Its task drives both sockets, its own and that of whatever server
//! connection it has at the moment, so that no message waits for another task to wake up.
//!
//! ```text
//!            first message of a transaction            ReadyForQuery outside a transaction
//! detached ──────────────────────────────► attached ──────────────────────────────────────► detached
//!               (waits in the pool's queue,          (settings found out if they were touched)
//!                settings put in force)
//! ```
//! A detached client holds no buffer. Everything that takes more than moving bytes (waiting for a
//! connection, settings, rolling back) is a [`Step`], done by [`serve`] with the loop standing still.

mod attached;
mod cancel;
mod clock;
mod copy;
mod deallocate;
mod expect;
mod extended;
mod failures;
mod input;
mod lost;
mod names;
mod refusal;
mod relay;
mod replay;
mod replies;
mod simple;
mod steps;
mod unit;

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use pool_manager::{Checkout, Parameters, ServerError, Settings, TransactionStatus};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::database::{Database, Mode};
use crate::login::{Client, Login, login};
use crate::proxy::{Place, Proxy};
use crate::signals::Registration;
use crate::statement::{Statement, context};
use crate::stream::ClientStream;
use attached::Attached;
use clock::Clock;
use input::{Breach, Upload};
use lost::LostTransaction;
use names::Names;
use relay::Scanned;

/// Bytes read from a client at a time, on the stack.
const READ_CHUNK: usize = 8 * 1024;
/// Bytes that may wait for the client's socket, or for the server's, before no more are taken.
const HIGH_WATER: usize = 64 * 1024;
/// Bytes read ahead of a client whose next message has to wait: only to see whether it is there.
const READ_AHEAD: usize = 16 * 1024;

/// What has to be done beyond moving bytes.
#[derive(Debug)]
enum Step {
    /// Get a server connection for the message at the front of the input.
    Attach,
    /// Find out which settings are in force now, and then tell the client that it may go on.
    Settle,
    /// The session is over.
    End,
}

/// What a client keeps from one server connection to the next.
struct ClientState {
    /// A number that no other client has.
    number: u64,
    database: Arc<Database>,
    mode: Mode,
    names: Names,
    /// The settings that it wants in force; changed by [`want`](Self::want).
    wanted: Arc<Settings>,
    /// Those of them that decide what texts mean, as [`context`] writes them.
    context: Option<Arc<str>>,
    /// Those of its startup message, which RESET goes back to.
    startup: Arc<Settings>,
    /// The reported parameters as it knows them.
    told: Arc<Parameters>,
    /// The unnamed statement that it had last, which it mostly has next.
    last_unnamed: Option<Arc<Statement>>,
    /// After an error in a batch, everything up to its Sync is passed over.
    skipping: bool,
}

impl ClientState {
    /// Has other settings wanted from now on.
    fn want(&mut self, settings: Arc<Settings>) {
        self.context = context(&settings);
        self.wanted = settings;
    }
}

/// A client's session.
pub(crate) struct Session {
    stream: ClientStream,
    registration: Registration,
    /// The next signal wakes the session's task.
    is_registered: bool,
    client: ClientState,
    server: Option<Box<Attached>>,
    /// A connection whose settings are still those of somebody else.
    offered: Option<Checkout>,
    /// What the message at the front of the input is answered.
    failure: Option<Box<ServerError>>,
    /// Why there was no connection: the answer to all that had been sent before the client could
    /// know. What follows a BEGIN must not run without it.
    refusing: Option<Box<ServerError>>,
    /// Messages that could not be taken yet, or the begin of one.
    input: BytesMut,
    /// How much of `input` the message at its front needs.
    needed: usize,
    /// The rest of a large message of the client's, which passes through as it comes.
    upload: Option<Upload>,
    /// What waits for the client's socket.
    output: BytesMut,
    /// What is in `output` may go out.
    flush: bool,
    /// Set while the client is in a transaction whose server connection was lost.
    lost: Option<LostTransaction>,
    clock: Clock,
    /// This moment, once somebody has looked at the clock.
    now: Option<Instant>,
    /// Something was done since the clock was last looked at.
    was_active: bool,
    /// The client said goodbye.
    leaving: bool,
    /// It has broken the protocol, and the server ends what it was doing because of it.
    breach: Option<Breach>,
    _place: Place,
}

/// Serves a client from its first byte to its end, and drops `_held` then.
pub(crate) async fn serve(proxy: Arc<Proxy>, stream: ClientStream, _held: impl Send) {
    // A future of its own, so that its memory is given back before the session begins; and the
    // session's loop right here, so that little lies between the runtime and it.
    let mut session = match Box::pin(login(&proxy, stream)).await {
        Login::Accepted(client) => Session::new(&proxy, *client),
        Login::Over => return,
    };
    drop(proxy);
    loop {
        match poll_fn(|cx| session.poll(cx)).await {
            Step::Attach => Box::pin(session.attach()).await,
            Step::Settle => Box::pin(session.settle()).await,
            Step::End => return Box::pin(session.end()).await,
        }
    }
}

impl Session {
    fn new(proxy: &Proxy, client: Client) -> Self {
        let Client { stream, input, database, settings, parameters, registration, place } = client;
        let state = ClientState {
            number: database.new_number(),
            mode: database.mode,
            database,
            names: Names::default(),
            context: context(&settings),
            wanted: Arc::clone(&settings),
            startup: settings,
            told: parameters,
            last_unnamed: None,
            skipping: false,
        };
        Self {
            clock: Clock::new(&proxy.options),
            stream,
            registration,
            is_registered: false,
            client: state,
            server: None,
            offered: None,
            failure: None,
            refusing: None,
            was_active: false,
            now: None,
            needed: 0,
            input,
            upload: None,
            output: BytesMut::new(),
            flush: false,
            lost: None,
            leaving: false,
            breach: None,
            _place: place,
        }
    }

    /// Moves bytes until there is nothing to do, or something that is more than that.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        self.now = None;
        if !std::mem::replace(&mut self.is_registered, true) {
            self.registration.signals.register(cx.waker());
        }
        if let Some(step) = self.look_around(cx) {
            return Poll::Ready(step);
        }
        match self.poll_sockets(cx) {
            Poll::Ready(step) => Poll::Ready(step),
            // Only now it is clear what is being waited for.
            Poll::Pending => self.look_at_clock(cx).map_or(Poll::Pending, Poll::Ready),
        }
    }

    fn poll_sockets(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            if let Some(step) = self.poll_server(cx) {
                return Poll::Ready(step);
            }
            self.replay();
            let mut progress = false;
            if !self.input.is_empty() {
                match self.take_input() {
                    Ok(taken) => progress = taken,
                    Err(step) => return Poll::Ready(step),
                }
            }
            if self.poll_flush(cx).is_err() {
                return Poll::Ready(Step::End);
            }
            if self.leaving && self.server.as_ref().is_none_or(|server| server.owes_no_unit()) {
                return Poll::Ready(Step::End);
            }
            if progress {
                continue;
            }
            if !self.may_read() {
                return Poll::Pending;
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(step)) => return Poll::Ready(step),
                Poll::Pending => {
                    if self.input.is_empty() {
                        self.refusing = None;
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Signals from outside, and the cancel request under way.
    fn look_around(&mut self, cx: &mut Context<'_>) -> Option<Step> {
        if self.registration.signals.have_come() {
            // Being woken by one took the registration away: again, before they are looked at.
            self.registration.signals.register(cx.waker());
            if self.registration.signals.ends() {
                self.say_goodbye();
                return Some(Step::End);
            }
            if let Some(asked_by) = self.registration.signals.take_cancels() {
                self.cancel(asked_by);
            }
        }
        if let Some(server) = &mut self.server
            && let Some(cancelling) = &mut server.cancelling
            && cancelling.poll(&mut server.connection, cx).is_ready()
        {
            server.cancelling = None;
            self.release_if_done();
        }
        None
    }

    /// Sends what is queued for the server and takes what it has sent; lets go of the connection
    /// when the client is done with it.
    fn poll_server(&mut self, cx: &mut Context<'_>) -> Option<Step> {
        loop {
            let server = self.server.as_deref_mut()?;
            let blocked = server.cleared > 0 || self.output.len() >= HIGH_WATER;
            if blocked {
                if self.poll_relay(cx).is_err() || self.poll_flush(cx).is_err() {
                    return Some(Step::End);
                }
                let server = self.server.as_deref_mut()?;
                if server.cleared >= HIGH_WATER || self.output.len() >= HIGH_WATER {
                    // The client first. What is queued for the server need not wait for it.
                    let _ = server.connection.poll_send(cx);
                    return None;
                }
            }
            let server = self.server.as_deref_mut()?;
            match server.connection.poll_receive(cx, server.wanted) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return self.lose(error),
                Poll::Pending => return None,
            }
            let scanned = match server.scan(&mut self.client, &mut self.output) {
                Ok(scanned) => scanned,
                Err(error) => return self.lose(error),
            };
            if self.poll_relay(cx).is_err() {
                return Some(Step::End);
            }
            match scanned {
                Scanned::More(wanted) => {
                    self.server.as_deref_mut()?.wanted = wanted;
                    continue;
                }
                Scanned::Unsettled => return Some(Step::Settle),
                Scanned::Ready => {}
            }
            self.server.as_deref_mut()?.wanted = 0;
            self.count_unit();
            self.release_if_done();
        }
    }

    /// Sends what is cleared to the client: straight from where it was received if nothing of ours
    /// is in front of it.
    fn poll_relay(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(server) = self.server.as_deref_mut() else { return Ok(()) };
        if server.cleared == 0 {
            return Ok(());
        }
        self.flush = true;
        if !self.output.is_empty() {
            server.cut(0, &mut self.output);
            return self.poll_flush(cx);
        }
        while server.cleared > 0 {
            let cleared = server.connection.received().get(..server.cleared).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write(cx, cleared) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    server.connection.consume(written);
                    server.cleared -= written;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    /// Gives the connection back when the client needs it no more.
    fn release_if_done(&mut self) {
        let Some(server) = self.server.as_deref_mut() else { return };
        let done = server.is_free()
            && server.status() == TransactionStatus::Idle
            && server.cancelling.is_none()
            && server.passing == 0
            && !server.uploading
            && !server.replay.is_due()
            && server.touched.is_none()
            && self.client.mode != Mode::Session;
        if !done {
            return;
        }
        // What the client's socket did not take must not hold the connection up.
        if server.cleared > 0 {
            server.cut(0, &mut self.output);
        }
        let now = self.now();
        if let Some(server) = self.server.take() {
            server.release(now);
        }
    }

    /// Takes messages from `input`; whether any was taken.
    fn take_input(&mut self) -> Result<bool, Step> {
        if self.input.len() < self.needed {
            return Ok(false);
        }
        let mut input = std::mem::take(&mut self.input);
        let (taken, flow) = self.take_messages(&input);
        if taken < input.len() {
            input.advance(taken);
            self.input = input;
        }
        flow.map(|()| taken > 0)
    }

    fn may_read(&self) -> bool {
        if self.leaving || self.breach.is_some() {
            return false;
        }
        let backlog = self.server.as_ref().map_or(0, |server| server.connection.unsent());
        let ahead = self.needed.max(READ_AHEAD);
        backlog < HIGH_WATER && self.output.len() < HIGH_WATER && self.input.len() < ahead
    }

    /// Reads once and takes the messages that came.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Step>> {
        if !self.input.is_empty() {
            return self.poll_read_more(cx);
        }
        let mut chunk = [const { MaybeUninit::uninit() }; READ_CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        match Pin::new(&mut self.stream).poll_read(cx, &mut chunk) {
            Poll::Ready(Ok(())) if !chunk.filled().is_empty() => {}
            Poll::Ready(_) => return Poll::Ready(Err(Step::End)),
            Poll::Pending => return Poll::Pending,
        }
        self.was_active |= self.clock.waits_for_client();
        let (taken, flow) = self.take_messages(chunk.filled());
        let rest = chunk.filled().get(taken..).unwrap_or_default();
        if !rest.is_empty() {
            self.input.extend_from_slice(rest);
        }
        Poll::Ready(flow)
    }

    /// Reads behind what waits in `input`.
    fn poll_read_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Step>> {
        let missing = self.needed.saturating_sub(self.input.len());
        self.input.reserve(missing.clamp(READ_CHUNK, HIGH_WATER));
        let read = {
            let reading = tokio::io::AsyncReadExt::read_buf(&mut self.stream, &mut self.input);
            std::future::Future::poll(std::pin::pin!(reading), cx)
        };
        match read {
            Poll::Ready(Ok(1..)) => {
                self.was_active |= self.clock.waits_for_client();
                Poll::Ready(self.take_input().map(drop))
            }
            Poll::Ready(_) => Poll::Ready(Err(Step::End)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Writes what waits for the client, if it may go out.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.flush && self.output.len() < HIGH_WATER {
            return Ok(());
        }
        while !self.output.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.output) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => self.output.advance(written),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        if self.output.is_empty() {
            self.flush = false;
            if self.output.capacity() > 0 {
                // An idle client holds no buffer.
                self.output = BytesMut::new();
            }
        }
        Ok(())
    }
}
