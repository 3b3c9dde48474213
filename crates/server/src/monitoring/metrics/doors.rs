//! Metrics of the two doors, and of the server as a whole.

use std::time::UNIX_EPOCH;

use pgwire_proxy::DoorStats;

use super::table::{Kind, Labels, Metric, Samples, Scope};
use crate::monitoring::Monitor;
use crate::monitoring::process::ProcessFigures;
use crate::rpc::RpcStats;

/// A database at the PostgreSQL door.
pub(super) struct DoorScope {
    labels: Labels,
    stats: DoorStats,
}

impl Scope for DoorScope {
    fn labels(&self) -> &Labels {
        &self.labels
    }
}

impl DoorScope {
    pub(super) fn all(monitor: &Monitor) -> Vec<Self> {
        let all = monitor.proxy.as_ref().map(|proxy| proxy.stats()).unwrap_or_default();
        let scope =
            |stats: DoorStats| Self { labels: vec![("database", stats.database.clone())], stats };
        all.into_iter().map(scope).collect()
    }
}

/// What there is one of.
pub(super) struct ServerScope {
    labels: Labels,
    rpc: RpcStats,
    /// Most clients of the PostgreSQL door, and logins refused there.
    proxy: Option<(usize, u64)>,
    process: ProcessFigures,
    started: f64,
    is_draining: bool,
}

impl Scope for ServerScope {
    fn labels(&self) -> &Labels {
        &self.labels
    }
}

impl ServerScope {
    pub(super) fn of(monitor: &Monitor) -> Self {
        let proxy = monitor.proxy.as_ref();
        let started = monitor.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            labels: Labels::new(),
            rpc: monitor.service.stats(),
            proxy: proxy.map(|proxy| (proxy.max_clients(), proxy.refused_logins())),
            process: monitor.sampler.process(),
            started: started.as_secs_f64(),
            is_draining: monitor.is_draining(),
        }
    }
}

const fn of_database(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    read: fn(&DoorScope, &mut Samples),
) -> Metric<DoorScope> {
    Metric { group: "clients", name, kind, help, label: "", read }
}

pub(super) const OF_DATABASES: &[Metric<DoorScope>] = &[
    of_database("proxy_clients", Kind::Gauge, "Clients of the PostgreSQL door", |door, samples| {
        samples.put(door.stats.clients);
    }),
    of_database(
        "proxy_received_bytes",
        Kind::Counter,
        "Bytes received from clients of the PostgreSQL door",
        |door, samples| {
            samples.put(door.stats.received_bytes);
        },
    ),
    of_database(
        "proxy_sent_bytes",
        Kind::Counter,
        "Bytes sent to clients of the PostgreSQL door",
        |door, samples| {
            samples.put(door.stats.sent_bytes);
        },
    ),
    of_database(
        "proxy_rate_limited_requests",
        Kind::Counter,
        "Requests of clients of the PostgreSQL door above features.rate_limit",
        |door, samples| {
            samples.put(door.stats.rate_limited);
        },
    ),
];

const fn of_server(
    group: &'static str,
    name: &'static str,
    kind: Kind,
    help: &'static str,
    read: fn(&ServerScope, &mut Samples),
) -> Metric<ServerScope> {
    Metric { group, name, kind, help, label: "", read }
}

pub(super) const OF_SERVER: &[Metric<ServerScope>] = &[
    of_server(
        "clients",
        "proxy_max_clients",
        Kind::Gauge,
        "Most clients of the PostgreSQL door",
        |server, samples| {
            samples.put_known(server.proxy.map(|(most, _)| most));
        },
    ),
    of_server(
        "clients",
        "proxy_logins_refused",
        Kind::Counter,
        "Clients of the PostgreSQL door that were sent away before their session began",
        |server, samples| {
            samples.put_known(server.proxy.map(|(_, refused)| refused));
        },
    ),
    of_server("clients", "rpc_clients", Kind::Gauge, "RPC clients", |server, samples| {
        samples.put(server.rpc.clients);
    }),
    of_server(
        "clients",
        "rpc_received_bytes",
        Kind::Counter,
        "Bytes received from RPC clients",
        |server, samples| {
            samples.put(server.rpc.received_bytes);
        },
    ),
    of_server(
        "clients",
        "rpc_sent_bytes",
        Kind::Counter,
        "Bytes sent to RPC clients",
        |server, samples| {
            samples.put(server.rpc.sent_bytes);
        },
    ),
    of_server(
        "clients",
        "rpc_rate_limited_requests",
        Kind::Counter,
        "Requests of RPC clients above features.rate_limit",
        |server, samples| {
            samples.put(server.rpc.rate_limited);
        },
    ),
    of_server(
        "process",
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Memory of the process",
        |server, samples| {
            samples.put_known(server.process.resident_bytes);
        },
    ),
    of_server(
        "process",
        "process_cpu_seconds",
        Kind::Counter,
        "CPU time of the process",
        |server, samples| {
            samples.put_known(server.process.cpu_seconds);
        },
    ),
    of_server(
        "process",
        "process_open_fds",
        Kind::Gauge,
        "Open files and sockets of the process",
        |server, samples| {
            samples.put_known(server.process.open_files);
        },
    ),
    of_server(
        "process",
        "process_start_time_seconds",
        Kind::Gauge,
        "When it began to serve",
        |server, samples| {
            samples.put(server.started);
        },
    ),
    of_server(
        "process",
        "draining",
        Kind::Gauge,
        "Whether it is about to end",
        |server, samples| {
            samples.put(server.is_draining);
        },
    ),
    Metric {
        label: "version",
        ..of_server("", "build_info", Kind::Gauge, "1, with the version", |_, samples| {
            samples.put_of(env!("CARGO_PKG_VERSION"), 1u32);
        })
    },
];
