//! From a new connection to a session: what the client asks for, who it is, and the welcome.
//!
//! ```text
//! SSLRequest ──► S, or TLS at once ──► TLS ──┐
//! SSLRequest, GSSENCRequest ──► N ───────────┴► StartupMessage ─► proof ─► settings ─► ReadyForQuery
//! CancelRequest ──► the session concerned
//! ```

mod console;
mod options;
mod welcome;
mod wire;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use pool_manager::{Error, ServerError, Settings, SqlState, TransactionStatus};

use crate::admin::{Console, Rank};
use crate::auth::{AuthMode, Claim, Exchange, Step, UserRules};
use crate::database::{Database, Mode};
use crate::limit::Seat;
use crate::message::backend;
use crate::message::startup::{self, Opening, Startup, StartupError};
use crate::proxy::Proxy;
use crate::signals::{Registration, Visitor};
use crate::stream::ClientStream;
use crate::tls::TlsMode;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use options::startup_settings;
pub(crate) use welcome::{Welcome, Welcomes};
use wire::Wire;

/// Longest name of a user or database that PostgreSQL keeps apart; it cuts longer ones.
const MAX_NAME: usize = 63;

/// How it ended.
pub(crate) enum Login {
    /// A session begins.
    Accepted(Box<Client>),
    /// One of the admin console.
    Console(Box<Console>),
    /// Nothing more to do with this connection.
    Over,
}

/// A client that is let in.
pub(crate) struct Client {
    pub(crate) stream: ClientStream,
    /// What it sent after its startup message.
    pub(crate) input: BytesMut,
    pub(crate) welcome: Arc<Welcome>,
    pub(crate) registration: Registration,
    /// Its places at the door, of the database and of its user.
    pub(crate) seats: Vec<Seat>,
}

/// Why a client is not let in.
pub(crate) enum Refusal {
    /// It is told this.
    Told(Box<ServerError>),
    /// It is gone, or talks something else: nothing is said.
    Silent,
}

impl From<io::Error> for Refusal {
    fn from(_: io::Error) -> Self {
        Self::Silent
    }
}

impl Refusal {
    pub(crate) fn new(code: SqlState, message: impl Into<String>) -> Self {
        Self::Told(Box::new(ServerError::new(code, message)))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Told(Box::new(error.to_server_error()))
    }
}

/// Talks to a new client until its session begins or the connection has served its purpose.
pub(crate) async fn login(proxy: &Arc<Proxy>, stream: ClientStream) -> Login {
    let mut wire = Wire::new(stream);
    let limit = proxy.options().login_timeout;
    let refusal = match tokio::time::timeout(limit, admit(proxy, &mut wire)).await {
        Ok(Ok(Some(guest))) => return guest.seated(wire),
        Ok(Ok(None)) => return Login::Over,
        Ok(Err(refusal)) => refusal,
        Err(_) => Refusal::new(SqlState::QUERY_CANCELED, "canceling authentication due to timeout"),
    };
    if let Refusal::Told(mut error) = refusal {
        proxy.count_refused();
        error.severity = "FATAL".to_owned();
        tracing::debug!(sqlstate = %error.code, "client refused: {error}");
        wire.say(|out| backend::error(out, &error));
        let _ = tokio::time::timeout(Duration::from_secs(1), wire.end()).await;
    }
    Login::Over
}

/// A client without its connection, which the caller has.
struct Guest {
    place: Place,
    registration: Registration,
}

/// Where it is let in.
enum Place {
    Database(Arc<Welcome>, Vec<Seat>),
    Console(Box<str>, Rank),
}

impl Guest {
    fn seated(self, wire: Wire) -> Login {
        let Self { place, registration } = self;
        let (Some(stream), input) = wire.into_parts() else { return Login::Over };
        match place {
            Place::Database(welcome, seats) => {
                Login::Accepted(Box::new(Client { stream, input, welcome, registration, seats }))
            }
            Place::Console(user, rank) => {
                Login::Console(Box::new(Console { stream, input, registration, user, rank }))
            }
        }
    }
}

