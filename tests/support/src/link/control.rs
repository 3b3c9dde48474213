//! The commands a test gives to its link, as its connections see them, and the link's counters.
//! It never touches a socket.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client that connected to the link, to the server behind it.
    ToServer,
    /// From the server back to the client.
    ToClient,
}

/// What has passed through a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Connections accepted, refused ones included.
    pub connections: u64,
    /// Connections that ended in a reset: by chance, on command, or because a peer's own reset
    /// was passed on.
    pub resets: u64,
    /// Bytes forwarded to the server.
    pub to_server: u64,
    /// Bytes forwarded to clients.
    pub to_client: u64,
    /// Times that bytes for the server followed bytes for a client: round trips, where one
    /// connection is in use.
    pub turns: u64,
    /// Bytes thrown away by a black hole, in both directions.
    pub swallowed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flow {
    #[default]
    Pass,
    Stall,
    Blackhole,
}

#[derive(Clone, Copy)]
pub(super) enum Command {
    Reset,
    HalfClose(Direction),
}

/// Commands are counted, so that each reaches exactly the connections that were open then.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    flow: Flow,
    refuse: bool,
    resets: u64,
    closes_to_server: u64,
    closes_to_client: u64,
    /// The limit in bytes, and which limit in the order of setting it is.
    reset_after: Option<u64>,
    limits_set: u64,
}

#[derive(Debug)]
pub(super) struct Control {
    state: watch::Sender<State>,
    connections: AtomicU64,
    resets: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
    turns: AtomicU64,
    was_to_server: AtomicBool,
    swallowed: AtomicU64,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::default()),
            connections: AtomicU64::new(0),
            resets: AtomicU64::new(0),
            to_server: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            was_to_server: AtomicBool::new(false),
            swallowed: AtomicU64::new(0),
        }
    }
}

impl Control {
    pub(super) fn command(&self, command: Command) {
        self.state.send_modify(|state| match command {
            Command::Reset => state.resets += 1,
            Command::HalfClose(Direction::ToServer) => state.closes_to_server += 1,
            Command::HalfClose(Direction::ToClient) => state.closes_to_client += 1,
        });
    }

    pub(super) fn set_flow(&self, flow: Flow) {
        self.state.send_modify(|state| state.flow = flow);
    }

    pub(super) fn set_refuse(&self, refuse: bool) {
        self.state.send_modify(|state| state.refuse = refuse);
    }

    pub(super) fn set_reset_after(&self, bytes: Option<u64>) {
        self.state.send_modify(|state| {
            state.reset_after = bytes;
            state.limits_set += 1;
        });
    }

    pub(super) fn subscribe(&self) -> Fate {
        let mut changes = self.state.subscribe();
        let at_start = *changes.borrow_and_update();
        Fate { changes, at_start }
    }

    pub(super) fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_swallowed(&self, bytes: u64) {
        self.swallowed.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_forwarded(&self, direction: Direction, bytes: u64) {
        let counter = match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        };
        counter.fetch_add(bytes, Ordering::Relaxed);
        let to_server = direction == Direction::ToServer;
        if !self.was_to_server.swap(to_server, Ordering::Relaxed) && to_server {
            self.turns.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counters(&self) -> LinkCounters {
        LinkCounters {
            connections: self.connections.load(Ordering::Relaxed),
            resets: self.resets.load(Ordering::Relaxed),
            to_server: self.to_server.load(Ordering::Relaxed),
            to_client: self.to_client.load(Ordering::Relaxed),
            turns: self.turns.load(Ordering::Relaxed),
            swallowed: self.swallowed.load(Ordering::Relaxed),
        }
    }
}

/// One connection's view of the commands: those given since it was accepted.
#[derive(Clone)]
pub(super) struct Fate {
    changes: watch::Receiver<State>,
    at_start: State,
}

impl Fate {
    /// Waits for the next command. Cancel safe.
    pub(super) async fn changed(&mut self) {
        // The sender lives as long as any connection: an error cannot happen, and would mean no
        // further commands.
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn refuses(&self) -> bool {
        self.changes.borrow().refuse
    }

    pub(super) fn flow(&self) -> Flow {
        self.changes.borrow().flow
    }

    pub(super) fn is_reset(&self) -> bool {
        self.changes.borrow().resets > self.at_start.resets
    }

    pub(super) fn is_half_closed(&self, direction: Direction) -> bool {
        let now = self.changes.borrow();
        match direction {
            Direction::ToServer => now.closes_to_server > self.at_start.closes_to_server,
            Direction::ToClient => now.closes_to_client > self.at_start.closes_to_client,
        }
    }

    /// The commanded limit on bytes, and its number, which changes whenever one is set.
    pub(super) fn limit(&self) -> (Option<u64>, u64) {
        let now = self.changes.borrow();
        (now.reset_after, now.limits_set)
    }
}
