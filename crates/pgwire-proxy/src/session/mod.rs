//! One client after its login. Its task drives both sockets, its own and that of whatever server
//! connection it has at the moment, so that no message waits for another task to wake up.
//!
//! ```text
//!            first message of a transaction            ReadyForQuery outside a transaction
//! detached ──────────────────────────────► attached ──────────────────────────────────────► detached
//!               (waits in the pool's queue,          (settings found out if they were touched)
//!                settings put in force)
//! ```
//! In auto mode a client stays attached while it is pinned, and for a moment where it may ask for
//! lastval(). A detached client holds no buffer. Everything that takes more than moving bytes (waiting for a
//! connection, settings, rolling back) is a [`Step`], done by [`serve`] with the loop standing still.

mod asked;
mod attached;
mod calls;
mod cancel;
mod changed;
mod clock;
mod copy;
mod deallocate;
mod expect;
mod extended;
mod failures;
mod input;
mod linger;
mod lost;
mod names;
mod pin;
mod portals;
mod prepare;
mod rate;
mod refusal;
mod relay;
mod renew;
mod replay;
mod replies;
mod route;
mod simple;
mod sockets;
mod steps;
mod unit;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use pool_manager::{Checkout, Parameters, ServerError, Settings, TransactionStatus};

use crate::admin;
use crate::database::{Database, Mode};
use crate::limit::Seat;
use crate::login::{Client, Login, login};
use crate::proxy::Proxy;
use crate::signals::Registration;
use crate::statement::{Statement, context};
use crate::stream::ClientStream;
use asked::Teller;
use attached::Attached;
use clock::Clock;
use input::{Breach, Upload};
use lost::LostTransaction;
use names::Names;
use rate::Rate;
use route::Routing;

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
    /// How readily it keeps its connection for a moment, to ask for lastval().
    linger: linger::Habit,
    /// After an error in a batch, everything up to its Sync is passed over.
    skipping: bool,
    /// Who is told of its statements.
    teller: Option<Teller>,
}

/// Which client uses a connection, and what it may ask of it.
#[derive(Debug, Clone, Copy)]
struct User {
    /// A number that no other client has.
    number: u64,
    /// It is given the time to ask for lastval().
    asks: bool,
}

impl ClientState {
    fn who(&mut self) -> User {
        let asks = self.mode == Mode::Auto && self.linger.grants(&self.database);
        User { number: self.number, asks }
    }

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
    /// Why there was no connection, or that the client asks too often: the answer to all that had
    /// been sent before the client could know. What follows a BEGIN must not run without it.
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
    /// How often the client may ask, where that is limited.
    rate: Option<Box<Rate>>,
    /// Which server it is served by, where there are several.
    routing: Option<Box<Routing>>,
    /// This moment, once somebody has looked at the clock.
    now: Option<Instant>,
    /// Something was done since the clock was last looked at.
    was_active: bool,
    /// The client said goodbye.
    leaving: bool,
    /// It has broken the protocol, and the server ends what it was doing because of it.
    breach: Option<Breach>,
    _seats: Vec<Seat>,
    proxy: Arc<Proxy>,
    /// Its database is configured no more: it goes as soon as it has no connection.
    departs: bool,
}

/// Serves a client from its first byte to its end, and drops `_held` then.
pub(crate) async fn serve(proxy: Arc<Proxy>, stream: ClientStream, _held: impl Send) {
    // A future of its own, so that its memory is given back before the session begins; and the
    // session's loop right here, so that little lies between the runtime and it.
    let mut session = match Box::pin(login(&proxy, stream)).await {
        Login::Accepted(client) => Session::new(&proxy, *client),
        Login::Console(console) => return Box::pin(admin::serve(proxy, *console)).await,
        Login::Over => return,
    };
    loop {
        match poll_fn(|cx| session.poll(cx)).await {
            Step::Attach => Box::pin(session.attach()).await,
            Step::Settle => Box::pin(session.settle()).await,
            Step::End if session.has_ended() => return,
            Step::End => return Box::pin(session.end()).await,
        }
    }
}

impl Session {
    fn new(proxy: &Arc<Proxy>, client: Client) -> Self {
        let options = proxy.options();
        let Client { stream, input, welcome, registration, seats } = client;
        let state = ClientState {
            number: welcome.database.new_number(),
            mode: welcome.database.mode,
            database: Arc::clone(&welcome.database),
            names: Names::default(),
            context: welcome.context.clone(),
            wanted: Arc::clone(&welcome.settings),
            startup: Arc::clone(&welcome.settings),
            told: Arc::clone(&welcome.parameters),
            last_unnamed: None,
            linger: linger::Habit::default(),
            skipping: false,
            teller: options
                .query_log
                .as_ref()
                .map(|log| Teller { log: Arc::clone(log), user: Arc::clone(&welcome.user) }),
        };
        Self {
            clock: Clock::new(&options),
            rate: options.rate_limit.map(Rate::new),
            proxy: Arc::clone(proxy),
            departs: false,
            routing: Routing::new(&state.database),
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
            _seats: seats,
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
            Poll::Pending if self.departs && self.may_depart() => {
                self.depart();
                Poll::Ready(Step::End)
            }
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
            if self.registration.signals.take_renewed() {
                self.renew();
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
            && !server.connection.is_pinned()
            && self.client.mode != Mode::Session;
        if !done || server.lingers(&mut self.client) {
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
}
