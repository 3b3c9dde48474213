//! The loop over hosts and their addresses, and `target_session_attrs`. Every failure is kept for
//! the error; it never opens a socket itself.

use std::collections::BTreeMap;

use super::Settings;
use super::attempt::{Opened, open, within};
use super::error::{ConnectCause, ConnectError, HostFailure};
use super::session::Session;
use super::socket::{Address, HostName};
use crate::dsn::{Host, TargetSessionAttrs};

/// Opens a session on the first host that will do.
pub(super) async fn open_any<S: Session>(
    settings: &Settings,
) -> Result<(Opened<S>, Host), ConnectError> {
    let mut search = Search { settings, failures: Vec::new(), unsuitable: Vec::new() };
    let hosts: Vec<&Host> = settings.params.hosts.iter().collect();
    let wanted = match settings.params.target_session_attrs {
        TargetSessionAttrs::PreferStandby => TargetSessionAttrs::Standby,
        wanted => wanted,
    };
    let mut found = search.pass(&hosts, wanted).await;
    if found.is_none() && settings.params.target_session_attrs == TargetSessionAttrs::PreferStandby
    {
        // Second pass: no standby is to be had, so a host that is not one will do. Those that could
        // not be reached a moment ago are not asked again.
        let reachable = std::mem::take(&mut search.unsuitable);
        search.failures.retain(|f| !matches!(f.cause, ConnectCause::Unsuitable { .. }));
        found = search.pass(&reachable, TargetSessionAttrs::Any).await;
    }
    found.ok_or_else(|| ConnectError::from_failures(search.failures))
}

struct Search<'a> {
    settings: &'a Settings,
    failures: Vec<HostFailure>,
    /// Hosts that answered and are not of the wanted kind.
    unsuitable: Vec<&'a Host>,
}

/// Whether a failure ends the search.
enum Next {
    Address,
    Host,
    GiveUp,
}

impl<'a> Search<'a> {
    async fn pass<S: Session>(
        &mut self,
        hosts: &[&'a Host],
        wanted: TargetSessionAttrs,
    ) -> Option<(Opened<S>, Host)> {
        for host in hosts {
            for address in self.resolve(host).await {
                match open::<S>(self.settings, host, &address).await.and_then(suitable(wanted)) {
                    Ok(opened) => return Some((opened, (*host).clone())),
                    Err(cause) => match self.note(host, address.place(host), cause) {
                        Next::Address => {}
                        Next::Host => break,
                        Next::GiveUp => return None,
                    },
                }
            }
        }
        None
    }

    async fn resolve(&mut self, host: &'a Host) -> Vec<Address> {
        let limit = self.settings.params.connect_timeout;
        let cause = match within(limit, Address::resolve(host)).await {
            Ok(Ok(addresses)) => return addresses,
            Ok(Err(error)) => ConnectCause::Resolve(error),
            Err(timeout) => timeout,
        };
        self.note(host, HostName(host).to_string(), cause);
        Vec::new()
    }

    fn note(&mut self, host: &'a Host, place: String, cause: ConnectCause) -> Next {
        let next = match &cause {
            ConnectCause::Unsuitable { .. } => {
                self.unsuitable.push(host);
                Next::Host
            }
            // As libpq documents: when authentication fails, the remaining hosts are not tried.
            cause if cause.sqlstate().class() == "28" => Next::GiveUp,
            _ => Next::Address,
        };
        self.failures.push(HostFailure { place, cause });
        next
    }
}

/// Lets a session pass or turns it away by what the server reported of itself.
fn suitable<S>(
    wanted: TargetSessionAttrs,
) -> impl FnOnce(Opened<S>) -> Result<Opened<S>, ConnectCause> {
    move |opened| match mismatch(wanted, &opened.record.parameters) {
        None => Ok(opened),
        Some(found) => Err(ConnectCause::Unsuitable { wanted, found }),
    }
}

/// What the server is instead of what is wanted; `None` when it will do.
fn mismatch(
    wanted: TargetSessionAttrs,
    parameters: &BTreeMap<String, String>,
) -> Option<&'static str> {
    use TargetSessionAttrs::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};
    if matches!(wanted, Any | PreferStandby) {
        return None;
    }
    let is_on = |name| parameters.get(name).map(|value| value == "on");
    let (Some(standby), Some(read_only)) =
        (is_on("in_hot_standby"), is_on("default_transaction_read_only"))
    else {
        return Some("the server does not report its state (PostgreSQL 14 or later does)");
    };
    match wanted {
        ReadWrite if standby => Some("the server is a standby"),
        ReadWrite if read_only => Some("the server's transactions are read-only by default"),
        ReadOnly if !standby && !read_only => Some("the server accepts writes"),
        Primary if standby => Some("the server is a standby"),
        Standby if !standby => Some("the server is not a standby"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TargetSessionAttrs::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};

    #[test]
    fn the_servers_report_decides() {
        for (standby, read_only, accepted) in [
            ("off", "off", [Any, PreferStandby, ReadWrite, Primary].as_slice()),
            ("off", "on", &[Any, PreferStandby, ReadOnly, Primary]),
            ("on", "off", &[Any, PreferStandby, ReadOnly, Standby]),
            ("on", "on", &[Any, PreferStandby, ReadOnly, Standby]),
        ] {
            let parameters = BTreeMap::from([
                ("in_hot_standby".to_owned(), standby.to_owned()),
                ("default_transaction_read_only".to_owned(), read_only.to_owned()),
            ]);
            for wanted in [Any, PreferStandby, ReadWrite, ReadOnly, Primary, Standby] {
                let found = mismatch(wanted, &parameters);
                assert_eq!(found.is_none(), accepted.contains(&wanted), "{wanted:?} {found:?}");
            }
        }
    }

    #[test]
    fn a_server_that_reports_nothing_will_do_for_any_only() {
        let nothing = BTreeMap::new();
        assert_eq!(mismatch(Any, &nothing), None);
        assert!(mismatch(ReadWrite, &nothing).unwrap().contains("PostgreSQL 14"));
    }
}
