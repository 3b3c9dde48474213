//! One connection through the link: two pumps, one per direction, that obey the plan and the
//! commands. It never reads more ahead than one small buffer.

use std::io;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::Plan;
use super::control::{Control, Direction, Fate, Flow};
use crate::Seed;

const BUFFER: usize = 16 * 1024;

/// Why a pump ended.
enum End {
    /// Its reader said so, or the test closed this half: the other direction goes on.
    Closed,
    /// The connection is to be reset.
    Reset,
}

/// What the two pumps of a connection share.
struct Shared<'a> {
    plan: &'a Plan,
    control: &'a Control,
    /// Bytes carried, both directions together.
    carried: AtomicU64,
    /// Where the seed says that this connection ends.
    doom: Option<u64>,
    /// The last commanded limit seen: its number, and the count of bytes where it falls due.
    commanded: Mutex<(u64, Option<u64>)>,
}

/// Ends a socket so that its peer sees a reset instead of an orderly end.
pub(super) fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

pub(super) async fn run(
    mut client: TcpStream,
    mut server: TcpStream,
    seed: Seed,
    plan: &Plan,
    fate: Fate,
    control: &Control,
) {
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let doom = plan.reset_after.clone().map(|range| seed.rng().random_range(range));
    // A limit set before this connection counts from its first byte.
    let (limit, number) = fate.limit();
    let commanded = Mutex::new((number, limit));
    let shared = Shared { plan, control, carried: AtomicU64::new(0), doom, commanded };
    let ended_by_reset = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let up = Pump {
            shared: &shared,
            direction: Direction::ToServer,
            rng: seed.derive(0).rng(),
            fate: fate.clone(),
        };
        let down = Pump {
            shared: &shared,
            direction: Direction::ToClient,
            rng: seed.derive(1).rng(),
            fate,
        };
        let (up, down) = (up.run(client_read, server_write), down.run(server_read, client_write));
        tokio::pin!(up, down);
        let (first, up_is_left) = tokio::select! {
            end = &mut up => (end, false),
            end = &mut down => (end, true),
        };
        match first {
            End::Reset => true,
            End::Closed if up_is_left => matches!(up.await, End::Reset),
            End::Closed => matches!(down.await, End::Reset),
        }
    };
    if ended_by_reset {
        control.count_reset();
        reset(&client);
        reset(&server);
    }
}

struct Pump<'a> {
    shared: &'a Shared<'a>,
    direction: Direction,
    rng: StdRng,
    fate: Fate,
}

impl Pump<'_> {
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> End {
        let mut buffer = vec![0; BUFFER];
        loop {
            if self.fate.is_reset() {
                return End::Reset;
            }
            if self.fate.is_half_closed(self.direction) {
                let _ = to.shutdown().await;
                return self.swallow_rest(from).await;
            }
            let flow = self.fate.flow();
            let read = tokio::select! {
                biased;
                () = self.fate.changed() => continue,
                read = from.read(&mut buffer), if flow != Flow::Stall => read,
            };
            let bytes = match read {
                Ok(0) => {
                    let _ = to.shutdown().await;
                    return End::Closed;
                }
                Ok(count) => buffer.get(..count).unwrap_or_default(),
                Err(_) => return End::Reset,
            };
            if flow == Flow::Blackhole {
                self.shared.control.count_swallowed(bytes.len() as u64);
                continue;
            }
            match self.forward(bytes, &mut to).await {
                Ok(true) => {}
                Ok(false) | Err(_) => return End::Reset,
            }
        }
    }

    /// Writes what was read, in pieces; false when the connection is to be reset instead.
    async fn forward(&mut self, mut bytes: &[u8], to: &mut WriteHalf<'_>) -> io::Result<bool> {
        while !bytes.is_empty() {
            self.hesitate().await;
            while self.fate.flow() == Flow::Stall && !self.fate.is_reset() {
                self.fate.changed().await;
            }
            let wanted = self.piece(bytes.len());
            let allowed = self.allowance().min(wanted as u64);
            let (piece, rest) = bytes.split_at(usize::try_from(allowed).unwrap_or(wanted));
            // Before the answer to them can come.
            self.shared.control.count_forwarded(self.direction, piece.len() as u64);
            tokio::select! {
                biased;
                () = until_reset(&mut self.fate) => return Ok(false),
                written = to.write_all(piece) => written?,
            }
            self.shared.carried.fetch_add(piece.len() as u64, Ordering::Relaxed);
            if self.allowance() == 0 {
                return Ok(false);
            }
            bytes = rest;
        }
        Ok(true)
    }

    /// How many bytes this connection may still carry before its reset is due.
    fn allowance(&self) -> u64 {
        let carried = self.shared.carried.load(Ordering::Relaxed);
        let (limit, number) = self.fate.limit();
        let mut seen = self.shared.commanded.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != number {
            *seen = (number, limit.map(|bytes| carried.saturating_add(bytes)));
        }
        let due = [self.shared.doom, seen.1].into_iter().flatten().min();
        due.map_or(u64::MAX, |due| due.saturating_sub(carried))
    }

    fn piece(&mut self, available: usize) -> usize {
        if !self.shared.plan.split {
            return available;
        }
        // Mostly large, so that big values still get through in time; often tiny, so that every
        // header is cut somewhere.
        let most = match self.rng.random_range(0..4) {
            0 => available.min(8),
            1 => available.min(64),
            _ => available,
        };
        self.rng.random_range(1..=most)
    }

    async fn hesitate(&mut self) {
        let most = self.shared.plan.max_delay;
        if !most.is_zero() && self.rng.random_bool(0.25) {
            let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
            let delay = Duration::from_micros(self.rng.random_range(0..=micros));
            tokio::time::sleep(delay).await;
        } else if self.shared.plan.split {
            tokio::task::yield_now().await;
        }
    }

    /// After this half was closed, whatever still comes is thrown away.
    async fn swallow_rest(&mut self, mut from: ReadHalf<'_>) -> End {
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = tokio::select! {
                biased;
                () = until_reset(&mut self.fate) => return End::Reset,
                read = from.read(&mut buffer) => read,
            };
            match read {
                Ok(0) => return End::Closed,
                Ok(count) => self.shared.control.count_swallowed(count as u64),
                Err(_) => return End::Reset,
            }
        }
    }
}

async fn until_reset(fate: &mut Fate) {
    while !fate.is_reset() {
        fate.changed().await;
    }
}