/// Who has come.
enum Arrival {
    /// Somebody whose startup packet came before, and was good.
    Known(Arc<Welcome>),
    /// Somebody else, with this packet.
    New(Startup, Box<[u8]>),
}

async fn admit(proxy: &Arc<Proxy>, wire: &mut Wire) -> Result<Option<Guest>, Refusal> {
    let (welcome, seats) = match open(proxy, wire).await? {
        Some(Arrival::Known(welcome)) => {
            let mut seats = vec![enter(proxy)?];
            prove(proxy, wire, &welcome.asked, &welcome.user, &mut seats).await?;
            (welcome, seats)
        }
        Some(Arrival::New(startup, _)) if console::is_asked_for(proxy, &startup) => {
            return Box::pin(console::admit(proxy, wire, &startup)).await.map(Some);
        }
        Some(Arrival::New(startup, packet)) => {
            Box::pin(introduce(proxy, wire, &startup, packet)).await?
        }
        None => return Ok(None),
    };
    let (peer, local, tls) = wire.ends();
    let since = SystemTime::now();
    let visitor = Visitor { welcome: Arc::clone(&welcome), peer, local, tls, since };
    let registration = proxy.registry.register(welcome.minor, Some(visitor));
    welcome.database.counters().logged_in();
    wire.say(|out| {
        out.extend_from_slice(&welcome.statuses);
        backend::key_data(out, &registration.key);
        backend::ready(out, TransactionStatus::Idle);
    });
    wire.send().await?;
    Ok(Some(Guest { place: Place::Database(welcome, seats), registration }))
}

/// Finds out what a new startup packet leads to.
async fn introduce(
    proxy: &Arc<Proxy>,
    wire: &mut Wire,
    startup: &Startup,
    packet: Box<[u8]>,
) -> Result<(Arc<Welcome>, Vec<Seat>), Refusal> {
    let user = named_user(startup)?;
    let negotiated = negotiate(startup, wire);
    refuse_replication(startup)?;
    let mut seats = vec![enter(proxy)?];
    let name = startup.get("database").filter(|name| !name.is_empty()).unwrap_or(user);
    let (user, name) = (cut(user), cut(name));
    let database = proxy.database(name);
    let asked = database.clone().or_else(|| proxy.any_database()).ok_or(Refusal::Silent)?;
    let role = prove(proxy, wire, &asked, user, &mut seats).await?;
    let asked = database.ok_or_else(|| unknown_database(proxy, name))?;
    let settings = options::settings(startup, role.as_deref())?;
    check_settings(&settings, asked.mode)?;
    let database = asked.of_user(user);
    let settings = database.share_settings(settings);
    let parameters = database.greeting(&settings).await?;
    let welcome = Arc::new(Welcome::new(user, startup.minor, &asked, settings, parameters));
    if !negotiated {
        proxy.welcomes.put(packet, &welcome);
    }
    Ok((welcome, seats))
}

fn named_user(startup: &Startup) -> Result<&str, Refusal> {
    startup.get("user").filter(|user| !user.is_empty()).ok_or_else(|| {
        let code = SqlState::INVALID_AUTHORIZATION;
        Refusal::new(code, "no PostgreSQL user name specified in startup packet")
    })
}

fn enter(proxy: &Proxy) -> Result<Seat, Refusal> {
    proxy.enter().ok_or_else(|| {
        Refusal::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
    })
}

