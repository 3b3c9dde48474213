//! One backend: a DSN, or the same in single settings, with its pool and its behaviour.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::{BehaviorConfig, GoDuration, PoolConfig, SettingError};
use crate::dsn::names::Named;
use crate::dsn::settings::Settings;
use crate::dsn::{
    ChannelBinding, ConnectParams, Dsn, DsnError, SslMode, SslNegotiation, TargetSessionAttrs,
};
use crate::secret::Secret;

/// A PostgreSQL server (or several, of which one will do), with its pool.
///
/// Either `dsn` or `host` is set; an empty text counts as not set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackendConfig {
    /// Connection string: postgres://user:password@host:5432/dbname, or key=value pairs.
    pub dsn: Option<Dsn>,
    /// Host name, address or socket directory; instead of dsn. Several are separated by commas.
    pub host: Option<String>,
    /// Port; 5432 when not set.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Database; the user's name when not set.
    pub database: Option<String>,
    /// Role to log in as.
    pub user: Option<String>,
    /// Password.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "Option<String>")]
    pub password: Option<Secret>,
    /// TLS: disable, allow, prefer, require, verify-ca or verify-full; prefer when not set.
    pub sslmode: Option<SslMode>,
    /// How TLS begins: postgres (the server is asked) or direct (PostgreSQL 17 and newer); postgres
    /// when not set.
    pub sslnegotiation: Option<SslNegotiation>,
    /// File of trusted root certificates (PEM), or system for the system's.
    pub sslrootcert: Option<String>,
    /// File of the client certificate (PEM).
    pub sslcert: Option<String>,
    /// File of the client certificate's key (PEM).
    pub sslkey: Option<String>,
    /// SCRAM channel binding: disable, prefer or require; prefer when not set.
    pub channel_binding: Option<ChannelBinding>,
    /// Which of several hosts will do: any, read-write, read-only, primary, standby or
    /// prefer-standby; any when not set.
    pub target_session_attrs: Option<TargetSessionAttrs>,
    /// Time for connecting to one address, TLS and login included; 5s when not set.
    pub connect_timeout: Option<GoDuration>,
    /// application_name of the connections; rr-pgpool when not set.
    pub application_name: Option<String>,
    /// Settings of each connection, such as -c work_mem=64MB.
    pub options: Option<String>,
    /// Whether TCP keepalives are sent; true when not set.
    pub keepalives: Option<bool>,
    /// Idle time before the first keepalive; the system's when not set.
    pub keepalives_idle: Option<GoDuration>,
    /// Size and timing of the pool.
    pub pool: PoolConfig,
    /// How connections behave.
    pub behavior: BehaviorConfig,
}

fn masked<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => serializer.collect_str(secret),
        None => serializer.serialize_none(),
    }
}

/// A text that is set to something.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

impl BackendConfig {
    /// A backend with a DSN and every default.
    pub fn from_dsn(dsn: impl Into<Dsn>) -> Self {
        Self { dsn: Some(dsn.into()), ..Self::default() }
    }

    /// Whether anything says whom to connect to.
    pub fn has_address(&self) -> bool {
        given(self.dsn_text()).is_some() || given(self.host.as_deref()).is_some()
    }

    fn dsn_text(&self) -> Option<&str> {
        self.dsn.as_ref().map(Dsn::expose)
    }

    /// The same server, logged in to as another role, with the same pool and behaviour.
    ///
    /// # Errors
    /// As [`connect_params`](Self::connect_params).
    pub fn logged_in_as(&self, user: &str, password: &Secret) -> Result<Self, SettingError> {
        let mut params = self.connect_params()?;
        user.clone_into(&mut params.user);
        params.password = Some(password.clone()).filter(|password| !password.expose().is_empty());
        let mut other = Self::from_dsn(params.to_dsn().expose());
        other.pool = self.pool.clone();
        other.behavior = self.behavior.clone();
        Ok(other)
    }

    /// Checks the address, the pool and the behaviour.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        self.connect_params()?;
        self.pool.validate().map_err(|error| error.within("pool"))?;
        self.behavior.validate().map_err(|error| error.within("behavior"))
    }

    /// What to connect to: the DSN, or the single settings, with every default filled in.
    ///
    /// # Errors
    /// Neither or both are given, or one of them cannot be used. Passwords are never repeated.
    pub fn connect_params(&self) -> Result<ConnectParams, SettingError> {
        let settings = self.single_settings();
        if given(self.dsn_text()).is_some() {
            if let Some((keyword, _)) = settings.first() {
                let key = setting_name(keyword);
                let reason = format!(
                    "is set beside dsn; put it into the dsn, or replace the dsn by host, port, \
                     database, user and password (both name a {key})"
                );
                let reason = match key {
                    "host" | "port" | "database" | "user" | "password" => reason,
                    _ => format!("is set beside dsn; put it into the dsn as {keyword}=..."),
                };
                return Err(SettingError::new(key, reason));
            }
            let dsn = self.dsn.as_ref().map(Dsn::parse);
            return dsn
                .unwrap_or_else(|| crate::dsn::parse(""))
                .map_err(|error| SettingError::new("dsn", error.to_string()));
        }
        if given(self.host.as_deref()).is_none() {
            return Err(SettingError::new(
                "dsn",
                "is missing: give dsn: postgres://user:password@host:5432/dbname, or host, \
                 database, user and password",
            ));
        }
        let mut all = Settings::default();
        for (keyword, value) in settings {
            all.set(keyword, value);
        }
        all.build().map_err(|error| match error {
            DsnError::Value { keyword, reason } => SettingError::new(setting_name(keyword), reason),
            other => SettingError::new("host", other.to_string()),
        })
    }

    /// The settings other than `dsn` that are given, by libpq's keywords.
    fn single_settings(&self) -> Vec<(&'static str, String)> {
        let text = |text: &Option<String>| given(text.as_deref()).map(str::to_owned);
        let pairs = [
            ("host", text(&self.host)),
            ("port", self.port.map(|port| port.to_string())),
            ("dbname", text(&self.database)),
            ("user", text(&self.user)),
            ("password", given(self.password.as_ref().map(Secret::expose)).map(str::to_owned)),
            ("sslmode", self.sslmode.map(|mode| mode.word().to_owned())),
            ("sslnegotiation", self.sslnegotiation.map(|how| how.word().to_owned())),
            ("sslrootcert", text(&self.sslrootcert)),
            ("sslcert", text(&self.sslcert)),
            ("sslkey", text(&self.sslkey)),
            ("channel_binding", self.channel_binding.map(|mode| mode.word().to_owned())),
            ("target_session_attrs", self.target_session_attrs.map(|at| at.word().to_owned())),
            ("connect_timeout", self.connect_timeout.map(|time| time.to_string())),
            ("application_name", self.application_name.clone()),
            ("options", text(&self.options)),
            ("keepalives", self.keepalives.map(|on| u8::from(on).to_string())),
            ("keepalives_idle", self.keepalives_idle.map(|time| time.to_string())),
        ];
        pairs.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect()
    }
}

/// The name of a libpq keyword among the settings.
fn setting_name(keyword: &'static str) -> &'static str {
    if keyword == "dbname" { "database" } else { keyword }
}

#[cfg(test)]
mod tests;
