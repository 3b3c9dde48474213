//! [`ConnectParams`] written back as a URL: complete for use, or with the password masked for show.

use std::fmt::{self, Write};

use super::names::Named;
use super::settings::{DEFAULT_APPLICATION_NAME, DEFAULT_CONNECT_TIMEOUT};
use super::{
    ChannelBinding, ConnectParams, Host, RootCert, SslMode, SslNegotiation, TargetSessionAttrs,
};
use crate::config::GoDuration;
use crate::secret::Secret;

/// What stands in place of a password.
const MASK: &str = "***";

impl ConnectParams {
    /// A URL that [`super::parse`] reads back to the same parameters, password included.
    pub fn to_dsn(&self) -> Secret {
        Secret::new(self.url(self.password.as_ref().map(|secret| encode(secret.expose()))))
    }

    /// The same URL with `***` in place of the password.
    pub fn masked_dsn(&self) -> String {
        self.url(self.password.as_ref().map(|_| MASK.to_owned()))
    }

    fn url(&self, password: Option<String>) -> String {
        let mut url = format!("postgres://{}", encode(&self.user));
        if let Some(password) = password {
            url.push(':');
            url.push_str(&password);
        }
        url.push('@');
        let hosts: Vec<String> = self.hosts.iter().map(host_and_port).collect();
        url.push_str(&hosts.join(","));
        url.push('/');
        url.push_str(&encode(&self.database));
        let mut separator = '?';
        for (keyword, value) in self.parameters() {
            // Writing to a String cannot fail.
            let _ = write!(url, "{separator}{keyword}={}", encode(&value));
            separator = '&';
        }
        url
    }

    /// Every parameter that differs from its default.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if let Some(addresses) = self.addresses() {
            pairs.push(("hostaddr", addresses));
        }
        let system_roots = self.ssl_root_cert == Some(RootCert::System);
        if self.ssl_mode != SslMode::default() || system_roots {
            pairs.push(("sslmode", self.ssl_mode.word().to_owned()));
        }
        if self.ssl_negotiation != SslNegotiation::default() {
            pairs.push(("sslnegotiation", self.ssl_negotiation.word().to_owned()));
        }
        match &self.ssl_root_cert {
            Some(RootCert::System) => pairs.push(("sslrootcert", "system".to_owned())),
            Some(RootCert::File(file)) => pairs.push(("sslrootcert", lossy(file))),
            None => {}
        }
        pairs.extend(self.ssl_cert.iter().map(|file| ("sslcert", lossy(file))));
        pairs.extend(self.ssl_key.iter().map(|file| ("sslkey", lossy(file))));
        if self.channel_binding != ChannelBinding::default() {
            pairs.push(("channel_binding", self.channel_binding.word().to_owned()));
        }
        if self.target_session_attrs != TargetSessionAttrs::default() {
            pairs.push(("target_session_attrs", self.target_session_attrs.word().to_owned()));
        }
        if self.connect_timeout != DEFAULT_CONNECT_TIMEOUT {
            pairs.push(("connect_timeout", GoDuration::new(self.connect_timeout).to_string()));
        }
        if self.application_name.as_deref() != Some(DEFAULT_APPLICATION_NAME) {
            let name = self.application_name.clone().unwrap_or_default();
            pairs.push(("application_name", name));
        }
        pairs.extend(self.options.iter().map(|options| ("options", options.clone())));
        if !self.keepalives {
            pairs.push(("keepalives", "0".to_owned()));
        }
        if let Some(idle) = self.keepalives_idle {
            pairs.push(("keepalives_idle", GoDuration::new(idle).to_string()));
        }
        pairs
    }

    /// The `hostaddr` list, unless no host has one.
    fn addresses(&self) -> Option<String> {
        let of = |host: &Host| match host {
            Host::Tcp { addr: Some(addr), .. } => addr.to_string(),
            _ => String::new(),
        };
        let list: Vec<String> = self.hosts.iter().map(of).collect();
        list.iter().any(|address| !address.is_empty()).then(|| list.join(","))
    }
}

/// The masked URL.
impl fmt::Display for ConnectParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked_dsn())
    }
}

/// A host with the port that is in effect, given or not.
fn host_and_port(host: &Host) -> String {
    let (name, port) = match host {
        Host::Tcp { host, port, .. } if host.contains(':') => {
            (format!("[{}]", host.replace('%', "%25")), *port)
        }
        Host::Tcp { host, port, .. } => (encode(host), *port),
        Host::Unix { dir, port } => (encode(&lossy(dir)), *port),
    };
    format!("{name}:{port}")
}

fn lossy(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
