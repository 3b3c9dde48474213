//! From the configuration to pools, doors and their options. It listens nowhere.

use pgwire_proxy::{Database, DatabaseOptions, Mode, ProxyOptions, UserLookup, Users};
use pool_manager::config::BackendConfig;
use pool_manager::{
    Backend, Backends, DatabasePool, HeldLimits, PoolLimits, PoolPlan, PoolRegistry, RoutingRules,
};

use crate::config::{ByteSize, Config, PoolMode, SettingError, UserConfig};
use crate::query_log::QueryLog;
use crate::rpc::ServiceOptions;
use crate::serve::ServeError;

/// A pool for a user of the PostgreSQL door alone.
pub(crate) struct OwnPool {
    /// The database's name.
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) pool: DatabasePool,
}

/// Every database with its servers, and the pools that are some user's own.
#[derive(Default)]
pub(crate) struct Pools {
    pub(crate) databases: Vec<Backends>,
    pub(crate) own: Vec<OwnPool>,
}

/// What there is of an earlier configuration, and how it is to change.
#[derive(Default)]
pub(crate) struct Existing<'a> {
    registry: Option<&'a PoolRegistry>,
    changes: Vec<(DatabasePool, PoolPlan)>,
}

impl<'a> Existing<'a> {
    pub(crate) fn of(registry: &'a PoolRegistry) -> Self {
        Self { registry: Some(registry), changes: Vec::new() }
    }

    /// The pool of the plan's name if there is one, which is to become as planned, or a new one.
    fn pool(&mut self, plan: PoolPlan) -> DatabasePool {
        let known = self.registry.and_then(|registry| registry.get_pool(plan.name()).ok());
        let Some(pool) = known else { return plan.build() };
        self.changes.push((pool.clone(), plan));
        pool.clone()
    }

    /// Has the pools that there were become as planned.
    pub(crate) fn change(self) {
        self.changes.into_iter().for_each(|(pool, plan)| pool.adopt(plan));
    }
}

/// Checks all that a configuration can be wrong in beyond its own limits: files, passwords, patterns.
pub(crate) fn check(config: &Config) -> Result<(), ServeError> {
    let limits = pool_limits(config);
    for (database, backend) in config.primaries() {
        PoolPlan::new(database, database, backend, limits)?;
        let (replicas, routing) = config.replication(database);
        for replica in replicas {
            PoolPlan::new(database, database, &replica.beside(backend), limits)?;
        }
        routing.rules().map_err(|error| within("pgpool.routing", error))?;
        if config.proxy.address.get().is_none() {
            continue;
        }
        let keys = config.proxy.keys_for(backend).map_err(|error| within("pgpool.proxy", error))?;
        Users::new(keys.mode.into(), keys.users, None)?;
        for given in config.proxy.users.values().filter(|given| !given.server_user.is_empty()) {
            let own = own_backend(backend, given);
            let own = own.map_err(|error| within("pgpool.proxy.users", error))?;
            PoolPlan::new(database, database, &own, limits)?;
        }
    }
    config.proxy.tls.server().map_err(|error| within("pgpool.proxy", error))?;
    Ok(())
}

fn within(section: &str, error: SettingError) -> ServeError {
    ServeError::Proxy(error.within(section))
}

fn pool_limits(config: &Config) -> PoolLimits {
    PoolLimits {
        max_message: bytes(config.rpc.max_frame_size),
        slow_threshold: config.logging.slow_query.threshold.get(),
        breaker: config.features.circuit_breaker.limits(),
        top_statements: config.monitoring.counted_statements(),
    }
}

/// A pool for each server of each database, and one for each user who logs in as somebody else.
pub(crate) fn pools(config: &Config, existing: &mut Existing<'_>) -> Result<Pools, ServeError> {
    let limits = pool_limits(config);
    let mut pools = Pools::default();
    for (database, backend) in config.primaries() {
        let database = database.to_owned();
        pools.databases.push(backends(config, &database, backend, existing)?);
        for (user, given) in &config.proxy.users {
            if given.server_user.is_empty() || config.proxy.address.get().is_none() {
                continue;
            }
            let own = own_backend(backend, given);
            let own = own.map_err(|error| within("pgpool.proxy.users", error))?;
            let name = format!("{database}@{user}");
            let pool = existing.pool(PoolPlan::new(&database, &name, &own, limits)?);
            let (database, user) = (database.clone(), user.clone());
            pools.own.push(OwnPool { database, user, pool });
        }
    }
    Ok(pools)
}

