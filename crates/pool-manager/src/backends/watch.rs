//! Looking at the servers of a database: who is up, who takes writes, how far behind the others are.
//! Each is asked on its housekeeping connection, so that no statement waits for it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Inner;
use super::member::{Change, Member, MemberRole, Report};
use crate::error::Error;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Least time between two looks at a server, however much is wrong with it.
const LEAST_PAUSE: Duration = Duration::from_millis(50);
/// What it is asked: whether it is in recovery, how far it is, on which timeline, and how old what it
/// has replayed last is.
const QUESTION: &str = "SELECT r,
    (CASE WHEN r THEN coalesce(pg_last_wal_replay_lsn(), '0/0') ELSE pg_current_wal_lsn() END
        - '0/0')::int8,
    CASE WHEN r THEN 0 ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int4
        END,
    CASE WHEN r THEN extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 END
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
    let answer = timeout(PATIENCE, ask(member)).await;
    let change = match answer {
        Ok(Ok(report)) => {
            let primary = inner.members.get(inner.primary.load(Ordering::Relaxed));
            let position = primary.and_then(Member::report).map(|report| report.position);
            member.answered(report, position)
        }
        Ok(Err(_)) | Err(_) => member.failed(inner.options.max_failures),
    };
    tell(&inner, member, change);
    if inner.options.failover {
        find_primary(&inner);
    }
    Some(inner.options.interval)
}

async fn ask(member: &Member) -> Result<Report, Error> {
    let row = member.pool.ask(QUESTION).await?;
    let in_recovery: bool = row.try_get(0).unwrap_or(false);
    let position: i64 = row.try_get(1).unwrap_or_default();
    let timeline: i32 = row.try_get(2).unwrap_or_default();
    let age: Option<f64> = row.try_get(3).unwrap_or_default();
    Ok(Report {
        role: if in_recovery { MemberRole::Replica } else { MemberRole::Primary },
        position: u64::try_from(position).unwrap_or_default(),
        timeline: u32::try_from(timeline).unwrap_or_default(),
        age: age.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    })
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
