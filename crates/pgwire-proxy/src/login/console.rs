//! Who is let into the admin console, and as what.

use pool_manager::{ServerError, SqlState, TransactionStatus};

use super::wire::Wire;
use super::{Guest, Place, Refusal, cut, identify, named_user, negotiate, refuse_replication};
use crate::admin::{Rank, is_console};
use crate::message::backend;
use crate::message::startup::Startup;
use crate::proxy::{Proxy, ProxyOptions};

/// What is told of a server that there is none of.
const PARAMETERS: [(&str, &str); 6] = [
    ("server_version", concat!(env!("CARGO_PKG_VERSION"), "/rr-pgpool")),
    ("client_encoding", "UTF8"),
    ("server_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("TimeZone", "UTC"),
    ("standard_conforming_strings", "on"),
];

/// Whether the client asks for it. A database of that name that is configured comes first.
pub(super) fn is_asked_for(proxy: &Proxy, startup: &Startup) -> bool {
    let user = startup.get("user").unwrap_or_default();
    let name = startup.get("database").filter(|name| !name.is_empty()).unwrap_or(user);
    is_console(name) && proxy.database(name).is_none()
}

/// Lets somebody in who may. It takes none of the places of clients: whoever has to find out why
/// those are taken is let in.
pub(super) async fn admit(
    proxy: &Proxy,
    wire: &mut Wire,
    startup: &Startup,
) -> Result<Guest, Refusal> {
    let user = cut(named_user(startup)?);
    negotiate(startup, wire);
    refuse_replication(startup)?;
    let rank = if is_console(user) && wire.is_own_user() {
        // As with PgBouncer: whoever could stop the process may say so.
        wire.say(|out| backend::authentication(out, 0, &[]));
        Rank::Admin
    } else {
        let database = proxy.any_database().ok_or(Refusal::Silent)?;
        identify(proxy, wire, &database, user).await?;
        let is_proved = !database.users.mode().lets_anybody_in() || wire.is_local();
        rank(&proxy.options(), user, is_proved)?
    };
    let registration = proxy.registry.register(startup.minor, None);
    wire.say(|out| {
        for (name, value) in PARAMETERS {
            backend::parameter_status(out, name, value);
        }
        backend::key_data(out, &registration.key);
        backend::ready(out, TransactionStatus::Idle);
    });
    wire.send().await?;
    Ok(Guest { place: Place::Console(user.into(), rank), registration })
}

/// What a user may do. Where names alone let people in from anywhere, they do no more than look.
fn rank(options: &ProxyOptions, user: &str, is_proved: bool) -> Result<Rank, Refusal> {
    let is_in = |users: &[String]| users.iter().any(|name| name == user);
    match (is_in(&options.admin_users), is_in(&options.stats_users)) {
        (true, _) if is_proved => Ok(Rank::Admin),
        (true, _) | (_, true) => Ok(Rank::Stats),
        (false, false) => {
            let message = format!("user \"{user}\" may not use the admin console");
            let mut error = ServerError::new(SqlState::INVALID_AUTHORIZATION, message);
            error.hint = Some(
                "Users in proxy.admin_users may, and those in proxy.stats_users may look; over a \
                 Unix socket also the user \"pgbouncer\" or \"pgpool\", from the system user that \
                 rr-pgpool runs as."
                    .to_owned(),
            );
            Err(Refusal::Told(Box::new(error)))
        }
    }
}
