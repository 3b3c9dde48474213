//! What a test asks of its cluster: settings, authentication, TLS. It never starts a server itself.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::account::Account;
use super::cluster::TestCluster;
use super::{ROLE, SUPERUSER};

/// For speed only: nothing here outlives the test, so nothing needs to survive a power cut.
const BASE_SETTINGS: &str = "
listen_addresses = '127.0.0.1'
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 300
shared_buffers = 32MB
autovacuum = off
max_wal_senders = 0
wal_level = minimal
log_line_prefix = '%m [%p] %q%u@%d '
timezone = 'UTC'
";

/// How roles other than the superuser on the socket prove who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// SCRAM-SHA-256 with the password.
    #[default]
    Scram,
    /// The older MD5 exchange; the role's password is stored that way too.
    Md5,
    /// The password in clear text.
    Password,
    /// No proof at all.
    Trust,
    /// A client certificate whose common name is the role; needs [`ClusterBuilder::client_ca`].
    Cert,
}

impl Auth {
    const fn method(self) -> &'static str {
        match self {
            Self::Scram => "scram-sha-256",
            Self::Md5 => "md5",
            Self::Password => "password",
            Self::Trust => "trust",
            Self::Cert => "cert",
        }
    }
}

/// Describes a private cluster; [`ClusterBuilder::start`] makes it.
#[derive(Clone, Debug, Default)]
pub struct ClusterBuilder {
    pub(super) auth: Auth,
    settings: Vec<String>,
    hba: Vec<String>,
    tls: Option<(PathBuf, PathBuf)>,
    tls_only: bool,
    client_ca: Option<PathBuf>,
}

impl ClusterBuilder {
    /// How roles log in over TCP and, except the superuser, over the socket.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Adds one line to `postgresql.conf`, such as `max_connections = 20`; the last one wins.
    #[must_use]
    pub fn setting(mut self, line: impl Into<String>) -> Self {
        self.settings.push(line.into());
        self
    }

    /// Adds one line to `pg_hba.conf`, before the default ones (but after the superuser's).
    #[must_use]
    pub fn hba(mut self, line: impl Into<String>) -> Self {
        self.hba.push(line.into());
        self
    }

    /// Offers TLS with this certificate and key; the files are copied.
    #[must_use]
    pub fn tls(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some((cert.into(), key.into()));
        self
    }

    /// Accepts TCP connections only with TLS; goes with [`ClusterBuilder::tls`].
    #[must_use]
    pub fn tls_only(mut self) -> Self {
        self.tls_only = true;
        self
    }

    /// Believes client certificates that this authority signed; goes with [`ClusterBuilder::tls`].
    #[must_use]
    pub fn client_ca(mut self, ca: impl Into<PathBuf>) -> Self {
        self.client_ca = Some(ca.into());
        self
    }

    /// Makes and starts the cluster.
    ///
    /// # Panics
    /// When PostgreSQL is missing or does not start; the message holds the server's log.
    pub async fn start(self) -> TestCluster {
        TestCluster::start_with(self).await
    }

    /// Writes the configuration into the data directory of `dir`.
    pub(super) fn configure(&self, dir: &Path, account: &Account) {
        let data = dir.join("data");
        let mut conf = String::from(BASE_SETTINGS);
        let _ = writeln!(conf, "unix_socket_directories = '{}'", dir.display());
        if self.auth == Auth::Md5 {
            conf.push_str("password_encryption = md5\n");
        }
        if let Some((cert, key)) = &self.tls {
            install(cert, &data.join("server.crt"), account);
            install(key, &data.join("server.key"), account);
            conf.push_str("ssl = on\n");
        }
        if let Some(ca) = &self.client_ca {
            install(ca, &data.join("root.crt"), account);
            conf.push_str("ssl_ca_file = 'root.crt'\n");
        }
        for line in &self.settings {
            let _ = writeln!(conf, "{line}");
        }
        rewrite(&data.join("postgresql.conf"), &conf, account);
        rewrite(&data.join("pg_hba.conf"), &self.hba_text(), account);
    }

    fn hba_text(&self) -> String {
        let method = self.auth.method();
        // `cert` is for TLS connections only, and the socket has none.
        let local = if self.auth == Auth::Cert { "scram-sha-256" } else { method };
        let host = if self.tls_only || self.auth == Auth::Cert { "hostssl" } else { "host" };
        let mut text = format!("local all {SUPERUSER} trust\n");
        for line in &self.hba {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "{host} all {ROLE} 127.0.0.1/32 {method}");
        let _ = writeln!(text, "{host} all all 127.0.0.1/32 scram-sha-256");
        let _ = writeln!(text, "local all all {local}");
        text
    }
}

fn install(from: &Path, to: &Path, account: &Account) {
    let text = std::fs::read(from)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", from.display()));
    write_private(to, &text, account);
}

fn rewrite(path: &Path, text: &str, account: &Account) {
    write_private(path, text.as_bytes(), account);
}

fn write_private(path: &Path, bytes: &[u8], account: &Account) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, bytes)
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)))
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    account.own(path);
}