/// Reads up to the startup message; `None` when there is none to come.
async fn open(proxy: &Arc<Proxy>, wire: &mut Wire) -> Result<Option<Arrival>, Refusal> {
    let (mut tls_asked, mut gss_asked) = (false, false);
    let options = proxy.options();
    let tls = options.tls.as_ref().filter(|tls| tls.mode() != TlsMode::Disable);
    if let Some(tls) = tls
        && wire.begins_with_tls().await?
    {
        wire.begin_with_tls(tls).await?;
    }
    loop {
        let len = wire.packet().await?;
        let packet = wire.front(len);
        let needs_tls = tls.is_some_and(|tls| tls.mode() >= TlsMode::Require);
        if needs_tls && wire.is_plain_tcp() && startup::begins_session(packet) {
            return Err(tls_is_required());
        }
        if let Some(welcome) = proxy.welcomes.get(packet) {
            wire.consume(len);
            return Ok(Some(Arrival::Known(welcome)));
        }
        let opening = startup::read(packet.get(4..).unwrap_or_default());
        let opening = opening.map_err(|error| match error {
            StartupError::CancelKey => Refusal::Silent,
            told => Refusal::new(SqlState::PROTOCOL_VIOLATION, told.to_string()),
        })?;
        let packet = matches!(opening, Opening::Startup(_)).then(|| packet.into());
        wire.consume(len);
        match opening {
            Opening::Tls if !std::mem::replace(&mut tls_asked, true) => {
                match tls.filter(|_| wire.is_plain_tcp()) {
                    Some(tls) => wire.agree_to_tls(tls).await?,
                    None => wire.refuse_encryption(),
                }
            }
            Opening::Gss if !std::mem::replace(&mut gss_asked, true) => wire.refuse_encryption(),
            Opening::Tls => return Err(unsupported(1234, 5679)),
            Opening::Gss => return Err(unsupported(1234, 5680)),
            Opening::Cancel(key) => {
                proxy.registry.cancel(&key).await;
                return Ok(None);
            }
            Opening::Version { major, minor } => return Err(unsupported(major, minor)),
            Opening::Startup(startup) => {
                return Ok(Some(Arrival::New(startup, packet.unwrap_or_default())));
            }
        }
        wire.send().await?;
    }
}

fn tls_is_required() -> Refusal {
    let mut error = ServerError::new(SqlState::INVALID_AUTHORIZATION, "SSL connection is required");
    error.hint = Some("Connect with sslmode=require, or one of the verify modes.".to_owned());
    Refusal::Told(Box::new(error))
}

fn unsupported(major: u16, minor: u16) -> Refusal {
    Refusal::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2"),
    )
}

/// A newer minor version and unknown `_pq_.` options are told to be neither; whether there were any.
fn negotiate(startup: &Startup, wire: &mut Wire) -> bool {
    let names = startup.parameters.iter().map(|(name, _)| name.as_str());
    let unknown: Vec<&str> = names.filter(|name| name.starts_with("_pq_.")).collect();
    let asks_for_more = startup.minor > startup::PROTOCOL_MINOR || !unknown.is_empty();
    if asks_for_more {
        let minor = startup.minor.min(startup::PROTOCOL_MINOR);
        wire.say(|out| backend::negotiate_version(out, minor, &unknown));
    }
    asks_for_more
}

fn refuse_replication(startup: &Startup) -> Result<(), Refusal> {
    let off = ["false", "off", "no", "0", "f", "n"];
    match startup.get("replication") {
        Some(value) if !off.contains(&value.to_ascii_lowercase().as_str()) => Err(Refusal::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "replication connections cannot go through rr-pgpool; connect to the server itself",
        )),
        _ => Ok(()),
    }
}

/// As PostgreSQL does with names that are too long for it.
fn cut(name: &str) -> &str {
    let end = (0..=MAX_NAME.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
    name.get(..end.unwrap_or_default()).unwrap_or(name)
}

fn unknown_database(proxy: &Proxy, name: &str) -> Refusal {
    let mut error =
        ServerError::new(SqlState::UNKNOWN_DATABASE, format!("database \"{name}\" does not exist"));
    error.hint = Some(format!(
        "rr-pgpool knows these: {}; and the names that they have at their servers.",
        proxy.database_names()
    ));
    Refusal::Told(Box::new(error))
}

/// What would have statements read differently than they are here, where that matters.
fn check_settings(settings: &Settings, mode: Mode) -> Result<(), Refusal> {
    let strings = settings.get("standard_conforming_strings");
    if mode != Mode::Session && strings.is_some_and(|value| value != "on") {
        return Err(Refusal::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!(
                "standard_conforming_strings must be on in {} mode; it is off in session mode only",
                mode.word()
            ),
        ));
    }
    Ok(())
}