/// The servers of one database.
fn backends(
    config: &Config,
    database: &str,
    primary: &BackendConfig,
    existing: &mut Existing<'_>,
) -> Result<Backends, ServeError> {
    let limits = pool_limits(config);
    let (replicas, routing) = config.replication(database);
    let pool = existing.pool(PoolPlan::new(database, database, primary, limits)?);
    let mut others = Vec::new();
    for (index, replica) in replicas.iter().enumerate() {
        let name = format!("{database}/replica{}", index + 1);
        let plan = PoolPlan::new(database, &name, &replica.beside(primary), limits)?;
        others.push(Backend { pool: existing.pool(plan), weight: replica.weight });
    }
    // Nothing is routed by them where there is one server.
    let rules = if others.is_empty() { Ok(RoutingRules::default()) } else { routing.rules() };
    let rules = rules.map_err(|error| within("pgpool.routing", error))?;
    let backends = Backends::new(Backend { pool, weight: 1 }, others, rules, routing.options());
    Ok(match existing.registry.and_then(|registry| registry.database(database).ok()) {
        Some(before) => backends.continuing(before),
        None => backends,
    })
}

/// The same backend for a user of its own: connected to when first needed.
fn own_backend(backend: &BackendConfig, user: &UserConfig) -> Result<BackendConfig, SettingError> {
    let mut own = backend.logged_in_as(&user.server_user, &user.server_password)?;
    own.pool.min_connections = Some(0);
    own.behavior.lazy_connect = true;
    if user.max_connections > 0 {
        own.pool.max_connections = user.max_connections;
    }
    Ok(own)
}

/// The databases of the PostgreSQL door, and its limits.
pub(crate) fn door(
    config: &Config,
    pools: &Pools,
) -> Result<(Vec<Database>, ProxyOptions), ServeError> {
    let within = |error: SettingError| ServeError::Proxy(error.within("pgpool.proxy"));
    let mut databases = Vec::new();
    for (name, backend) in config.primaries() {
        let shared = pools.databases.iter().find(|database| database.name() == name);
        let Some(backends) = shared else { continue };
        // Users stand in the catalogue of every server alike.
        let pool = backends.primary();
        let keys = config.proxy.keys_for(backend).map_err(within)?;
        let lookup = keys.auth_query.map(|query| UserLookup::new(pool.clone(), query));
        let users = Users::new(keys.mode.into(), keys.users, lookup)?;
        let mode = match backend.behavior.mode {
            PoolMode::Session => Mode::Session,
            PoolMode::Statement => Mode::Statement,
            PoolMode::Transaction => Mode::Transaction,
            PoolMode::Auto => Mode::Auto,
        };
        let origin = backend.connect_params().map_err(within)?;
        let server_name = origin.database.clone();
        let behavior = &backend.behavior;
        let mut database = Database::new(
            backends.clone(),
            DatabaseOptions {
                mode,
                users,
                cache_unnamed: behavior.cache_unnamed && behavior.statement_cache_size > 0,
                server_name,
                max_clients: Some(behavior.max_clients as usize).filter(|most| *most > 0),
                origin,
            },
        );
        for own in pools.own.iter().filter(|own| own.database == name) {
            database.add_own_pool(own.user.clone(), own.pool.clone());
        }
        databases.push(database);
    }
    let options = ProxyOptions {
        max_clients: config.proxy.max_clients as usize,
        login_timeout: config.proxy.login_timeout.get(),
        client_timeout: config.proxy.client_timeout.limit(),
        idle_transaction_timeout: config.proxy.idle_transaction_timeout.limit(),
        query_timeout: config.proxy.query_timeout.limit(),
        transaction_timeout: config.proxy.transaction_timeout.limit(),
        wait_notice: config.proxy.wait_notice.limit(),
        rate_limit: config.features.rate_limit.limit(),
        tls: config.proxy.tls.server().map_err(within)?,
        query_log: QueryLog::new(&config.logging).of_proxy(),
        admin_users: config.proxy.admin_users.clone(),
        stats_users: config.proxy.stats_users.clone(),
    };
    Ok((databases, options))
}

/// A configured size; checked against a limit far below a 32-bit machine's.
fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.bytes()).unwrap_or(usize::MAX)
}

pub(crate) fn service_options(config: &Config) -> ServiceOptions {
    ServiceOptions {
        max_frame_size: bytes(config.rpc.max_frame_size),
        max_in_flight: config.rpc.max_in_flight as usize,
        held: HeldLimits {
            idle_timeout: config.transactions.idle_timeout.limit(),
            max_lifetime: config.transactions.max_lifetime.limit(),
        },
        query_log: QueryLog::new(&config.logging),
        cache: config.features.cache.options(),
        rate_limit: config.features.rate_limit.limit(),
        expose_stats: config.monitoring.expose_rpc,
        counts_statements: config.monitoring.counted_statements() > 0,
        forward: config.rpc.forward.get().cloned(),
    }
}
