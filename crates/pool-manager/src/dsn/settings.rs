//! The pairs of a DSN, or of a structured backend, turned into [`ConnectParams`].

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::names::Named;
use super::{ConnectParams, DsnError, Host, RootCert, SslMode, SslNegotiation};
use crate::config::GoDuration;
use crate::secret::Secret;

/// Port when none is given.
pub const DEFAULT_PORT: u16 = 5432;
/// Time for connecting to one address when none is given.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// `application_name` when none is given.
pub const DEFAULT_APPLICATION_NAME: &str = "rr-pgpool";

/// Most hosts in one DSN.
const MAX_HOSTS: usize = 64;
/// Longest time that a DSN may ask for, in seconds: a day.
const MAX_SECONDS: u64 = 86_400;

/// Values by libpq keyword; a later one replaces an earlier one, as in libpq.
pub(crate) struct Settings {
    values: BTreeMap<&'static str, String>,
    /// Whether values may be repeated in errors; never those of host, user and password.
    pub(crate) echo: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { values: BTreeMap::new(), echo: true }
    }
}

impl Settings {
    pub(crate) fn set(&mut self, keyword: &'static str, value: String) {
        self.values.insert(keyword, value);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of a keyword; an empty one is as good as none, as in libpq.
    fn take(&mut self, keyword: &'static str) -> Option<String> {
        self.values.remove(keyword).filter(|value| !value.is_empty())
    }

    /// Checks every value and fills in the defaults.
    pub(crate) fn build(mut self) -> Result<ConnectParams, DsnError> {
        let hosts = self.hosts()?;
        let user = self
            .take("user")
            .ok_or_else(|| DsnError::value("user", "is missing: name the role to log in as"))?;
        let database = self.take("dbname").unwrap_or_else(|| user.clone());
        let (ssl_mode, ssl_root_cert) = self.tls_trust()?;
        let ssl_negotiation = self.tls_negotiation(ssl_mode)?;
        let (ssl_cert, ssl_key) = self.client_certificate()?;
        Ok(ConnectParams {
            hosts,
            user,
            password: self.take("password").map(Secret::new),
            database,
            ssl_mode,
            ssl_negotiation,
            ssl_root_cert,
            ssl_cert,
            ssl_key,
            channel_binding: self.named("channel_binding")?.unwrap_or_default(),
            target_session_attrs: self.named("target_session_attrs")?.unwrap_or_default(),
            connect_timeout: self.connect_timeout()?,
            application_name: self.application_name(),
            options: self.take("options"),
            keepalives: self.switch("keepalives", true)?,
            keepalives_idle: self.seconds("keepalives_idle")?.filter(|time| !time.is_zero()),
        })
    }

    fn application_name(&mut self) -> Option<String> {
        match self.values.remove("application_name") {
            None => Some(DEFAULT_APPLICATION_NAME.to_owned()),
            Some(name) => Some(name).filter(|name| !name.is_empty()),
        }
    }

    fn connect_timeout(&mut self) -> Result<Duration, DsnError> {
        match self.seconds("connect_timeout")? {
            None => Ok(DEFAULT_CONNECT_TIMEOUT),
            Some(time) if time.is_zero() => Err(DsnError::value(
                "connect_timeout",
                "must be more than 0: waiting without end is not offered",
            )),
            Some(time) => Ok(time),
        }
    }

    fn tls_trust(&mut self) -> Result<(SslMode, Option<RootCert>), DsnError> {
        let mode: Option<SslMode> = self.named("sslmode")?;
        match self.take("sslrootcert") {
            Some(system) if system == "system" => match mode {
                None | Some(SslMode::VerifyFull) => {
                    Ok((SslMode::VerifyFull, Some(RootCert::System)))
                }
                Some(_) => Err(DsnError::value(
                    "sslmode",
                    "must be verify-full with sslrootcert=system, else any certificate of any \
                     public authority would do",
                )),
            },
            file => {
                let root = file.map(|file| RootCert::File(PathBuf::from(file)));
                Ok((mode.unwrap_or_default(), root))
            }
        }
    }

    fn tls_negotiation(&mut self, mode: SslMode) -> Result<SslNegotiation, DsnError> {
        let negotiation = self.named("sslnegotiation")?.unwrap_or_default();
        let optional = matches!(mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer);
        if negotiation == SslNegotiation::Direct && optional {
            return Err(DsnError::value(
                "sslnegotiation",
                "direct needs sslmode=require, verify-ca or verify-full: there is no way back to \
                 a connection without TLS",
            ));
        }
        Ok(negotiation)
    }

    fn client_certificate(&mut self) -> Result<(Option<PathBuf>, Option<PathBuf>), DsnError> {
        let certificate = self.take("sslcert").map(PathBuf::from);
        let key = self.take("sslkey").map(PathBuf::from);
        match (&certificate, &key) {
            (Some(_), None) => Err(DsnError::value("sslkey", "is missing beside sslcert")),
            (None, Some(_)) => Err(DsnError::value("sslcert", "is missing beside sslkey")),
            _ => Ok((certificate, key)),
        }
    }

    /// ` "value"`, or nothing when the value must not be repeated.
    fn quoted(&self, value: &str) -> String {
        if self.echo && value.chars().count() <= 40 { format!(" {value:?}") } else { String::new() }
    }

    fn named<T: Named>(&mut self, keyword: &'static str) -> Result<Option<T>, DsnError> {
        let Some(word) = self.take(keyword) else { return Ok(None) };
        T::from_word(&word).map(Some).ok_or_else(|| {
            let quoted = self.quoted(&word);
            DsnError::value(keyword, format!("unknown value{quoted}; one of {}", T::words()))
        })
    }

    fn switch(&mut self, keyword: &'static str, default: bool) -> Result<bool, DsnError> {
        match self.take(keyword).as_deref() {
            None => Ok(default),
            Some("1") => Ok(true),
            Some("0") => Ok(false),
            Some(_) => Err(DsnError::value(keyword, "must be 0 or 1")),
        }
    }

    /// Whole seconds as libpq has them, or a duration with its unit.
    fn seconds(&mut self, keyword: &'static str) -> Result<Option<Duration>, DsnError> {
        let Some(text) = self.take(keyword) else { return Ok(None) };
        let time = match text.parse::<u64>() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => GoDuration::from_str(&text).ok().map(GoDuration::get),
        };
        match time {
            Some(time) if time <= Duration::from_secs(MAX_SECONDS) => Ok(Some(time)),
            _ => Err(DsnError::value(
                keyword,
                format!(
                    "cannot read{} as seconds (5) or a duration (500ms) of at most {MAX_SECONDS} \
                     seconds",
                    self.quoted(&text)
                ),
            )),
        }
    }

