//! Statements that have ended, until it is known how long they took: that is told when the server has
//! answered everything. Those that ended together share the time.

use std::sync::Arc;
use std::time::Duration;

use pool_manager::Tally;

use super::attached::Attached;
use super::expect::{Expect, Querying};

/// Those of a longer pipeline are not counted one by one.
const MAX_CALLS: usize = 1024;
/// Room for so many is kept with a connection.
const USUAL_CALLS: usize = 64;

#[derive(Default)]
pub(super) struct Calls {
    ended: Vec<Call>,
    /// Rows of the Query under way.
    rows: u64,
    /// Transactions of several units that have ended.
    transactions: u64,
    is_in_transaction: bool,
}

struct Call {
    tally: Arc<Tally>,
    rows: u64,
    failed: bool,
}

impl Calls {
    fn push(&mut self, tally: Option<Arc<Tally>>, rows: u64, failed: bool) {
        if let Some(tally) = tally.filter(|_| self.ended.len() < MAX_CALLS) {
            self.ended.push(Call { tally, rows, failed });
        }
    }

    /// An Execute was answered with this command tag.
    pub(super) fn executed(&mut self, tally: Option<Arc<Tally>>, tag: &[u8]) {
        self.push(tally, rows_of(tag), false);
    }

    /// A message of a batch has failed.
    pub(super) fn failed(&mut self, tally: Option<Arc<Tally>>) {
        self.push(tally, 0, true);
    }

    /// A statement of the Query under way was answered with this command tag.
    pub(super) fn part_of_query(&mut self, tag: &[u8]) {
        self.rows += rows_of(tag);
    }

    /// The Query under way has ended.
    pub(super) fn query_ended(&mut self, query: &mut Querying, failed: bool) {
        let rows = std::mem::take(&mut self.rows);
        self.push(query.ending.tally.take(), rows, failed);
    }

    /// A ReadyForQuery has come.
    pub(super) fn unit_ended(&mut self, is_in_transaction: bool) {
        let was = std::mem::replace(&mut self.is_in_transaction, is_in_transaction);
        self.transactions += u64::from(was && !is_in_transaction);
    }

    /// Counts what has ended within this time; how many transactions.
    pub(super) fn count(&mut self, took: Duration) -> u64 {
        let each = took / u32::try_from(self.ended.len()).unwrap_or(u32::MAX).max(1);
        for call in self.ended.drain(..) {
            call.tally.add(each, call.rows, call.failed);
        }
        std::mem::take(&mut self.transactions)
    }

    /// Its room, with nothing in it.
    pub(super) fn emptied(&mut self) -> Self {
        let mut ended = std::mem::take(&mut self.ended);
        ended.clear();
        ended.shrink_to(USUAL_CALLS);
        Self { ended, ..Self::default() }
    }
}

impl Attached {
    /// Where the statement is counted whose reply comes next.
    pub(super) fn tally_of_front(&self) -> Option<Arc<Tally>> {
        let statement = match self.owed.front()? {
            Expect::Execute(ending) => return ending.tally.clone(),
            Expect::Bind(Some(named)) | Expect::DescribeStatement(Some(named)) => &named.statement,
            Expect::Parse(parsing) => &parsing.statement,
            _ => return None,
        };
        self.connection.tally(&statement.sql, &statement.tally)
    }
}

/// The number at the end of a command tag; 0 where there is none.
fn rows_of(tag: &[u8]) -> u64 {
    let tag = tag.strip_suffix(b"\0").unwrap_or(tag);
    let digits = tag.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let number = tag.get(tag.len() - digits..).unwrap_or_default();
    number
        .iter()
        .fold(0u64, |rows, digit| rows.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_the_end_of_a_command_tag() {
        for (tag, rows) in [
            (&b"SELECT 12\0"[..], 12),
            (b"INSERT 0 3\0", 3),
            (b"BEGIN\0", 0),
            (b"", 0),
            (b"99999999999999999999999", u64::MAX),
        ] {
            assert_eq!(rows_of(tag), rows, "{}", String::from_utf8_lossy(tag));
        }
    }
}
