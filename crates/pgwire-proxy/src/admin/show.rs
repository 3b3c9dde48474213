//! The lists that SHOW shows besides the statistics: PgBouncer's columns, in its order and types.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pool_manager::DatabasePool;
use pool_manager::dsn::Host;

use super::command::Topic;
use super::sockets::{self, SOCKETS};
use super::table::{Cell, Columns, Kind, Table, int};
use super::{queries, stats};
use crate::database::Database;
use crate::proxy::Proxy;

const TEXT: Kind = Kind::Text;
const INT: Kind = Kind::Int;

const POOLS: Columns = &[
    ("database", TEXT),
    ("user", TEXT),
    ("cl_active", INT),
    ("cl_waiting", INT),
    ("cl_active_cancel_req", INT),
    ("cl_waiting_cancel_req", INT),
    ("sv_active", INT),
    ("sv_active_cancel", INT),
    ("sv_being_canceled", INT),
    ("sv_idle", INT),
    ("sv_used", INT),
    ("sv_tested", INT),
    ("sv_login", INT),
    ("maxwait", INT),
    ("maxwait_us", INT),
    ("pool_mode", TEXT),
    ("load_balance_hosts", TEXT),
];
const DATABASES: Columns = &[
    ("name", TEXT),
    ("host", TEXT),
    ("port", INT),
    ("database", TEXT),
    ("force_user", TEXT),
    ("pool_size", INT),
    ("min_pool_size", INT),
    ("reserve_pool_size", INT),
    ("server_lifetime", INT),
    ("pool_mode", TEXT),
    ("load_balance_hosts", TEXT),
    ("max_connections", INT),
    ("current_connections", INT),
    ("max_client_connections", INT),
    ("current_client_connections", INT),
    ("paused", INT),
    ("disabled", INT),
];
const USERS: Columns = &[
    ("name", TEXT),
    ("pool_size", TEXT),
    ("reserve_pool_size", TEXT),
    ("pool_mode", TEXT),
    ("max_user_connections", INT),
    ("current_connections", INT),
    ("max_user_client_connections", INT),
    ("current_client_connections", INT),
];
const LISTS: Columns = &[("list", TEXT), ("items", INT)];
const STATE: Columns = &[("key", TEXT), ("value", TEXT)];
const CONFIG: Columns = &[("key", TEXT), ("value", TEXT), ("default", TEXT), ("changeable", TEXT)];
const VERSION: Columns = &[("version", TEXT)];
const MEM: Columns =
    &[("name", TEXT), ("size", INT), ("used", INT), ("free", INT), ("memtotal", INT)];
const HELP: Columns = &[("command", TEXT), ("what", TEXT)];

/// The columns of a list, known before it is looked at.
pub(super) fn columns(topic: Topic) -> Columns {
    match topic {
        Topic::Clients | Topic::Servers => SOCKETS,
        Topic::Config => CONFIG,
        Topic::Databases => DATABASES,
        Topic::Help => HELP,
        Topic::Lists => LISTS,
        Topic::Mem => MEM,
        Topic::Pools => POOLS,
        Topic::Queries => queries::QUERIES,
        Topic::State => STATE,
        Topic::Stats => stats::STATS,
        Topic::StatsAverages => stats::STATS_AVERAGES,
        Topic::StatsTotals => stats::STATS_TOTALS,
        Topic::Totals => stats::ALL_TOTALS,
        Topic::Users => USERS,
        Topic::Version => VERSION,
    }
}

/// Looks.
pub(super) fn table(proxy: &Proxy, topic: Topic) -> Table {
    let rows = match topic {
        Topic::Clients => sockets::clients(proxy),
        Topic::Servers => sockets::servers(proxy),
        Topic::Config => config(proxy),
        Topic::Databases => databases(proxy),
        Topic::Help => help(),
        Topic::Lists => lists(proxy),
        Topic::Mem => mem(),
        Topic::Pools => pools(proxy),
        Topic::Queries => queries::queries(proxy),
        Topic::State => state(proxy),
        Topic::Stats => return stats::stats(proxy),
        Topic::StatsAverages => return stats::stats_averages(proxy),
        Topic::StatsTotals => return stats::stats_totals(proxy),
        Topic::Totals => return stats::all_totals(proxy),
        Topic::Users => users(proxy),
        Topic::Version => vec![vec![format!("rr-pgpool {}", env!("CARGO_PKG_VERSION")).into()]],
    };
    Table { columns: columns(topic), rows }
}

