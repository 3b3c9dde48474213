//! One address: socket, TLS as `sslmode` says, startup, all within one timeout. It never chooses
//! between hosts and never judges what kind of server answered.

use std::time::Duration;

use super::error::ConnectCause;
use super::session::{Failure, Session};
use super::socket::{Address, Socket};
use super::startup::Record;
use super::stream::ServerStream;
use super::tls::Negotiated;
use super::{Settings, TlsClient};
use crate::dsn::{Host, SslMode};

/// A session that has started, and where.
pub(super) struct Opened<S> {
    pub(super) session: S,
    pub(super) record: Record,
    pub(super) address: Address,
    /// Whether the session is encrypted.
    pub(super) tls: bool,
}

/// What one attempt demands of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    Never,
    IfOffered,
    Always,
}

/// Opens a session at `address`, which is one of `host`'s.
pub(super) async fn open<S: Session>(
    settings: &Settings,
    host: &Host,
    address: &Address,
) -> Result<Opened<S>, ConnectCause> {
    let attempt = by_ssl_mode(settings, host, address);
    within(settings.params.connect_timeout, attempt).await?.map_err(|failure| failure.cause)
}

/// Bounds one step of the search.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, ConnectCause> {
    tokio::time::timeout(limit, work).await.map_err(|_elapsed| ConnectCause::Timeout(limit))
}

/// `allow` and `prefer` have a second way when the first is barred, as libpq documents: no TLS after
/// a failed handshake, or the other kind of connection when pg_hba.conf refuses this one. A wrong
/// password is no reason to show it a second time.
async fn by_ssl_mode<S: Session>(
    settings: &Settings,
    host: &Host,
    address: &Address,
) -> Result<Opened<S>, Failure> {
    let dial = |encryption| dial::<S>(settings, host, address, encryption);
    match settings.params.ssl_mode {
        _ if matches!(address, Address::Unix(_)) => dial(Encryption::Never).await,
        SslMode::Disable => dial(Encryption::Never).await,
        SslMode::Allow => match dial(Encryption::Never).await {
            Err(plain) if plain.refused_by_hba => match dial(Encryption::Always).await {
                Err(Failure { cause: ConnectCause::TlsNotOffered { .. }, .. }) => Err(plain),
                Err(tls) => Err(both_ways(tls.cause, plain.cause)),
                opened => opened,
            },
            result => result,
        },
        SslMode::Prefer => match dial(Encryption::IfOffered).await {
            Err(tls) if tls.is_worth_a_plain_try() => match dial(Encryption::Never).await {
                Err(plain) => Err(both_ways(tls.cause, plain.cause)),
                opened => opened,
            },
            result => result,
        },
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
            dial(Encryption::Always).await
        }
    }
}

fn both_ways(tls: ConnectCause, plain: ConnectCause) -> Failure {
    ConnectCause::BothWays { tls: Box::new(tls), plain: Box::new(plain) }.into()
}

async fn dial<S: Session>(
    settings: &Settings,
    host: &Host,
    address: &Address,
    encryption: Encryption,
) -> Result<Opened<S>, Failure> {
    let socket = address.open(&settings.params).await.map_err(ConnectCause::from_io)?;
    let stream = match (socket, encryption) {
        (Socket::Unix(unix), _) => ServerStream::Unix(unix),
        (Socket::Tcp(tcp), Encryption::Never) => ServerStream::Plain(tcp),
        (Socket::Tcp(tcp), _) => match tls_client(settings)?.negotiate(tcp, host).await? {
            Negotiated::Tls(tls) => ServerStream::Tls(tls),
            Negotiated::NotOffered(tcp) if encryption == Encryption::IfOffered => {
                ServerStream::Plain(tcp)
            }
            Negotiated::NotOffered(_) => {
                return Err(not_offered(settings).into());
            }
        },
    };
    let tls = stream.is_tls();
    match S::start(stream, &settings.startup).await {
        Ok((session, record)) => Ok(Opened { session, record, address: address.clone(), tls }),
        // Without TLS, there is nothing else to try in `prefer`.
        Err(failure) if encryption == Encryption::IfOffered && !tls => Err(failure.cause.into()),
        Err(failure) => Err(failure),
    }
}

impl Failure {
    /// Whether `prefer` should go on without TLS.
    fn is_worth_a_plain_try(&self) -> bool {
        self.refused_by_hba || matches!(self.cause, ConnectCause::Tls(_))
    }
}

/// The TLS client, which is there whenever the parameters can lead to TLS.
pub(super) fn tls_client(settings: &Settings) -> Result<&TlsClient, ConnectCause> {
    settings.tls.as_ref().ok_or_else(|| not_offered(settings))
}

fn not_offered(settings: &Settings) -> ConnectCause {
    ConnectCause::TlsNotOffered { mode: settings.params.ssl_mode }
}
