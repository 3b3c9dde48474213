//! Cursors by name: in a transaction or session of the caller's, or in a read-only transaction of
//! their own, which ends with them.

use std::fmt;
use std::sync::Arc;

use super::entry::{Call, Entry, Holding};
use super::names::Ending;
use super::{HeldConnections, HeldKind, HeldLimits, Owner, random_name, watch};
use crate::connection::ResultSink;
use crate::error::Error;
use crate::server_error::SqlState;
use crate::statement::{Statement, TimeLimit};
use crate::transaction::{HeldState, Transaction, TransactionOptions};
use crate::values::Columns;

/// Where a cursor is: its number among those of a transaction or session. Written, it is what
/// callers know it by, and whoever knows the transaction's id could have opened it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorId {
    number: u32,
    kind: HeldKind,
    name: Box<str>,
}

const KINDS: [(char, HeldKind); 3] =
    [('c', HeldKind::Cursor), ('t', HeldKind::Transaction), ('s', HeldKind::Session)];

impl fmt::Display for CursorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or('c', |found| found.0);
        write!(f, "{letter}{}.{}", self.number, self.name)
    }
}

impl CursorId {
    /// Reads what [`Display`](fmt::Display) wrote.
    ///
    /// # Errors
    /// `34000` when it was written by nobody.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let read = || {
            let (place, name) = text.split_once('.')?;
            let mut letters = place.chars();
            let letter = letters.next()?;
            let kind = KINDS.iter().find(|(known, _)| *known == letter)?.1;
            Some(Self { number: letters.as_str().parse().ok()?, kind, name: name.into() })
        };
        read().ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            Error::refused(SqlState::INVALID_CURSOR_NAME, format!("no cursor has the id {shown:?}"))
        })
    }
}

impl HeldConnections {
    /// Opens a cursor in a read-only transaction of its own. It ends when the cursor has been read
    /// to its end, is closed, fails, expires, or its owner leaves.
    pub async fn open_cursor(
        &self,
        pool: &crate::DatabasePool,
        owner: Owner,
        statement: &Statement<'_>,
        limits: HeldLimits,
    ) -> Result<(CursorId, Arc<Columns>), Error> {
        let options = TransactionOptions {
            read_only: true,
            settings: statement.settings.clone(),
            ..TransactionOptions::default()
        };
        let name = random_name();
        let reservation = self.0.reserve(HeldKind::Cursor, &name)?;
        let (transaction, number, columns) = match open(pool, &options, statement).await {
            // A plan that was out of date; it is prepared anew.
            Err(error) if error.is_stale_plan() => open(pool, &options, statement).await?,
            other => other?,
        };
        let name: Box<str> = name.into();
        let holding = Holding::Transaction(transaction);
        let entry = Arc::new(Entry::new(name.clone(), HeldKind::Cursor, owner, limits, holding));
        reservation.fill(&entry);
        watch::start(Arc::clone(&self.0), entry);
        Ok((CursorId { number, kind: HeldKind::Cursor, name }, columns))
    }

    /// Opens a cursor in the transaction or session of that name.
    pub async fn open_cursor_in(
        &self,
        kind: HeldKind,
        name: &str,
        statement: &Statement<'_>,
    ) -> Result<(CursorId, Arc<Columns>), Error> {
        let entry = self.0.find(kind, name)?;
        let mut call = entry.enter(&self.0).await?;
        let (number, columns) = entry.unless_ended(&self.0, call.open_cursor(statement)).await??;
        Ok((CursorId { number, kind, name: name.into() }, columns))
    }

    /// Fetches up to `count` rows; `true` when there are no more, and the cursor is closed.
    ///
    /// # Errors
    /// After any error but that of a wrong id the cursor is closed.
    pub async fn fetch_cursor(
        &self,
        id: &CursorId,
        count: u32,
        limit: TimeLimit,
        sink: &mut (impl ResultSink + Send),
    ) -> Result<bool, Error> {
        let entry = self.0.find(id.kind, &id.name)?;
        let mut call = entry.enter(&self.0).await?;
        let fetch = call.fetch_cursor(id.number, count, limit, sink);
        let result = entry.unless_ended(&self.0, fetch).await?;
        if id.kind == HeldKind::Cursor && !matches!(result, Ok(false)) {
            finish(&mut call).await;
        }
        result
    }

    /// Closes a cursor; one that is closed already stays so.
    pub async fn close_cursor(&self, id: &CursorId) -> Result<(), Error> {
        let Ok(entry) = self.0.find(id.kind, &id.name) else { return Ok(()) };
        let Ok(mut call) = entry.enter(&self.0).await else { return Ok(()) };
        if id.kind == HeldKind::Cursor {
            finish(&mut call).await;
            return Ok(());
        }
        entry.unless_ended(&self.0, call.close_cursor(id.number)).await?
    }
}

async fn open(
    pool: &crate::DatabasePool,
    options: &TransactionOptions,
    statement: &Statement<'_>,
) -> Result<(Transaction, u32, Arc<Columns>), Error> {
    let mut transaction = Transaction::begin(pool.pool(), options).await?;
    let statement = Statement { settings: &crate::connection::Settings::none(), ..*statement };
    let (checkout, cursors) = transaction.parts();
    match cursors.open(checkout, &statement).await {
        Ok((number, columns)) => Ok((transaction, number, columns)),
        Err(error) => {
            // It goes back to the pool, where a drop would close the connection; and so it does when
            // something is still under way on it.
            if transaction.state() == HeldState::InTransaction {
                let _ = transaction.rollback().await;
            }
            Err(error)
        }
    }
}

/// The transaction that was only there for the cursor.
async fn finish(call: &mut Call<'_>) {
    if let Some(holding) = call.take(Ending::Finished) {
        holding.release().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_were_written() {
        for (kind, name) in [
            (HeldKind::Cursor, "0123abc"),
            (HeldKind::Transaction, "my.tx: \u{e9}"),
            (HeldKind::Session, ""),
        ] {
            let id = CursorId { number: 7, kind, name: name.into() };
            assert_eq!(CursorId::parse(&id.to_string()).unwrap(), id);
        }
        for bad in ["", "c", "c1", "x1.a", "c-1.a", "c99999999999.a", ".", "\u{e9}1.a"] {
            assert!(CursorId::parse(bad).is_err(), "{bad}");
        }
    }
}
