//! What a client is told once it is let in. The workers of an application all send the same startup
//! packet, time and again: what became of it is remembered, and only the proof is asked for anew.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use lru::LruCache;
use pool_manager::{Parameters, Settings};

use crate::database::Database;
use crate::message::backend;
use crate::statement::context;

/// Startup packets that are remembered.
const PACKETS: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// Longest of them, bytes.
const MAX_PACKET: usize = 512;

/// What a startup packet has led to.
pub(crate) struct Welcome {
    /// Who the client says it is.
    pub(crate) user: Arc<str>,
    /// The minor version of the protocol that it asked for.
    pub(crate) minor: u16,
    /// Who decides about it.
    pub(crate) asked: Arc<Database>,
    /// What it works with: the same, or a pool of its user's own.
    pub(crate) database: Arc<Database>,
    /// What it asked for: what RESET goes back to.
    pub(crate) settings: Arc<Settings>,
    /// Those of them that decide what texts mean, as [`context`] writes them.
    pub(crate) context: Option<Arc<str>>,
    /// What it is told of the session.
    pub(crate) parameters: Arc<Parameters>,
    /// The same, as messages.
    pub(crate) statuses: Box<[u8]>,
}

impl Welcome {
    pub(super) fn new(
        user: &str,
        minor: u16,
        asked: &Arc<Database>,
        settings: Arc<Settings>,
        parameters: Arc<Parameters>,
    ) -> Self {
        let mut statuses = BytesMut::new();
        for (name, value) in &*parameters {
            backend::parameter_status(&mut statuses, name, value);
        }
        let (asked, database) = (Arc::clone(asked), Arc::clone(asked.of_user(user)));
        let (user, statuses) = (user.into(), (*statuses).into());
        Self {
            user,
            minor,
            asked,
            database,
            context: context(&settings),
            settings,
            parameters,
            statuses,
        }
    }
}

type Known = LruCache<Box<[u8]>, Arc<Welcome>>;

/// The startup packets that came last, with what they led to.
#[derive(Default)]
pub(crate) struct Welcomes(Mutex<Option<Known>>);

impl Welcomes {
    /// What this packet led to the last time.
    pub(super) fn get(&self, packet: &[u8]) -> Option<Arc<Welcome>> {
        self.with(|known| known.get(packet).cloned())
    }

    /// Remembers it, unless it is very long.
    pub(super) fn put(&self, packet: Box<[u8]>, welcome: &Arc<Welcome>) {
        if packet.len() <= MAX_PACKET {
            self.with(|known| known.put(packet, Arc::clone(welcome)));
        }
    }

    /// Forgets all of them: they may lead to something else now.
    pub(crate) fn forget(&self) {
        self.with(LruCache::clear);
    }

    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(known.get_or_insert_with(|| LruCache::new(PACKETS)))
    }
}
