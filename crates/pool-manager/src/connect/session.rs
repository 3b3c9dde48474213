//! Startup and authentication on an open stream, by tokio-postgres, in the two forms in which a
//! session is used afterwards. It never opens sockets and never decides about TLS.

use std::future::{Future, Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config};

use super::error::ConnectCause;
use super::startup::{Afterwards, Record, SharedRecord, Startup};
use super::stream::ServerStream;
use super::tls::tls_server_end_point;
use crate::dsn;

/// The future that moves a [`Client`]'s bytes; it ends when the client is dropped.
pub type ClientDriver =
    Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static>>;

/// Why a session did not start.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: ConnectCause,
    /// The server turned us away before it asked who we are: pg_hba.conf has no place for this
    /// kind of connection, and the other kind (with or without TLS) may have one.
    pub(super) refused_by_hba: bool,
}

impl From<ConnectCause> for Failure {
    fn from(cause: ConnectCause) -> Self {
        Self { cause, refused_by_hba: false }
    }
}

/// A way to use a session once it has started.
pub(super) trait Session: Sized + Send {
    /// Starts a session on `stream`.
    fn start(
        stream: ServerStream,
        config: &Config,
    ) -> impl Future<Output = Result<(Self, Record), Failure>> + Send;
}

/// The bare stream, quiet and exactly behind ReadyForQuery.
pub(super) struct RawSession(pub(super) ServerStream);

impl Session for RawSession {
    async fn start(stream: ServerStream, config: &Config) -> Result<(Self, Record), Failure> {
        let binding = channel_binding(&stream);
        let record = SharedRecord::default();
        let mut startup = Startup::new(stream, Afterwards::HandBack, record.clone());
        // Lent, not given: when tokio-postgres' two halves are dropped, the stream is still ours.
        // Dropping them writes nothing; only polling the second half would send Terminate.
        let started = config.connect_raw(&mut startup, Secured(binding)).await.map(drop);
        if let Err(error) = started {
            return Err(failure(record.take(), &error, config));
        }
        let stream = startup.into_stream().ok_or(ConnectCause::Closed)?;
        Ok((Self(stream), record.take()))
    }
}

/// tokio-postgres' own client with the future that drives it.
pub(super) struct ClientSession {
    pub(super) client: Client,
    pub(super) driver: ClientDriver,
}

impl Session for ClientSession {
    async fn start(stream: ServerStream, config: &Config) -> Result<(Self, Record), Failure> {
        let binding = channel_binding(&stream);
        let record = SharedRecord::default();
        let startup = Startup::new(stream, Afterwards::PassThrough, record.clone());
        match config.connect_raw(startup, Secured(binding)).await {
            Ok((client, driver)) => Ok((Self { client, driver: Box::pin(driver) }, record.take())),
            Err(error) => Err(failure(record.take(), &error, config)),
        }
    }
}

/// tokio-postgres' configuration for these parameters. Hosts, timeouts and TLS are not its business
/// here: it always believes to have "direct" TLS, and [`Secured`] stands in for the handshake, which
/// is long done (or, on a plain stream, not wanted).
pub(super) fn startup_config(params: &dsn::ConnectParams) -> Config {
    let mut config = Config::new();
    config
        .user(&params.user)
        .dbname(&params.database)
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct)
        .channel_binding(match params.channel_binding {
            dsn::ChannelBinding::Disable => tokio_postgres::config::ChannelBinding::Disable,
            dsn::ChannelBinding::Prefer => tokio_postgres::config::ChannelBinding::Prefer,
            dsn::ChannelBinding::Require => tokio_postgres::config::ChannelBinding::Require,
        });
    if let Some(password) = &params.password {
        config.password(password.expose());
    }
    if let Some(name) = &params.application_name {
        config.application_name(name);
    }
    if let Some(options) = &params.options {
        config.options(options);
    }
    config
}

fn channel_binding(stream: &ServerStream) -> Option<Vec<u8>> {
    let ServerStream::Tls(tls) = stream else { return None };
    tls_server_end_point(tls.get_ref().1.peer_certificates()?.first()?)
}

/// The most telling account of a failed startup: the server's own words, then what happened on the
/// stream, then tokio-postgres' view.
fn failure(record: Record, error: &tokio_postgres::Error, config: &Config) -> Failure {
    let refused_by_hba = !record.authenticating
        && record.error.as_ref().is_some_and(|error| error.code.class() == "28");
    let no_password = record.password_asked && config.get_password().is_none();
    let cause = match (record.error, record.failure) {
        (Some(error), _) => ConnectCause::Server(Box::new(error)),
        (None, _) if no_password => ConnectCause::PasswordMissing,
        (None, Some(failure)) => failure,
        (None, None) => from_client(error),
    };
    Failure { cause, refused_by_hba }
}

fn from_client(error: &tokio_postgres::Error) -> ConnectCause {
    let kind = error.to_string();
    let text = std::error::Error::source(error).map_or(kind.clone(), ToString::to_string);
    // The kind itself is private there; a test below keeps this text honest.
    match kind.as_str() {
        "authentication error" => ConnectCause::Authentication(text),
        _ => ConnectCause::Protocol(text),
    }
}

/// Stands in for the TLS handshake: passes the stream on as it is, with the channel binding that the
/// real handshake yielded, if there was one.
struct Secured(Option<Vec<u8>>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsConnect<S> for Secured {
    type Stream = SecuredStream<S>;
    type Error = io::Error;
    type Future = Ready<io::Result<SecuredStream<S>>>;

    fn connect(self, stream: S) -> Self::Future {
        ready(Ok(SecuredStream { stream, binding: self.0 }))
    }
}

/// What [`Secured`] makes of a stream.
struct SecuredStream<S> {
    stream: S,
    binding: Option<Vec<u8>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for SecuredStream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.binding {
            Some(binding) => ChannelBinding::tls_server_end_point(binding.clone()),
            None => ChannelBinding::none(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SecuredStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SecuredStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
