//! Where statements run: on a server of a database, or in a transaction or session of the caller's.

use pool_manager::{Backends, DatabasePool, Error, HeldKind, PRIMARY, Route, SqlState};

use super::request;
use crate::rpc::service::{Context, Live, Writes};

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

/// To be kept for as long as what may write is under way. The client's other reads must see it from
/// its begin, since calls run side by side, and for a while after its end.
#[must_use]
pub(super) struct Writing<'a>(Option<(&'a Writes, &'a Live)>);

impl<'a> Writing<'a> {
    fn new(context: &Context<'a>, writes: bool) -> Self {
        let noted = writes.then_some((context.writes, context.live));
        noted.inspect(|(writes, _)| writes.note());
        Self(noted)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let Some((writes, live)) = self.0 else { return };
        writes.note();
        live.registry.databases().for_each(Backends::note_write);
    }
}

/// The place for these statements, which stay together.
pub(super) async fn place<'a, 'b>(
    context: &Context<'a>,
    wish: &Wish<'a>,
    texts: impl Iterator<Item = &'b str>,
) -> Result<(Place<'a>, Writing<'a>), Error> {
    let database = request::database(wish.database);
    let service = context.service;
    let route = route(wish.route)?;
    let Some((kind, name)) = held(wish.names)? else {
        let backends = context.live.registry.database(database.unwrap_or(PRIMARY))?;
        let wrote = if backends.follows_writes() { context.writes.last() } else { None };
        let (pool, writes) = backends.for_statements(texts, route, wrote);
        let pool = at_work(backends, pool).await;
        return Ok((Place::Pool(pool), Writing::new(context, writes)));
    };
    if let Some(database) = database {
        service.held.check_database(kind, name, database)?;
    }
    Ok((Place::Held(kind, name), writing_in(context, kind, name)))
}

/// For what happens in, or ends, a transaction or session.
pub(super) fn writing_in<'a>(context: &Context<'a>, kind: HeldKind, name: &str) -> Writing<'a> {
    let follows_writes = context.live.follows_writes;
    Writing::new(context, follows_writes && context.service.held.may_write(kind, name))
}

/// The server for a transaction or session.
pub(super) async fn place_to_hold<'a>(
    context: &Context<'a>,
    database: Option<&str>,
    read_only: bool,
    asked: Option<&str>,
) -> Result<(&'a DatabasePool, Writing<'a>), Error> {
    let name = request::database(database).unwrap_or(PRIMARY);
    let backends = context.live.registry.database(name)?;
    let wrote = if backends.follows_writes() { context.writes.last() } else { None };
    let (pool, writes) = backends.for_transaction(read_only, route(asked)?, wrote);
    Ok((at_work(backends, pool).await, Writing::new(context, writes)))
}

/// The pool, or, of the server that takes writes, the one that does once there is one.
async fn at_work<'a>(backends: &'a Backends, pool: &'a DatabasePool) -> &'a DatabasePool {
    if std::ptr::eq(pool, backends.primary()) { backends.primary_at_work().await } else { pool }
}

fn route(text: Option<&str>) -> Result<Route, Error> {
    let words = [("auto", Route::Auto), ("primary", Route::Primary), ("replica", Route::Replica)];
    request::choice("route", text.map(str::trim), &words, Route::Auto)
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