/// Every pool with the database whose clients use it.
fn each_pool(proxy: &Proxy, mut with: impl FnMut(&Arc<Database>, &DatabasePool)) {
    for database in proxy.databases().values() {
        database.backends().pools().for_each(|pool| with(database, pool));
        for own in database.own().values() {
            with(own, own.pool());
        }
    }
}

fn pools(proxy: &Proxy) -> Vec<Vec<Cell>> {
    // Clients by the pool that they are counted for, and how many of them wait.
    let mut clients: HashMap<String, (usize, usize)> = HashMap::new();
    for client in proxy.registry.clients() {
        let pool = client.visitor.welcome.database.pool().name().to_owned();
        let counted = clients.entry(pool).or_default();
        counted.0 += 1;
        counted.1 += usize::from(client.waits.is_some());
    }
    let mut rows = Vec::new();
    each_pool(proxy, |database, pool| {
        let stats = pool.stats();
        let (all, waiting) = clients.get(pool.name()).copied().unwrap_or_default();
        let wait = stats.longest_wait;
        rows.push(vec![
            pool.name().into(),
            pool.params().user.into(),
            int(all.saturating_sub(waiting)),
            // Those of both doors.
            int(stats.waiting_clients),
            int(0),
            int(0),
            int(stats.active_connections),
            int(0),
            int(0),
            int(stats.idle_connections),
            int(0),
            int(0),
            int(stats.constructing_connections),
            int(wait.as_secs()),
            int(wait.subsec_micros()),
            database.mode.word().into(),
            Cell::Null,
        ]);
    });
    rows
}

fn databases(proxy: &Proxy) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    each_pool(proxy, |database, pool| {
        let (stats, params, config) = (pool.stats(), pool.params(), pool.config());
        let (host, port) = match params.hosts.first() {
            Some(Host::Tcp { host, port, .. }) => (Cell::from(host.as_str()), int(*port)),
            // PgBouncer has none for the file system.
            Some(Host::Unix { port, .. }) => (Cell::Null, int(*port)),
            None => (Cell::Null, Cell::Null),
        };
        let most = database.limit().most();
        rows.push(vec![
            pool.name().into(),
            host,
            port,
            params.database.into(),
            params.user.into(),
            int(stats.max_connections),
            int(config.effective_min_connections()),
            int(0),
            int(config.max_lifetime.get().as_secs()),
            database.mode.word().into(),
            Cell::Null,
            int(stats.max_connections),
            int(stats.total_connections),
            // PgBouncer's word for no limit.
            int(if most == usize::MAX { 0 } else { most }),
            int(database.limit().inside()),
            int(u8::from(pool.is_paused())),
            int(u8::from(database.is_disabled())),
        ]);
    });
    rows
}

fn users(proxy: &Proxy) -> Vec<Vec<Cell>> {
    let mut users: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for database in proxy.databases().values() {
        for (name, limit) in database.users.named() {
            // Each database counts for itself.
            users.entry(name.to_owned()).or_insert((limit.most(), 0));
        }
    }
    for client in proxy.registry.clients() {
        let name = String::from(&*client.visitor.welcome.user);
        users.entry(name).or_insert((usize::MAX, 0)).1 += 1;
    }
    let mut servers: HashMap<String, usize> = HashMap::new();
    each_pool(proxy, |_, pool| {
        let open = pool.stats().total_connections as usize;
        *servers.entry(pool.params().user).or_default() += open;
    });
    let row = |(name, (most, clients)): (String, (usize, usize))| {
        let open = servers.get(&name).copied().unwrap_or_default();
        vec![
            name.into(),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            int(0),
            int(open),
            int(if most == usize::MAX { 0 } else { most }),
            int(clients),
        ]
    };
    users.into_iter().map(row).collect()
}

