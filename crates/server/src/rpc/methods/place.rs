//! Where statements run: on any connection of a pool, or in a transaction or session of the caller's.

use pool_manager::{DatabasePool, Error, HeldKind, PRIMARY, SqlState};

use super::request;
use crate::rpc::service::Context;

/// Where to run.
pub(super) enum Place<'a> {
    /// On whichever connection is free.
    Pool(&'a DatabasePool),
    /// In the transaction or session of this name.
    Held(HeldKind, &'a str),
}

/// What a request says about it; `names` are its tx_id and session_id.
pub(super) fn place<'a>(
    context: &Context<'a>,
    database: Option<&str>,
    names: (Option<&'a str>, Option<&'a str>),
) -> Result<Place<'a>, Error> {
    let database = request::database(database);
    let service = context.service;
    let Some((kind, name)) = held(names)? else {
        return service.registry.get_pool(database.unwrap_or(PRIMARY)).map(Place::Pool);
    };
    if let Some(database) = database {
        service.held.check_database(kind, name, database)?;
    }
    Ok(Place::Held(kind, name))
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
}
