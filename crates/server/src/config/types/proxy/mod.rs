//! `proxy`: the PostgreSQL front door.

mod tls;
mod users;

use std::collections::BTreeMap;

use pgwire_proxy::{Credential, User};
use pool_manager::config::{BackendConfig, GoDuration, SettingError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use tls::{ProxyTlsConfig, TlsMode};
pub use users::UserConfig;

use crate::config::values::{FileMode, ListenAddress, OptionalAddress};

/// Most users.
const MAX_USERS: usize = 10_000;
/// Longest name that PostgreSQL keeps apart.
const MAX_NAME: usize = 63;
/// What `auth_query: default` stands for; pg_authid is for superusers only.
const DEFAULT_AUTH_QUERY: &str = "SELECT rolname, rolpassword, rolvaliduntil FROM pg_authid \
                                  WHERE rolname = $1 AND rolcanlogin";

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
    pub users: BTreeMap<String, UserConfig>,
    /// Query for users who are not named: their name is $1, and it answers with name, stored password
    /// and, as it likes, until when that is valid; default = pg_authid, empty = none.
    pub auth_query: String,
    /// Users who may give orders in the admin console (database pgbouncer or pgpool).
    pub admin_users: Vec<String>,
    /// Users who may look at it.
    pub stats_users: Vec<String>,
    /// A client that has had a transaction open this long is disconnected; 0 = never.
    pub transaction_timeout: GoDuration,
    /// A client that has waited this long for a server connection is told so by a notice; 0 = never.
    pub wait_notice: GoDuration,
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
            auth_query: String::new(),
            admin_users: Vec::new(),
            stats_users: Vec::new(),
            transaction_timeout: GoDuration::ZERO,
            wait_notice: GoDuration::from_secs(5),
        }
    }
}

/// Who may use one database, and how they prove it.
pub struct DoorKeys {
    /// How they prove it.
    pub mode: AuthMode,
    /// Users who are named.
    pub users: Vec<User>,
    /// The query for all others.
    pub auth_query: Option<String>,
}

/// A list of users of the admin console.
fn check_names(key: &str, users: &[String]) -> Result<(), SettingError> {
    if users.len() > MAX_USERS {
        return Err(SettingError::new(key, format!("more than {MAX_USERS} users")));
    }
    match users.iter().find(|name| !(1..=MAX_NAME).contains(&name.len())) {
        Some(_) => Err(SettingError::new(key, format!("a user's name has 1 to {MAX_NAME} bytes"))),
        None => Ok(()),
    }
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
        for (key, users) in [("admin_users", &self.admin_users), ("stats_users", &self.stats_users)]
        {
            check_names(key, users)?;
        }
        let needs_password =
            !matches!(self.auth_mode, Some(AuthMode::None | AuthMode::Trust | AuthMode::Cert));
        for (name, user) in &self.users {
            user.validate(name, needs_password).map_err(|error| error.within("users"))?;
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

    fn auth_query(&self) -> Option<String> {
        match self.auth_query.trim() {
            "" => None,
            "default" => Some(DEFAULT_AUTH_QUERY.to_owned()),
            query => Some(query.to_owned()),
        }
    }

    /// Who may use the database behind `backend`.
    ///
    /// # Errors
    /// Nobody could log in, or everybody who should not.
    pub fn keys_for(&self, backend: &BackendConfig) -> Result<DoorKeys, SettingError> {
        let params = backend.connect_params()?;
        let own = params.password.filter(|password| !password.expose().is_empty());
        let known = !self.users.is_empty() || own.is_some() || !self.auth_query.is_empty();
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
        let users = if self.users.is_empty() {
            let credential = own.is_some().then(|| Credential::plain(own.unwrap_or_default()));
            vec![User::new(params.user, credential)]
        } else {
            let named = |(name, user): (&String, &UserConfig)| user.user(name, mode.into());
            let users = self.users.iter().map(named).collect::<Result<_, _>>();
            users.map_err(|error| error.within("users"))?
        };
        Ok(DoorKeys { mode, users, auth_query: self.auth_query() })
    }
}
