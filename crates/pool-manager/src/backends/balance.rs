//! Which replica gets the next read.

use std::sync::atomic::{AtomicUsize, Ordering};

use rand::RngExt;

use super::BackendsOptions;
use super::member::Member;

/// How a replica is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadBalance {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest connections in use.
    LeastConnections,
    /// Any.
    Random,
    /// In proportion to their weights.
    Weighted,
}

pub(super) struct Balance {
    kind: LoadBalance,
    turn: AtomicUsize,
}

impl Balance {
    pub(super) fn new(kind: LoadBalance) -> Self {
        Self { kind, turn: AtomicUsize::new(0) }
    }

    /// One that takes reads, other than the primary, and has come to the position `least`.
    pub(super) fn choose<'a>(
        &self,
        members: &'a [Member],
        primary: usize,
        options: &BackendsOptions,
        least: u64,
    ) -> Option<&'a Member> {
        let able: Vec<&Member> = members
            .iter()
            .enumerate()
            .filter(|(index, member)| *index != primary && member.takes_reads(options, least))
            .map(|(_, member)| member)
            .collect();
        match (able.as_slice(), self.kind) {
            ([] | [_], _) => able.first().copied(),
            (able, LoadBalance::RoundRobin) => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                able.get(turn % able.len()).copied()
            }
            (able, LoadBalance::Random) => {
                able.get(rand::rng().random_range(0..able.len())).copied()
            }
            (able, LoadBalance::LeastConnections) => {
                able.iter().min_by_key(|member| member.pool.in_use()).copied()
            }
            (able, LoadBalance::Weighted) => {
                weighted(able, |total| rand::rng().random_range(0..total))
            }
        }
    }
}

/// The one into whose part of all weights the number falls that `draw` gives.
fn weighted<'a>(able: &[&'a Member], draw: impl FnOnce(u32) -> u32) -> Option<&'a Member> {
    let total = able.iter().map(|member| member.weight).sum();
    let mut left = draw(total);
    able.iter()
        .find(|member| {
            let here = left < member.weight;
            left = left.saturating_sub(member.weight);
            here
        })
        .copied()
}
