//! DSNs: URL form (`postgres://…`) and key=value form, parsed as libpq documents them.

mod params;

pub use params::{ChannelBinding, ConnectParams, Host, RootCert, SslMode, TargetSessionAttrs};