fn lists(proxy: &Proxy) -> Vec<Vec<Cell>> {
    let (mut pools, mut servers) = (0, 0);
    each_pool(proxy, |_, pool| {
        pools += 1;
        servers += pool.stats().total_connections;
    });
    let known = proxy.registry.clients().len();
    // In the door, and not let in yet.
    let login = proxy.clients().saturating_sub(known);
    let rpc = proxy.control().map_or(0, |control| control.rpc_clients());
    let row = |name: &str, count: Cell| vec![name.into(), count];
    vec![
        row("databases", int(proxy.databases().len())),
        row("users", int(users(proxy).len())),
        row("peers", int(0)),
        row("pools", int(pools)),
        row("peer_pools", int(0)),
        row("free_clients", int(0)),
        row("used_clients", int(known)),
        row("login_clients", int(login)),
        row("free_servers", int(0)),
        row("used_servers", int(servers)),
        row("dns_names", int(0)),
        row("dns_zones", int(0)),
        row("dns_queries", int(0)),
        row("dns_pending", int(0)),
        row("rpc_clients", int(rpc)),
    ]
}

fn state(proxy: &Proxy) -> Vec<Vec<Cell>> {
    let mut all_paused = true;
    each_pool(proxy, |_, pool| all_paused &= pool.is_paused());
    let word = |yes: bool| Cell::from(if yes { "yes" } else { "no" });
    vec![
        vec!["active".into(), word(!all_paused)],
        vec!["paused".into(), word(all_paused)],
        vec!["suspended".into(), word(false)],
    ]
}

fn config(proxy: &Proxy) -> Vec<Vec<Cell>> {
    let settings = proxy.control().map(|control| control.settings()).unwrap_or_default();
    let row = |setting: super::Setting| {
        let changeable = if setting.changeable { "yes" } else { "no" };
        vec![setting.key.into(), setting.value.into(), setting.default.into(), changeable.into()]
    };
    settings.into_iter().map(row).collect()
}

/// What the system says of this process's memory, in the only unit that PgBouncer's columns have.
fn mem() -> Vec<Vec<Cell>> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
    };
    let rows = [("resident", "VmRSS"), ("peak_resident", "VmHWM"), ("data", "VmData")];
    let row = |(name, field): (&str, &str)| {
        let bytes = kib(field)?.saturating_mul(1024);
        Some(vec![name.into(), int(1), int(bytes), int(0), int(bytes)])
    };
    rows.into_iter().filter_map(row).collect()
}

fn help() -> Vec<Vec<Cell>> {
    [
        ("SHOW STATS | STATS_TOTALS | STATS_AVERAGES | TOTALS", "what was counted, by database"),
        ("SHOW POOLS | DATABASES | USERS | LISTS", "how things stand"),
        ("SHOW CLIENTS | SERVERS", "connections, one by one"),
        ("SHOW QUERIES", "the statements on which most time was spent"),
        ("SHOW CONFIG", "settings, and which of them SET changes"),
        ("SHOW STATE | MEM | VERSION | HELP", "this process"),
        ("PAUSE [db]", "hold statements back, and return when no server connection is open"),
        ("RESUME [db]", "end a PAUSE or KILL"),
        ("RECONNECT [db]", "replace server connections as they come back"),
        ("WAIT_CLOSE [db]", "return when RECONNECT or RELOAD has replaced them all"),
        ("KILL [db]", "disconnect clients and servers at once; RESUME lets them come again"),
        ("KILL_CLIENT id", "disconnect one client of SHOW CLIENTS"),
        ("DISABLE db | ENABLE db", "turn new clients away, or let them in again"),
        ("SET name = 'value'", "change a setting until the next RELOAD"),
        ("RELOAD", "read the configuration again"),
        ("SHUTDOWN", "end this process at once"),
        ("SHUTDOWN WAIT_FOR_SERVERS", "let nobody in, and end when no transaction is open"),
        ("SHUTDOWN WAIT_FOR_CLIENTS", "let nobody in, and end when all clients have left"),
    ]
    .into_iter()
    .map(|(command, what)| vec![command.into(), what.into()])
    .collect()
}
