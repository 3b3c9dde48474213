//! `proxy`: the PostgreSQL front door.

mod tls;

use std::collections::BTreeMap;

use pgwire_proxy::Credential;
use pool_manager::Secret;
use pool_manager::config::{BackendConfig, GoDuration, SettingError};
use schemars::JsonSchema;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

pub use tls::{ProxyTlsConfig, TlsMode};

use crate::config::values::{FileMode, ListenAddress, OptionalAddress};

/// Most users.
const MAX_USERS: usize = 10_000;
/// Longest user name; PostgreSQL cuts longer ones.
const MAX_USER_NAME: usize = 63;

/// Where PostgreSQL clients connect, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyConfig {
    /// Address to listen on: tcp://host:port or unix://path; empty = off.
    pub address: OptionalAddress,
    /// Permissions of the socket file when address is unix://.
    pub file_mode: FileMode,
    /// Allow auth_mode none and trust on an address that other machines reach.
    pub allow_remote: bool,
    /// Most clients at the same time.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_clients: u32,
    /// Time for a client to say who it is and prove it.
    pub login_timeout: GoDuration,
    /// A client that is idle this long outside a transaction is disconnected; 0 = never.
    pub client_timeout: GoDuration,
    /// A client that is idle this long inside a transaction is disconnected; 0 = never.
    pub idle_transaction_timeout: GoDuration,
    /// Longest run time of a client's statement; 0 = no limit.
    pub query_timeout: GoDuration,
    /// How clients prove who they are: none, trust, password, md5, scram-sha-256 or cert; when not set,
    /// scram-sha-256 where a password is known, else trust on loopback and Unix sockets.
    pub auth_mode: Option<AuthMode>,
    /// TLS with clients that connect by TCP.
    pub tls: ProxyTlsConfig,
    /// Users and their passwords or SCRAM verifiers; the backend's own user when empty.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub users: BTreeMap<String, Secret>,
}

/// How clients of the proxy prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum AuthMode {
    /// Not at all: every client is let in, whatever name it gives.
    #[serde(rename = "none")]
    None,
    /// By name alone: the user must exist.
    #[serde(rename = "trust")]
    Trust,
    /// By the password in clear text.
    #[serde(rename = "password")]
    Password,
    /// By MD5 of the password.
    #[serde(rename = "md5")]
    Md5,
    /// By SCRAM-SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// By a TLS certificate in the user's name.
    #[serde(rename = "cert")]
    Cert,
}

impl From<AuthMode> for pgwire_proxy::AuthMode {
    fn from(mode: AuthMode) -> Self {
        match mode {
            AuthMode::None => Self::None,
            AuthMode::Trust => Self::Trust,
            AuthMode::Password => Self::Password,
            AuthMode::Md5 => Self::Md5,
            AuthMode::ScramSha256 => Self::ScramSha256,
            AuthMode::Cert => Self::Cert,
        }
    }
}

fn masked<S: Serializer>(
    users: &BTreeMap<String, Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(users.len()))?;
    for (name, secret) in users {
        map.serialize_entry(name, &secret.to_string())?;
    }
    map.end()
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            address: ListenAddress::tcp("127.0.0.1", 5433).into(),
            file_mode: FileMode::new(0o600),
            allow_remote: false,
            max_clients: 1000,
            login_timeout: GoDuration::from_secs(15),
            client_timeout: GoDuration::ZERO,
            idle_transaction_timeout: GoDuration::ZERO,
            query_timeout: GoDuration::ZERO,
            auth_mode: None,
            tls: ProxyTlsConfig::default(),
            users: BTreeMap::new(),
        }
    }
}

/// Who may use one database, and how they prove it.
pub struct DoorKeys {
    /// How they prove it.
    pub mode: AuthMode,
    /// Users with what is known of their passwords.
    pub users: Vec<(String, Credential)>,
}

impl ProxyConfig {
    /// Checks the limits and the users.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        SettingError::check_range("max_clients", self.max_clients, &(1..=1_000_000))?;
        if self.login_timeout == GoDuration::ZERO {
            return Err(SettingError::new("login_timeout", "must be more than 0"));
        }
        self.tls.validate().map_err(|error| error.within("tls"))?;
        if self.auth_mode == Some(AuthMode::Cert) && self.tls.client_ca.is_none() {
            let reason = "cert needs tls.client_ca, which says whose certificates are good";
            return Err(SettingError::new("auth_mode", reason));
        }
        if self.users.len() > MAX_USERS {
            return Err(SettingError::new("users", format!("more than {MAX_USERS} users")));
        }
        for (name, password) in &self.users {
            let reason = match (name.len(), password.expose()) {
                (0, _) => "a user needs a name",
                (length, _) if length > MAX_USER_NAME => "a user's name has at most 63 bytes",
                (_, "") => "the password is empty; nobody could log in with it",
                _ => continue,
            };
            return Err(SettingError::new(name, reason).within("users"));
        }
        let mode = self.auth_mode.map(pgwire_proxy::AuthMode::from);
        self.check_reach(mode.is_some_and(pgwire_proxy::AuthMode::lets_anybody_in))
    }

    fn is_local(&self) -> bool {
        self.address.get().is_none_or(ListenAddress::is_local)
    }

    fn check_reach(&self, lets_anybody_in: bool) -> Result<(), SettingError> {
        if !lets_anybody_in || self.allow_remote || self.is_local() {
            return Ok(());
        }
        Err(SettingError::new(
            "auth_mode",
            "other machines can reach proxy.address, and everybody would be let in; use \
             scram-sha-256, listen on tcp://127.0.0.1:5433 or unix://, or set \
             proxy.allow_remote: true",
        ))
    }

    /// Who may use the database behind `backend`.
    ///
    /// # Errors
    /// Nobody could log in, or everybody who should not.
    pub fn keys_for(&self, backend: &BackendConfig) -> Result<DoorKeys, SettingError> {
        let params = backend.connect_params()?;
        let own = params.password.filter(|password| !password.expose().is_empty());
        let known = !self.users.is_empty() || own.is_some();
        let mode = self.auth_mode.unwrap_or(match known {
            true => AuthMode::ScramSha256,
            false => AuthMode::Trust,
        });
        let asks = !pgwire_proxy::AuthMode::from(mode).lets_anybody_in();
        if asks && !known && mode != AuthMode::Cert {
            return Err(SettingError::new(
                "users",
                "no password is known that clients could be asked for; name users and their \
                 passwords here",
            ));
        }
        self.check_reach(!asks)?;
        let stored = |(name, secret): (&String, &Secret)| {
            let refuse = |error: pgwire_proxy::BadCredential| {
                SettingError::new(name, error.to_string()).within("users")
            };
            let credential = Credential::stored(name, secret).map_err(refuse)?;
            credential.check(mode.into(), name).map_err(refuse)?;
            Ok((name.clone(), credential))
        };
        let users = if self.users.is_empty() {
            vec![(params.user, Credential::plain(own.unwrap_or_default()))]
        } else {
            self.users.iter().map(stored).collect::<Result<_, _>>()?
        };
        Ok(DoorKeys { mode, users })
    }
}
