//! Ends names whose time is over.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::entry::Entry;
use super::names::{Ending, Names};

/// Watches one entry until it ends.
pub(super) fn start(names: Arc<Names>, entry: Arc<Entry>) {
    tokio::spawn(async move {
        loop {
            let Some((at, _)) = entry.expiry() else { return };
            tokio::select! {
                () = entry.ended() => return,
                () = sleep_until(at) => {}
            }
            // A call may have come meanwhile and moved the moment.
            if let Some((at, ending)) = entry.expiry()
                && at <= Instant::now()
            {
                names.end(&entry, ending);
                return;
            }
        }
    });
}

impl Names {
    /// Ends an entry for a reason that no caller asked for.
    pub(super) fn end(&self, entry: &Arc<Entry>, ending: Ending) {
        if !self.retire(entry, ending) {
            return;
        }
        log_end(entry, ending);
        entry.let_go();
    }

    /// The same for all of these, waiting until all of it is rolled back.
    pub(super) async fn end_all(&self, ending: Ending, of: impl Fn(&Entry) -> bool) {
        let chosen = self.all().into_iter().filter(|entry| of(entry));
        let ended = chosen.filter(|entry| self.retire(entry, ending));
        let releases = ended.map(|entry| {
            log_end(&entry, ending);
            entry.release()
        });
        futures_util::future::join_all(releases).await;
    }
}

fn log_end(entry: &Entry, ending: Ending) {
    tracing::info!(
        kind = entry.kind().noun(),
        id = entry.name(),
        reason = ?ending,
        "rolled back"
    );
}
