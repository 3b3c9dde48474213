//! SHOW CLIENTS and SHOW SERVERS: connections one by one, in the same columns.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pool_manager::ServerInfo;

use super::table::{Cell, Columns, Kind, int};
use crate::proxy::Proxy;
use crate::signals::ClientInfo;

const TEXT: Kind = Kind::Text;
const INT: Kind = Kind::Int;

pub(super) const SOCKETS: Columns = &[
    ("type", TEXT),
    ("user", TEXT),
    ("database", TEXT),
    ("replication", TEXT),
    ("state", TEXT),
    ("addr", TEXT),
    ("port", INT),
    ("local_addr", TEXT),
    ("local_port", INT),
    ("connect_time", TEXT),
    ("request_time", TEXT),
    ("wait", INT),
    ("wait_us", INT),
    ("close_needed", INT),
    ("ptr", TEXT),
    ("link", TEXT),
    ("remote_pid", INT),
    ("tls", TEXT),
    ("application_name", TEXT),
    ("prepared_statements", INT),
    ("id", INT),
];

/// Each pool's servers, with its name and its user.
fn all_servers(proxy: &Proxy) -> Vec<(String, String, ServerInfo)> {
    let mut all = Vec::new();
    for database in proxy.databases().values() {
        for pool in database.pools() {
            let (name, user) = (pool.name().to_owned(), pool.params().user);
            let servers = pool.servers().into_iter();
            all.extend(servers.map(|server| (name.clone(), user.clone(), server)));
        }
    }
    all
}

/// What stands for an address of PgBouncer's, and is the same in `ptr` and `link`.
fn server_name(pool: &str, server: &ServerInfo) -> String {
    format!("server:{pool}:{}", server.id)
}

fn client_name(id: impl std::fmt::Display) -> String {
    format!("client:{id}")
}

pub(super) fn clients(proxy: &Proxy) -> Vec<Vec<Cell>> {
    let servers = all_servers(proxy);
    let linked = servers.iter().filter(|(_, _, server)| server.active && server.client > 0);
    let linked: HashMap<u64, _> =
        linked.map(|(pool, _, server)| (server.client, (pool, server))).collect();
    let row = |client: &ClientInfo| {
        let welcome = &client.visitor.welcome;
        let id = u64::try_from(client.id).unwrap_or_default();
        let server = linked.get(&id);
        let state = match (client.waits, server) {
            (Some(_), _) => "waiting",
            (None, Some(_)) => "active",
            (None, None) => "idle",
        };
        let (addr, port) = end(client.visitor.peer);
        let (local_addr, local_port) = end(client.visitor.local);
        let asked = server.map_or(client.visitor.since, |(_, server)| server.used);
        let wait = client.waits.unwrap_or_default();
        vec![
            "C".into(),
            (*welcome.user).into(),
            welcome.database.name().into(),
            "none".into(),
            state.into(),
            addr,
            port,
            local_addr,
            local_port,
            time(client.visitor.since),
            time(asked),
            int(wait.as_secs()),
            int(wait.subsec_micros()),
            int(0),
            client_name(client.id).into(),
            server.map_or_else(String::new, |(pool, server)| server_name(pool, server)).into(),
            int(0),
            tls(client.visitor.tls),
            welcome.settings.get("application_name").unwrap_or_default().into(),
            int(0),
            int(client.id),
        ]
    };
    proxy.registry.clients().iter().map(row).collect()
}

pub(super) fn servers(proxy: &Proxy) -> Vec<Vec<Cell>> {
    let row = |(pool, user, server): (String, String, ServerInfo)| {
        let (local_addr, local_port) = end(server.local);
        let link = match server.client {
            0 => String::new(),
            client => client_name(client),
        };
        vec![
            "S".into(),
            user.into(),
            pool.clone().into(),
            "none".into(),
            if server.active { "active" } else { "idle" }.into(),
            server.address.clone().into(),
            int(server.port),
            local_addr,
            local_port,
            time(server.opened),
            time(server.used),
            int(0),
            int(0),
            int(u8::from(server.close_needed)),
            server_name(&pool, &server).into(),
            link.into(),
            int(server.process_id),
            tls(server.tls),
            "".into(),
            int(server.statements),
            int(server.id),
        ]
    };
    all_servers(proxy).into_iter().map(row).collect()
}

fn tls(is_encrypted: bool) -> Cell {
    if is_encrypted { "TLS" } else { "" }.into()
}

/// Address and port; PgBouncer's word for a socket of the file system.
fn end(address: Option<SocketAddr>) -> (Cell, Cell) {
    match address {
        Some(address) => (address.ip().to_canonical().to_string().into(), int(address.port())),
        None => ("unix".into(), int(0)),
    }
}

/// A moment as PgBouncer writes it, in UTC.
fn time(moment: SystemTime) -> Cell {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = (since / 86_400, since % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC").into()
}

/// Year, month and day of a day since 1970-01-01: counted in years that begin in March, so that the
/// leap day is the last one.
fn date(days: u64) -> (u64, u64, u64) {
    // Days from 0000-03-01 to 1970-01-01, and those of 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_200, "2024-03-01 00:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(time(UNIX_EPOCH + Duration::from_secs(seconds)), text.into());
        }
    }
}
