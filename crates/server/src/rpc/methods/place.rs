//! Where statements run: on a server of a database, or in a transaction or session of the caller's.

use pool_manager::{Backends, DatabasePool, Error, HeldKind, PRIMARY, Route, SqlState};

use super::request;
use crate::rpc::service::Context;

/// Where to run.
pub(super) enum Place<'a> {
    /// On whichever connection is free.
    Pool(&'a DatabasePool),
    /// In the transaction or session of this name.
    Held(HeldKind, &'a str),
}

/// What a request says about where it runs.
pub(super) struct Wish<'a> {
    /// A database.
    pub(super) database: Option<&'a str>,
    /// Its tx_id and session_id.
    pub(super) names: (Option<&'a str>, Option<&'a str>),
    /// `auto`, `primary` or `replica`.
    pub(super) route: Option<&'a str>,
}

/// The place for these statements, which stay together.
pub(super) fn place<'a, 'b>(
    context: &Context<'a>,
    wish: &Wish<'a>,
    texts: impl Iterator<Item = &'b str> + Clone,
) -> Result<Place<'a>, Error> {
    let database = request::database(wish.database);
    let service = context.service;
    let route = route(wish.route)?;
    let Some((kind, name)) = held(wish.names)? else {
        let backends = service.registry.database(database.unwrap_or(PRIMARY))?;
        if !backends.has_replicas() {
            return Ok(Place::Pool(backends.primary()));
        }
        let wrote = wrote(context, backends);
        let pool = backends.for_statements(texts.clone(), route, wrote);
        if texts.into_iter().any(|sql| backends.is_write(sql)) {
            context.writes.note();
        }
        return Ok(Place::Pool(pool));
    };
    if let Some(database) = database {
        service.held.check_database(kind, name, database)?;
    }
    Ok(Place::Held(kind, name))
}

/// The server for a transaction or session.
pub(super) fn place_to_hold<'a>(
    context: &Context<'a>,
    database: Option<&str>,
    read_only: bool,
    asked: Option<&str>,
) -> Result<&'a DatabasePool, Error> {
    let name = request::database(database).unwrap_or(PRIMARY);
    let backends = context.service.registry.database(name)?;
    let wrote = wrote(context, backends);
    if !read_only && backends.has_replicas() {
        context.writes.note();
    }
    Ok(backends.for_transaction(read_only, route(asked)?, wrote))
}

/// Has the servers looked at when an error says that one is not what it was taken for.
pub(super) fn doubt(context: &Context<'_>, database: Option<&str>, error: &Error) {
    let name = request::database(database).unwrap_or(PRIMARY);
    if let Ok(backends) = context.service.registry.database(name) {
        backends.doubt(error);
    }
}

fn wrote(context: &Context<'_>, backends: &Backends) -> bool {
    let window = context.service.options.write_windows.get(backends.name());
    window.is_some_and(|window| context.writes.within(*window))
}

fn route(text: Option<&str>) -> Result<Route, Error> {
    let text = text.unwrap_or_default();
    Route::parse(text).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        Error::refused(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("route {shown:?} does not exist: use auto, primary or replica"),
        )
    })
}

/// An empty id is an error, not "none": a lost id must not run a statement outside its transaction.
fn held<'a>(
    names: (Option<&'a str>, Option<&'a str>),
) -> Result<Option<(HeldKind, &'a str)>, Error> {
    match names {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Error::refused(
            SqlState::INVALID_PARAMETER_VALUE,
            "give tx_id or session_id, not both",
        )),
        (tx_id @ Some(_), None) => {
            Ok(Some((HeldKind::Transaction, request::required("tx_id", tx_id)?)))
        }
        (None, session_id) => {
            Ok(Some((HeldKind::Session, request::required("session_id", session_id)?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_tx_id_is_never_taken_for_none() {
        assert!(held((Some(""), None)).is_err());
        assert!(held((None, Some(""))).is_err());
        assert!(held((Some("a"), Some("b"))).is_err());
        assert!(held((None, None)).is_ok_and(|place| place.is_none()));
    }

    #[test]
    fn routes_are_read_by_their_words() {
        assert_eq!(route(None).ok(), Some(Route::Auto));
        assert_eq!(route(Some(" Replica")).ok(), Some(Route::Replica));
        assert!(route(Some("standby")).is_err());
    }
}
