//! The commands that change something.

use std::sync::Arc;

use futures_util::future::join_all;
use pool_manager::{DatabasePool, SqlState};

use super::command::Command;
use super::control::Control;
use super::{Fault, fault};
use crate::database::Database;
use crate::proxy::Proxy;

/// What a command has done beyond what its tag says, line by line.
pub(super) type Said = Vec<String>;

/// Does what a command other than SHOW says. Dropped, it leaves what it has begun as it is: a PAUSE
/// whose client has gone is still one.
pub(super) async fn act(proxy: &Proxy, command: Command) -> Result<Said, Fault> {
    match command {
        Command::Pause(name) => pause(&some(proxy, "PAUSE", name.as_deref())?).await?,
        Command::Resume(name) => resume(&some(proxy, "RESUME", name.as_deref())?)?,
        Command::Reconnect(name) => {
            each_pool(&some(proxy, "RECONNECT", name.as_deref())?, DatabasePool::reconnect);
        }
        Command::WaitClose(name) => {
            let databases = some(proxy, "WAIT_CLOSE", name.as_deref())?;
            let pools = databases.iter().flat_map(|database| database.pools());
            join_all(pools.map(DatabasePool::reconnected)).await;
        }
        Command::Kill(name) => {
            kill(proxy, &some(proxy, "KILL", name.as_deref())?).await?;
        }
        Command::KillClient(id) => kill_client(proxy, id)?,
        Command::Disable(name) => disable(proxy, "DISABLE", &name, true)?,
        Command::Enable(name) => disable(proxy, "ENABLE", &name, false)?,
        Command::Set(key, value) => {
            let done = control(proxy)?.set(&key, &value).await;
            return done.map_err(|why| wrong(format!("SET {}: {why}", shown(&key))));
        }
        Command::Reload => {
            let done = control(proxy)?.reload().await;
            return done.map_err(|why| wrong(format!("RELOAD: nothing was changed: {why}")));
        }
        Command::Shutdown(kind) => control(proxy)?.shut_down(kind),
        Command::Empty | Command::Show(_) | Command::ShowSetting(..) | Command::Ignored => {}
    }
    Ok(Vec::new())
}

fn control(proxy: &Proxy) -> Result<&Arc<dyn Control>, Fault> {
    let missing = || {
        let text = "nobody listens to this command: the door is part of another program";
        fault(SqlState::FEATURE_NOT_SUPPORTED, text)
    };
    proxy.control().ok_or_else(missing)
}

/// The databases that a command means.
fn some(proxy: &Proxy, verb: &str, name: Option<&str>) -> Result<Vec<Arc<Database>>, Fault> {
    match name {
        None => Ok(proxy.databases().values().cloned().collect()),
        Some(name) => database(proxy, verb, name).map(|database| vec![database]),
    }
}

fn database(proxy: &Proxy, verb: &str, name: &str) -> Result<Arc<Database>, Fault> {
    proxy.database(name).ok_or_else(|| {
        let (name, known) = (shown(name), proxy.database_names());
        let text = format!("{verb}: there is no database {name:?}; there are: {known}");
        fault(SqlState::UNKNOWN_DATABASE, text)
    })
}

fn each_pool(databases: &[Arc<Database>], with: impl Fn(&DatabasePool)) {
    databases.iter().flat_map(|database| database.pools()).for_each(with);
}

async fn pause(databases: &[Arc<Database>]) -> Result<(), Fault> {
    let pools = || databases.iter().flat_map(|database| database.pools());
    if pools().all(DatabasePool::is_paused) {
        return Err(state("PAUSE: already paused; RESUME ends it".to_owned()));
    }
    pools().for_each(DatabasePool::pause);
    join_all(pools().map(DatabasePool::paused)).await;
    if pools().any(|pool| !pool.is_paused()) {
        return Err(state("PAUSE: ended by RESUME before all was at rest".to_owned()));
    }
    Ok(())
}

fn resume(databases: &[Arc<Database>]) -> Result<(), Fault> {
    let pools = || databases.iter().flat_map(|database| database.pools());
    if !pools().any(DatabasePool::is_paused) {
        return Err(state("RESUME: not paused".to_owned()));
    }
    pools().for_each(DatabasePool::resume);
    Ok(())
}

/// Clients first, so that none begins anything on what is being closed.
async fn kill(proxy: &Proxy, databases: &[Arc<Database>]) -> Result<(), Fault> {
    each_pool(databases, DatabasePool::pause);
    let is_meant = |name: &str| databases.iter().any(|database| database.name() == name);
    proxy.registry.end_clients(|visitor| is_meant(visitor.welcome.asked.name()));
    for database in databases {
        if let Some(control) = proxy.control() {
            let ended = control.end_held(database.name()).await;
            ended.map_err(|why| wrong(format!("KILL {}: {why}", database.name())))?;
        }
    }
    let pools = databases.iter().flat_map(|database| database.pools());
    join_all(pools.map(DatabasePool::kill)).await;
    Ok(())
}

fn kill_client(proxy: &Proxy, id: i32) -> Result<(), Fault> {
    if proxy.registry.end_client(id) {
        return Ok(());
    }
    Err(wrong(format!("KILL_CLIENT: there is no client {id}; SHOW CLIENTS has their ids")))
}

fn disable(proxy: &Proxy, verb: &str, name: &str, disabled: bool) -> Result<(), Fault> {
    let database = database(proxy, verb, name)?;
    database.disable(disabled);
    let what = if disabled { "disabled" } else { "enabled" };
    tracing::info!(database = database.name(), "{what}");
    Ok(())
}

fn wrong(message: String) -> Fault {
    fault(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn state(message: String) -> Fault {
    fault(SqlState::NOT_IN_PREREQUISITE_STATE, message)
}

/// Some of a name of the client's, for an error.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}