    fn hosts(&mut self) -> Result<Vec<Host>, DsnError> {
        let names = list(self.take("host"));
        let addresses = list(self.take("hostaddr"));
        let ports = list(self.take("port"));
        let count = names.len().max(addresses.len());
        if count == 0 {
            return Err(DsnError::value("host", "is missing: name the server to connect to"));
        }
        if count > MAX_HOSTS {
            return Err(DsnError::value("host", format!("more than {MAX_HOSTS} hosts")));
        }
        if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
            return Err(DsnError::value(
                "hostaddr",
                format!("{} addresses for {} hosts", addresses.len(), names.len()),
            ));
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(DsnError::value(
                "port",
                format!("{} ports for {count} hosts: give one, or one for each", ports.len()),
            ));
        }
        let item = |list: &[String], index: usize| list.get(index).cloned().unwrap_or_default();
        (0..count)
            .map(|index| {
                let port = if ports.len() == 1 { item(&ports, 0) } else { item(&ports, index) };
                one_host(&item(&names, index), &item(&addresses, index), port_number(&port)?)
            })
            .collect()
    }
}

fn list(text: Option<String>) -> Vec<String> {
    text.map(|text| text.split(',').map(|item| item.trim().to_owned()).collect())
        .unwrap_or_default()
}

fn port_number(text: &str) -> Result<u16, DsnError> {
    if text.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    text.parse::<u16>()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| DsnError::value("port", "must be a number from 1 to 65535"))
}

fn one_host(name: &str, address: &str, port: u16) -> Result<Host, DsnError> {
    if name.starts_with('/') {
        return Ok(Host::Unix { dir: PathBuf::from(name), port });
    }
    let addr = match address {
        "" => None,
        text => Some(text.parse::<IpAddr>().map_err(|_| {
            DsnError::value("hostaddr", "must be an IPv4 or IPv6 address, without a name or port")
        })?),
    };
    let host = match (name, addr) {
        ("", None) => return Err(DsnError::value("host", "one of the hosts is empty")),
        ("", Some(addr)) => addr.to_string(),
        (name, _) => host_name(name)?.to_owned(),
    };
    Ok(Host::Tcp { host, addr, port })
}

fn host_name(name: &str) -> Result<&str, DsnError> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if bare.contains(':') {
        let address = bare.split('%').next().unwrap_or(bare);
        if address.parse::<Ipv6Addr>().is_err() {
            return Err(DsnError::value(
                "host",
                "a host must not hold a colon unless it is an IPv6 address; the port has its own \
                 setting",
            ));
        }
        return Ok(bare);
    }
    if bare.starts_with('@') {
        return Err(DsnError::value("host", "abstract Unix-domain sockets are not supported"));
    }
    let bad = |c: char| c.is_whitespace() || c.is_control() || "/@?#[]\\'\"<>".contains(c);
    if bare.is_empty() || bare.len() > 255 || bare.contains(bad) {
        return Err(DsnError::value(
            "host",
            "this is not a host name, an address, or the absolute path of a socket directory",
        ));
    }
    Ok(bare)
}
