//! What the system tells the process: to end, to read its configuration again, or that its parent is gone.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

/// How often a server that ends with its parent looks whether that is still there.
const PARENT_POLL: Duration = Duration::from_millis(500);

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The end.
    End,
    /// The configuration to be read again.
    Reload,
}

/// SIGINT, SIGTERM and SIGHUP, and the end of the parent process where that matters.
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    /// The parent's id, until it has ended; `None`: it does not matter.
    parent: Option<u32>,
}

impl Signals {
    /// With the id of a parent whose end counts as SIGTERM.
    pub(crate) fn new(parent: Option<u32>) -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            parent,
        })
    }

    /// Resolves at the next of them. Cancel safe.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hang_up.recv() => return Signal::Reload,
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = orphaned(self.parent) => {
                self.parent = None;
                tracing::warn!("the parent process has ended, and so does this one");
            }
        }
        Signal::End
    }
}

/// Resolves when this process has got another parent. Not by a signal of the kernel's at the
/// parent's death: that comes when a mere thread of the parent's ends.
async fn orphaned(parent: Option<u32>) {
    let Some(parent) = parent else { return std::future::pending().await };
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(PARENT_POLL).await;
    }
}