/// Has the client prove that it is `user`, and gives it its places; the role that it is to take on.
async fn prove(
    proxy: &Proxy,
    wire: &mut Wire,
    database: &Database,
    user: &str,
    seats: &mut Vec<Seat>,
) -> Result<Option<String>, Refusal> {
    let rules = identify(proxy, wire, database, user).await?;
    if let Some(rules) = &rules {
        seats.push(rules.limit.enter().ok_or_else(|| {
            let message = format!("too many connections for role \"{user}\"");
            Refusal::new(SqlState::TOO_MANY_CONNECTIONS, message)
        })?);
    }
    if database.is_disabled() {
        let name = database.name();
        let message = format!("database \"{name}\" is disabled by an administrator (DISABLE)");
        return Err(Refusal::new(SqlState::CANNOT_CONNECT_NOW, message));
    }
    seats.push(database.enter().ok_or_else(|| {
        let message = format!("too many connections for database \"{}\"", database.pool().name());
        Refusal::new(SqlState::TOO_MANY_CONNECTIONS, message)
    })?);
    Ok(rules.and_then(|rules| rules.role.clone()))
}

/// Has the client prove that it is `user`, and come from where that may.
async fn identify(
    proxy: &Proxy,
    wire: &mut Wire,
    database: &Database,
    user: &str,
) -> Result<Option<Arc<UserRules>>, Refusal> {
    let users = &database.users;
    let options = proxy.options();
    let strict = options.tls.as_ref().is_some_and(|tls| tls.mode() == TlsMode::VerifyFull);
    let certified = users.mode() == AuthMode::Cert || (strict && !wire.is_unix());
    if certified && wire.certified_name().as_deref() != Some(user) {
        return Err(Refusal::new(
            SqlState::INVALID_AUTHORIZATION,
            format!("certificate authentication failed for user \"{user}\""),
        ));
    }
    let Claim { exchange, rules } = users.claim(user, wire.binding()).await?;
    ask(wire, exchange, user).await.inspect_err(|_| users.doubt(user))?;
    if rules.as_ref().is_some_and(|rules| !rules.allows(wire.peer())) {
        return Err(Refusal::new(
            SqlState::INVALID_AUTHORIZATION,
            format!("user \"{user}\" may not connect from this address (proxy.users networks)"),
        ));
    }
    Ok(rules)
}

/// The dialogue of a proof.
async fn ask(wire: &mut Wire, mut exchange: Exchange, user: &str) -> Result<(), Refusal> {
    let mut step = exchange.start();
    loop {
        match step {
            Step::Ask(code, data) => {
                wire.say(|out| backend::authentication(out, code, &data));
                wire.send().await?;
                let answer = wire.answer().await?;
                step = if exchange.is_slow() {
                    let judged = tokio::task::spawn_blocking(move || {
                        let step = exchange.answer(&answer);
                        (exchange, step)
                    });
                    let (back, step) = judged.await.map_err(|_| Refusal::Silent)?;
                    exchange = back;
                    step
                } else {
                    exchange.answer(&answer)
                };
            }
            Step::Accepted(last) => {
                wire.say(|out| {
                    if let Some((code, data)) = last {
                        backend::authentication(out, code, &data);
                    }
                    backend::authentication(out, 0, &[]);
                });
                return Ok(());
            }
            Step::Denied => {
                return Err(Refusal::new(
                    SqlState::INVALID_PASSWORD,
                    format!("password authentication failed for user \"{user}\""),
                ));
            }
            Step::Unknown => {
                let message = format!("role \"{user}\" does not exist");
                return Err(Refusal::new(SqlState::INVALID_AUTHORIZATION, message));
            }
            Step::Malformed(why) => return Err(Refusal::new(SqlState::PROTOCOL_VIOLATION, why)),
        }
    }
}
