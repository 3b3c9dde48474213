//! What the unit tests of this module share.

use std::time::Duration;

use crate::Secret;
use crate::dsn::{
    ChannelBinding, ConnectParams, Host, SslMode, SslNegotiation, TargetSessionAttrs,
};

/// Parameters for one TCP host, everything else at its plainest.
pub(super) fn params(host: &str, port: u16) -> ConnectParams {
    ConnectParams {
        hosts: vec![Host::Tcp { host: host.to_owned(), addr: None, port }],
        user: "app".to_owned(),
        password: Some(Secret::new("pencil")),
        database: "app".to_owned(),
        ssl_mode: SslMode::Disable,
        ssl_root_cert: None,
        ssl_cert: None,
        ssl_key: None,
        ssl_negotiation: SslNegotiation::default(),
        channel_binding: ChannelBinding::Prefer,
        target_session_attrs: TargetSessionAttrs::Any,
        connect_timeout: Duration::from_secs(10),
        application_name: None,
        options: None,
        keepalives: true,
        keepalives_idle: None,
    }
}
