//! Looking at the servers of a database: who is up, who takes writes, how far behind the others are.
//! Each is asked on its housekeeping connection, so that no statement waits for it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::Inner;
use super::member::{Change, Member, MemberRole, Report};
use crate::error::Error;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Least time between two looks at a server, however much is wrong with it.
const LEAST_PAUSE: Duration = Duration::from_millis(50);
/// Sizes of the header of a page of WAL, and of the first page of a file; from access/xlog_internal.h.
const PAGE_HEADERS: [u64; 2] = [24, 40];
/// What it is asked: whether it is in recovery, how far it is, on which timeline, how old what it has
/// replayed last is, and the size of a page of its WAL. Where a primary inserts, since what is
/// committed asynchronously is not written yet.
const QUESTION: &str = "SELECT r,
    (CASE WHEN r THEN coalesce(pg_last_wal_replay_lsn(), '0/0') ELSE pg_current_wal_insert_lsn() END
        - '0/0')::int8,
    CASE WHEN r THEN 0 ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int4
        END,
    CASE WHEN r THEN extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 END,
    current_setting('wal_block_size')::int4
    FROM (SELECT pg_is_in_recovery() AS r) AS s";

/// Watches them until nobody has the database any more.
pub(super) fn start(inner: &Arc<Inner>) {
    for index in 0..inner.members.len() {
        let inner = Arc::downgrade(inner);
        tokio::spawn(watch(inner, index));
    }
}

async fn watch(inner: Weak<Inner>, index: usize) {
    loop {
        let Some(pause) = look(&inner, index).await else { return };
        sleep(pause.min(LEAST_PAUSE)).await;
        let Some(strong) = inner.upgrade() else { return };
        let Some(member) = strong.members.get(index) else { return };
        // Not kept alive by its own watcher for longer than a pause.
        tokio::select! {
            () = member.pool.doubted() => {
                // Whatever became of it, another one may be what it was.
                strong.members.iter().for_each(Member::look_again);
            }
            () = member.wanted.notified() => {}
            () = sleep(pause.saturating_sub(LEAST_PAUSE)) => {}
        }
    }
}

/// One look; how long to wait before the next one.
async fn look(inner: &Weak<Inner>, index: usize) -> Option<Duration> {
    let inner = inner.upgrade()?;
    let member = inner.members.get(index)?;
    let doubts = member.pool.doubts();
    let answer = timeout(PATIENCE, ask(member)).await;
    let is_there = matches!(answer, Ok(Ok(_)));
    let change = match answer {
        Ok(Ok(report)) => {
            let primary = inner.members.get(inner.primary.load(Ordering::Relaxed));
            let position = primary.and_then(Member::report).map(|report| report.position);
            member.answered(report, position)
        }
        Ok(Err(error)) => member.failed(inner.options.max_failures, error.is_of_login()),
        Err(_) => member.failed(inner.options.max_failures, false),
    };
    tell(&inner, member, change);
    if inner.options.failover {
        find_primary(&inner);
    }
    if is_there {
        member.pool.settle_doubts(doubts);
    }
    // Only now: whoever waits for the primary asks which one it is.
    inner.looked.notify_waiters();
    Some(inner.options.interval)
}

async fn ask(member: &Member) -> Result<Report, Error> {
    let asked = Instant::now();
    let row = member.pool.ask(QUESTION).await?;
    let in_recovery: bool = row.try_get(0).unwrap_or(false);
    let position: i64 = row.try_get(1).unwrap_or_default();
    let page: i32 = row.try_get(4).unwrap_or_default();
    let timeline: i32 = row.try_get(2).unwrap_or_default();
    let age: Option<f64> = row.try_get(3).unwrap_or_default();
    Ok(Report {
        role: if in_recovery { MemberRole::Replica } else { MemberRole::Primary },
        position: end_of_record(position, page),
        timeline: u32::try_from(timeline).unwrap_or_default(),
        age: age.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        asked,
    })
}

/// The end of the last record before the place where the next one is inserted: on a new page that is
/// behind the page's header, and a replica that has replayed everything is in front of it.
fn end_of_record(position: i64, page: i32) -> u64 {
    let position = u64::try_from(position).unwrap_or_default();
    let page = u64::try_from(page).unwrap_or_default();
    match position.checked_rem(page) {
        Some(header) if PAGE_HEADERS.contains(&header) => position - header,
        _ => position,
    }
}

fn tell(inner: &Inner, member: &Member, change: Change) {
    let (database, backend) = (&inner.name, member.pool.name());
    match change {
        Change::None => {}
        Change::Down => tracing::warn!(%database, backend, "a backend is down"),
        Change::Up => tracing::info!(%database, backend, "a backend is up again"),
        Change::Role(role) => {
            tracing::info!(%database, backend, ?role, "a backend has another role");
        }
    }
}

/// Has writes go to the server that says that it takes them. Of two the one on the newer timeline is
/// believed: the other one was left behind when that was promoted.
fn find_primary(inner: &Inner) {
    let now = inner.primary.load(Ordering::Relaxed);
    let claims = inner.members.iter().enumerate().filter_map(|(index, member)| {
        let report = member.report()?;
        (report.role == MemberRole::Primary).then_some((report.timeline, index))
    });
    // On one timeline the one that has been it goes on.
    let best = claims.clone().max_by_key(|(timeline, index)| (*timeline, *index == now));
    let Some((timeline, best)) = best else { return };
    if best == now {
        return;
    }
    if inner.primary.swap(best, Ordering::Relaxed) == best {
        return;
    }
    inner.failovers.fetch_add(1, Ordering::Relaxed);
    let name = |index: usize| inner.members.get(index).map_or("", |member| member.pool.name());
    tracing::warn!(
        database = %inner.name, from = name(now), to = name(best), timeline,
        "writes go to another backend"
    );
    for (_, other) in claims.filter(|(other, index)| *index != best && *other < timeline) {
        tracing::error!(
            database = %inner.name, backend = name(other),
            "a second primary, on an older timeline, is left alone: its clients are not ours to stop"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_begun_holds_no_record_yet() {
        for (position, end) in [(8192, 8192), (8192 + 24, 8192), (16 << 20, 16 << 20), (0, 0)] {
            assert_eq!(end_of_record(position, 8192), end);
        }
        assert_eq!(end_of_record((16 << 20) + 40, 8192), 16 << 20);
        assert_eq!(end_of_record(8192 + 32, 8192), 8192 + 32);
        assert_eq!(end_of_record(8192 + 24, 65536), 8192 + 24, "in the middle of a larger page");
        assert_eq!(end_of_record(8192 + 24, 0), 8192 + 24);
    }
}
