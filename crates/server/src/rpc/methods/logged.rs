//! Statements of the RPC methods in the log of statements.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use pool_manager::values::Arg;
use pool_manager::{Error, Statement};

use super::place::Place;
use crate::query_log::Entry;
use crate::rpc::service::Context;

/// Logs a statement where that is wanted: `total` since it was asked for, of which it ran for
/// `took`, if it came to that.
pub(super) fn log(
    context: &Context<'_>,
    place: &Place<'_>,
    statement: &Statement<'_>,
    total: Duration,
    took: Option<Duration>,
    error: Option<&Error>,
) {
    let log = &context.live.options.query_log;
    if !log.wants(took) {
        return;
    }
    let database = match *place {
        Place::Pool(pool) => Some(Cow::Borrowed(pool.database())),
        Place::Held(kind, name) => context.service.held.database(kind, name).map(Cow::Owned),
    };
    let params = log.params.then(|| format!("{:?}", ShownArgs(statement.args)));
    log.write(&Entry {
        door: "rpc",
        database: database.as_deref(),
        user: None,
        texts: &[Cow::Borrowed(statement.sql)],
        statements: 1,
        params: params.as_deref(),
        took,
        waited: total.saturating_sub(took.unwrap_or_default()),
        sqlstate: error.map(Error::sqlstate),
    });
}

/// Arguments with their values, for `log_params`.
struct ShownArgs<'a>(&'a [Arg]);

impl fmt::Debug for ShownArgs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(Arg::shown)).finish()
    }
}
