//! A TCP proxy that misbehaves on purpose: it splits, delays, stalls, swallows and resets what
//! passes, by a seed or on command. It never changes a byte or their order.

mod connection;
mod control;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Seed;
use control::{Command, Control, Flow};

pub use control::{Direction, LinkCounters};

/// What every connection through the link suffers by chance.
#[derive(Clone, Debug)]
pub struct LinkBuilder {
    seed: Option<Seed>,
    plan: Plan,
}

#[derive(Clone, Debug, Default)]
struct Plan {
    split: bool,
    max_delay: Duration,
    reset_after: Option<Range<u64>>,
}

/// A running faulty link. Dropping it resets all its connections and closes its port.
#[derive(Debug)]
pub struct FaultyLink {
    address: SocketAddr,
    seed: Seed,
    control: Arc<Control>,
    acceptor: JoinHandle<()>,
}

impl FaultyLink {
    /// A link that forwards faithfully until told otherwise.
    pub async fn to(target: SocketAddr) -> Self {
        Self::builder().start(target).await
    }

    /// Describes a link that misbehaves by itself.
    #[must_use]
    pub fn builder() -> LinkBuilder {
        LinkBuilder { seed: None, plan: Plan::default() }
    }

    /// Where to connect, on 127.0.0.1.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port of [`FaultyLink::address`].
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The seed that all chance comes from.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// Resets (RST, not FIN) every connection now open, on both sides.
    pub fn reset_all(&self) {
        self.control.command(Command::Reset);
    }

    /// Closes, with a FIN, the writing half of every connection now open towards one side; the
    /// other direction goes on.
    pub fn half_close(&self, towards: Direction) {
        self.control.command(Command::HalfClose(towards));
    }

    /// Stops forwarding: bytes wait (in the senders' buffers once ours are full) and new
    /// connections are accepted but lead nowhere, until [`FaultyLink::resume`].
    pub fn stall(&self) {
        self.control.set_flow(Flow::Stall);
    }

    /// Reads and throws away whatever is sent, in both directions. What is thrown away is lost for
    /// good: after [`FaultyLink::resume`] the connections that were open miss it.
    pub fn blackhole(&self) {
        self.control.set_flow(Flow::Blackhole);
    }

    /// Forwards again.
    pub fn resume(&self) {
        self.control.set_flow(Flow::Pass);
    }

    /// While true, new connections are reset at once; those open go on.
    pub fn refuse(&self, refuse: bool) {
        self.control.set_refuse(refuse);
    }

    /// Resets each connection that has carried at least `bytes` more in both directions together
    /// from now on, new ones included; `None` ends it.
    pub fn reset_after(&self, bytes: Option<u64>) {
        self.control.set_reset_after(bytes);
    }

    /// What has passed so far.
    #[must_use]
    pub fn counters(&self) -> LinkCounters {
        self.control.counters()
    }
}

impl Drop for FaultyLink {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.control.command(Command::Reset);
        if std::thread::panicking() {
            crate::seed::say(&format!("the faulty link ran with seed {}", self.seed.value()));
        }
    }
}

impl LinkBuilder {
    /// The seed of all chance; without it, `TEST_SEED` or a random one.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Cuts what passes at random points, often after very few bytes.
    #[must_use]
    pub fn split(mut self) -> Self {
        self.plan.split = true;
        self
    }

    /// Holds some of the pieces back for a random time up to this.
    #[must_use]
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.plan.max_delay = delay;
        self
    }

    /// Resets every connection after a number of bytes (both directions together) drawn from this
    /// range.
    #[must_use]
    pub fn reset_after(mut self, bytes: Range<u64>) -> Self {
        self.plan.reset_after = Some(bytes);
        self
    }

    /// Starts listening on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn start(self, target: SocketAddr) -> FaultyLink {
        let seed = self.seed.unwrap_or_else(|| Seed::from_env_or_random("TEST_SEED"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port for the link");
        let address = listener.local_addr().expect("the link's address");
        let control = Arc::new(Control::default());
        let acceptor =
            tokio::spawn(accept(listener, target, seed, self.plan, Arc::clone(&control)));
        FaultyLink { address, seed, control, acceptor }
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    seed: Seed,
    plan: Plan,
    control: Arc<Control>,
) {
    let mut index = 0;
    while let Ok((client, _)) = listener.accept().await {
        let fate = control.subscribe();
        control.count_connection();
        if fate.refuses() {
            connection::reset(&client);
            continue;
        }
        let (control, plan, seed) = (Arc::clone(&control), plan.clone(), seed.derive(index));
        index += 1;
        // Not owned by the acceptor: a connection ends by its peers or by a command.
        tokio::spawn(async move {
            match TcpStream::connect(target).await {
                Ok(server) => connection::run(client, server, seed, &plan, fate, &control).await,
                Err(_) => connection::reset(&client),
            }
        });
    }
}
