//! `features`: result cache, circuit breaker, rate limit.

use pool_manager::config::{GoDuration, SettingError};
use pool_manager::{BreakerLimits, RateLimit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::ByteSize;
use crate::rpc::CacheOptions;

/// Features that are off until asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FeaturesConfig {
    /// Cache of query results.
    pub cache: CacheConfig,
    /// Fails fast while a backend is down.
    pub circuit_breaker: CircuitBreakerConfig,
    /// Limit of requests per client.
    pub rate_limit: RateLimitConfig,
}

/// Cache of query results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Answer repeated reads from memory.
    pub enabled: bool,
    /// How long a result may be answered from memory.
    pub ttl: GoDuration,
    /// Most memory for results.
    pub max_size: ByteSize,
}

/// Fails fast while a backend is down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitBreakerConfig {
    /// Refuse statements at once while a backend keeps failing.
    pub enabled: bool,
    /// Failures in a row that open the circuit.
    #[schemars(range(min = 1))]
    pub threshold: u32,
    /// Time before an open circuit is tried again.
    pub timeout: GoDuration,
}

/// Limit of requests per client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitConfig {
    /// Refuse requests above the limit.
    pub enabled: bool,
    /// Requests per second that one client may make in the long run.
    #[schemars(range(min = 1))]
    pub requests_per_second: u32,
    /// Requests that one client may make at once.
    #[schemars(range(min = 1))]
    pub burst: u32,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { enabled: false, ttl: GoDuration::from_secs(5), max_size: ByteSize::new(64_000_000) }
    }
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Self { enabled: false, threshold: 5, timeout: GoDuration::from_secs(30) }
    }
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self { enabled: false, requests_per_second: 100, burst: 200 }
    }
}

impl CircuitBreakerConfig {
    /// What each pool is to do; `None` while it is off.
    pub(crate) fn limits(&self) -> Option<BreakerLimits> {
        let Self { enabled, threshold, timeout } = *self;
        enabled.then(|| BreakerLimits { threshold, timeout: timeout.get() })
    }
}

impl CacheConfig {
    /// What of it the doors have to know.
    pub(crate) fn options(&self) -> CacheOptions {
        CacheOptions { max_size: self.enabled.then(|| self.max_size.bytes()), ttl: self.ttl.get() }
    }
}

impl RateLimitConfig {
    /// What each client may; `None` while it is off.
    pub(crate) fn limit(&self) -> Option<RateLimit> {
        let Self { enabled, requests_per_second: per_second, burst } = *self;
        enabled.then_some(RateLimit { per_second, burst })
    }
}

impl FeaturesConfig {
    /// Checks the limits.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        SettingError::check_positive("cache.ttl", self.cache.ttl)?;
        if self.cache.max_size.bytes() == 0 {
            return Err(SettingError::new("cache.max_size", "must be more than 0"));
        }
        let breaker = &self.circuit_breaker;
        let at_least_one = 1..=u32::MAX;
        SettingError::check_range("circuit_breaker.threshold", breaker.threshold, &at_least_one)?;
        SettingError::check_positive("circuit_breaker.timeout", breaker.timeout)?;
        let rate = &self.rate_limit;
        let per_second = rate.requests_per_second;
        SettingError::check_range("rate_limit.requests_per_second", per_second, &at_least_one)?;
        SettingError::check_range("rate_limit.burst", rate.burst, &at_least_one)
    }
}
