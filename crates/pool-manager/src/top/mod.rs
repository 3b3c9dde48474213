//! Which statements a pool spends its time on: one [`Tally`] for each text without its constants, for a
//! bounded number of them. Whoever executes a statement keeps its tally and counts there; the table is
//! asked once for each text, and when a statement has lost its place.
//!
//! When the table is full, the quarter of it goes that was used least lately: what came once makes room
//! for what comes again, and looking for it costs little, since it is done for many at once.

mod list;
mod tally;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

pub use list::{StatementOrder, top_statements};
pub use tally::{StatementStats, Tally};

use crate::classify::shape::Shape;

/// Longer texts are told apart by so many bytes at their begin.
const MAX_LOOKED_AT: usize = 16 * 1024;
/// Longest text that is kept, bytes.
const MAX_TEXT: usize = 1024;

/// The tallies of one pool.
#[derive(Default)]
pub(crate) struct TopStatements {
    most: usize,
    hasher: RandomState,
    /// By the hash of what the text looks like.
    table: Mutex<HashMap<u64, Place>>,
}

struct Place {
    tally: Arc<Tally>,
    /// Calls when the least used were looked for the last time.
    before: u64,
    /// How much it was used until then, what is longer ago counting half as much each time.
    used: u64,
}

impl TopStatements {
    /// Of `most` statements at a time; 0: nothing is counted.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Where to count a statement.
    pub(crate) fn tally(&self, sql: &str) -> Option<Arc<Tally>> {
        if self.most == 0 {
            return None;
        }
        let sql = beginning(sql, MAX_LOOKED_AT);
        let mut pieces = Shape::of(sql).peekable();
        // Nothing but blanks and comments.
        pieces.peek()?;
        let mut hasher = self.hasher.build_hasher();
        pieces.for_each(|piece| hasher.write(piece.as_bytes()));
        let hash = hasher.finish();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = table.get(&hash) {
            return Some(Arc::clone(&place.tally));
        }
        if table.len() >= self.most {
            make_room(&mut table);
        }
        let tally = Arc::new(Tally::new(text(sql)));
        table.insert(hash, Place { tally: Arc::clone(&tally), before: 0, used: 0 });
        Some(tally)
    }

    /// Adds what was counted to `all`, by text.
    pub(crate) fn collect(&self, all: &mut HashMap<String, StatementStats>) {
        // Without the lock, which callers wait for, while it is read.
        let tallies: Vec<_> = {
            let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            table.values().map(|place| Arc::clone(&place.tally)).collect()
        };
        for stats in tallies.iter().map(|tally| tally.stats()).filter(|stats| stats.calls > 0) {
            all.entry(stats.text.clone()).and_modify(|known| known.add(&stats)).or_insert(stats);
        }
    }
}

/// Lets the quarter go that was used least.
fn make_room(table: &mut HashMap<u64, Place>) {
    let mut uses = Vec::with_capacity(table.len());
    for place in table.values_mut() {
        let calls = place.tally.calls();
        place.used = place.used / 2 + (calls - place.before.min(calls));
        place.before = calls;
        uses.push(place.used);
    }
    let goes = (uses.len() / 4).max(1);
    let (_, most, _) = uses.select_nth_unstable(goes - 1);
    let most = *most;
    let mut left = goes;
    table.retain(|_, place| {
        let stays = place.used > most || left == 0;
        if !stays {
            left -= 1;
            place.tally.drop_it();
        }
        stays
    });
}

/// What a text looks like, as far as it is kept.
fn text(sql: &str) -> Box<str> {
    let mut text = String::new();
    for piece in Shape::of(sql) {
        if text.len() + piece.len() > MAX_TEXT {
            text.push_str(" ...");
            break;
        }
        text.push_str(piece);
    }
    text.into_boxed_str()
}

/// The begin of a text, in whole characters.
fn beginning(sql: &str, most: usize) -> &str {
    if sql.len() <= most {
        return sql;
    }
    (0..=most).rev().find_map(|end| sql.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn collected(top: &TopStatements) -> HashMap<String, StatementStats> {
        let mut all = HashMap::new();
        top.collect(&mut all);
        all
    }

    fn call(top: &TopStatements, sql: &str) {
        top.tally(sql).unwrap().add(Duration::from_millis(1), 1, false);
    }

    #[test]
    fn statements_that_differ_in_constants_are_one() {
        let top = TopStatements::new(10);
        for id in 0..100 {
            call(&top, &format!("SELECT * FROM t WHERE id = {id}"));
        }
        let all = collected(&top);
        assert_eq!(all.len(), 1);
        assert_eq!(all["SELECT * FROM t WHERE id = ?"].calls, 100);
    }

    #[test]
    fn the_table_is_bounded_and_what_is_used_stays() {
        let top = TopStatements::new(20);
        for name in 0..1000 {
            call(&top, &format!("SELECT a{name}"));
            call(&top, "SELECT often");
            assert!(top.table.lock().unwrap().len() <= 20);
        }
        assert_eq!(collected(&top)["SELECT often"].calls, 1000);
    }

    #[test]
    fn who_holds_a_tally_that_lost_its_place_learns_of_it() {
        let top = TopStatements::new(4);
        let rare = top.tally("SELECT rare").unwrap();
        for name in ["a", "b", "c", "d"] {
            call(&top, &format!("SELECT {name}"));
        }
        assert!(!rare.is_seen());
        assert!(top.tally("SELECT rare").unwrap().is_seen());
    }

    #[test]
    fn long_texts_are_cut_and_none_is_kept_when_nothing_is_counted() {
        let top = TopStatements::new(10);
        call(&top, &format!("SELECT {}", "\u{e9}, ".repeat(MAX_LOOKED_AT)));
        let text = collected(&top).into_keys().next().unwrap();
        assert!(text.ends_with(" ...") && text.len() <= MAX_TEXT + 4, "{}", text.len());
        assert!(TopStatements::new(0).tally("SELECT 1").is_none());
    }
}
