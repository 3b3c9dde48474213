//! `rpc`: the goridge listener.

use pool_manager::config::SettingError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{ByteSize, FileMode, ListenAddress, OptionalAddress};

/// Smallest and largest `max_frame_size`, in bytes.
const FRAME_SIZES: std::ops::RangeInclusive<u64> = 4096..=1 << 30;
/// Limits of `max_in_flight`.
const IN_FLIGHT: std::ops::RangeInclusive<u32> = 1..=65_536;
/// Limits of `max_connections`.
const CONNECTIONS: std::ops::RangeInclusive<u32> = 1..=1_000_000;

/// Where PHP calls, and how much of it is taken at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RpcConfig {
    /// Address to listen on: tcp://host:port or unix://path.
    pub listen: ListenAddress,
    /// Allow a TCP address that other machines reach; the protocol has no authentication.
    pub allow_remote: bool,
    /// Permissions of the socket file when listen is unix://.
    pub file_mode: FileMode,
    /// Largest request and largest reply.
    pub max_frame_size: ByteSize,
    /// Requests of one connection that run at the same time; more wait unread.
    #[schemars(range(min = 1, max = 65_536))]
    pub max_in_flight: u32,
    /// Most connections at the same time; more are refused.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: u32,
    /// RoadRunner's own RPC, where calls to other services than pgpool go; '' = nowhere.
    pub forward: OptionalAddress,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            listen: ListenAddress::tcp("127.0.0.1", 6002),
            allow_remote: false,
            file_mode: FileMode::new(0o600),
            max_frame_size: ByteSize::new(64 << 20),
            max_in_flight: 64,
            max_connections: 20_000,
            forward: OptionalAddress::OFF,
        }
    }
}

impl RpcConfig {
    /// Checks the limits, and that strangers are let in on purpose only.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        if !self.allow_remote && !self.listen.is_local() {
            return Err(SettingError::new(
                "listen",
                "other machines can reach this address, and the protocol has no authentication; \
                 listen on tcp://127.0.0.1:6002 or unix://, or set rpc.allow_remote: true",
            ));
        }
        if self.forward.get() == Some(&self.listen) {
            let reason = "is where rr-pgpool itself listens; name RoadRunner's rpc.listen";
            return Err(SettingError::new("forward", reason));
        }
        if !FRAME_SIZES.contains(&self.max_frame_size.bytes()) {
            let reason = format!("must be from 4KiB to 1GiB, not {}", self.max_frame_size);
            return Err(SettingError::new("max_frame_size", reason));
        }
        SettingError::check_range("max_in_flight", self.max_in_flight, &IN_FLIGHT)?;
        SettingError::check_range("max_connections", self.max_connections, &CONNECTIONS)
    }
}
