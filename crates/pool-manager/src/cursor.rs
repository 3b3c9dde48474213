//! Cursors of a transaction: results that their caller fetches a few rows at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::connection::{ExecuteError, Execution, SendSink};
use crate::engine::TransactionStatus;
use crate::error::{Error, Exposure};
use crate::pool::Checkout;
use crate::server_error::SqlState;
use crate::statement::{Statement, TimeLimit, check_text};
use crate::top::Tally;
use crate::values::Columns;

/// Cursors that may be open in one transaction.
const MAX_CURSORS: usize = 100;

/// Those of one held connection, by number.
#[derive(Default)]
pub(crate) struct Cursors {
    open: HashMap<u32, Open>,
    last: u32,
}

/// One that can be fetched from.
struct Open {
    columns: Arc<Columns>,
    /// Where each fetch is counted.
    tally: Option<Arc<Tally>>,
}

fn portal(number: u32) -> String {
    format!("{}c{number}", crate::connection::STATEMENT_PREFIX)
}

impl Cursors {
    /// Opens one for a query, and says what columns it has.
    pub(crate) async fn open(
        &mut self,
        checkout: &mut Checkout,
        statement: &Statement<'_>,
    ) -> Result<(u32, Arc<Columns>), Error> {
        let pool = checkout.pool().clone();
        let class = pool.classify(statement.sql);
        check_text(statement, &class)?;
        if !class.cacheable || statement.simple {
            return Err(Error::refused(
                SqlState::FEATURE_NOT_SUPPORTED,
                "a cursor is for a query (SELECT, VALUES, or what has RETURNING); use Execute",
            ));
        }
        if !statement.settings.is_empty() {
            return Err(Error::refused(
                SqlState::FEATURE_NOT_SUPPORTED,
                "settings of a cursor in a transaction belong to the transaction: they must hold \
                 while it is fetched from",
            ));
        }
        if checkout.status() == TransactionStatus::Idle {
            return Err(Error::refused(
                SqlState::NO_ACTIVE_TRANSACTION,
                "a cursor lives in a transaction, and the session is in none: begin one, or leave \
                 session_id out",
            ));
        }
        if self.open.len() >= MAX_CURSORS {
            return Err(Error::refused(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("{MAX_CURSORS} cursors are open in this transaction; close some"),
            ));
        }
        let Statement { sql, args, .. } = *statement;
        let what = Execution { sql, args, class: &class, simple: false, types: pool.types() };
        let number = self.last.wrapping_add(1);
        let name = portal(number);
        self.last = number;
        let limit = pool.limit(statement.limit);
        let opened = checkout.open_portal_within(&name, &what, limit).await;
        let columns = opened.map_err(|error| within_transaction().explain(error))?;
        let columns = columns.ok_or_else(|| {
            Error::refused(
                SqlState::FEATURE_NOT_SUPPORTED,
                "the statement returns no rows; use Execute",
            )
        })?;
        let tally = pool.tally_of(sql, &class);
        self.open.insert(number, Open { columns: Arc::clone(&columns), tally });
        Ok((number, columns))
    }

    /// Fetches up to `count` rows; `true` when there are no more, and the cursor is closed.
    pub(crate) async fn fetch(
        &mut self,
        checkout: &mut Checkout,
        number: u32,
        count: u32,
        limit: TimeLimit,
        sink: &mut dyn SendSink,
    ) -> Result<bool, Error> {
        let Open { columns, tally } = self.open.get(&number).ok_or_else(|| no_such(number))?;
        let pool = checkout.pool().clone();
        let count = i32::try_from(count.max(1)).unwrap_or(i32::MAX);
        let started = Instant::now();
        let limit = pool.limit(limit);
        let name = portal(number);
        let result = checkout.fetch_portal_within(&name, columns, count, sink, limit).await;
        let took = started.elapsed();
        pool.count_query(took, result.as_ref().err());
        if let Some(tally) = tally {
            tally.add(took, 0, result.is_err());
        }
        sink.ended(took);
        match result {
            Ok(false) => Ok(false),
            Ok(true) => {
                self.close(checkout, number).await?;
                Ok(true)
            }
            Err(error) => {
                // Rows that were fetched and not delivered are gone: nobody may go on behind them.
                let sink_error = matches!(error, ExecuteError::Sink(_));
                if self.open.remove(&number).is_some() && sink_error && checkout.at_rest() {
                    let close = checkout.close_portal(&name);
                    let _ = pool.within_limit(TimeLimit::Configured, close).await;
                }
                let error = within_transaction().explain(error);
                pool.counters().failed(error.sqlstate());
                Err(error)
            }
        }
    }

    /// Their transaction has ended.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }

    /// Closes one; nothing happens to one that is not open any more.
    pub(crate) async fn close(
        &mut self,
        checkout: &mut Checkout,
        number: u32,
    ) -> Result<(), Error> {
        if self.open.remove(&number).is_none()
            || checkout.status() != TransactionStatus::InTransaction
        {
            return Ok(());
        }
        let pool = checkout.pool().clone();
        pool.within_limit(TimeLimit::Configured, checkout.close_portal(&portal(number))).await
    }
}

fn no_such(number: u32) -> Error {
    Error::refused(
        SqlState::INVALID_CURSOR_NAME,
        format!("cursor {number} is not open: it was read to its end, closed, or has failed"),
    )
}

/// Losing the connection takes nothing but the transaction.
fn within_transaction() -> Exposure {
    Exposure { in_transaction: true, read_only: false, atomic: true, what: "the statement" }
}
