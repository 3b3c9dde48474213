//! Results of reads, kept for a while: identical ones within that time are answered from memory, and
//! identical ones at the same time are executed once.
//!
//! How old an answer may be is the caller's to say; counted from the moment before its statement was
//! sent. Nothing else ends an entry but the lack of room: a write does not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;

use crate::DatabasePool;
use crate::connection::{CommandTag, ResultSink, Settings, SinkError};
use crate::error::Error;
use crate::statement::{Statement, TimeLimit};
use crate::values::{Arg, Columns, Row};

/// The part of all memory that one result may take: 1 / this.
const SHARE: u64 = 8;
/// What an entry takes besides its texts and rows, about, bytes.
const OVERHEAD: usize = 256;

/// Results by what was asked. Cheap to clone; every clone is the same cache.
#[derive(Clone)]
pub struct ResultCache {
    entries: Cache<Key, Entry>,
    /// Largest result that is kept, bytes.
    largest: usize,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheUse {
    /// From memory, or from the same statement that somebody else was waiting for.
    Hit,
    /// From the server, and it is kept.
    Miss,
    /// From the server, and it is too large to be kept.
    TooLarge,
}

/// All that an answer depends on.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    database: Box<str>,
    sql: Box<str>,
    settings: Settings,
    args: Box<[u8]>,
    limit: TimeLimit,
    /// How old it may be: who allows less must not get what somebody allowed more for.
    ttl: Duration,
}

#[derive(Clone)]
enum Entry {
    Result(Arc<CachedResult>),
    /// It was too large, and is not tried again for a while.
    TooLarge(Instant),
}

struct CachedResult {
    since: Instant,
    columns: Option<Arc<Columns>>,
    /// The bodies of the rows, one behind the other, and where each ends.
    rows: Vec<u8>,
    ends: Vec<usize>,
    tag: CommandTag,
}

/// Entries live as long as their key says.
struct ByKey;

impl Expiry<Key, Entry> for ByKey {
    fn expire_after_create(&self, key: &Key, entry: &Entry, _: Instant) -> Option<Duration> {
        let since = match entry {
            Entry::Result(result) => result.since,
            Entry::TooLarge(since) => *since,
        };
        Some(key.ttl.saturating_sub(since.elapsed()))
    }
}

impl ResultCache {
    /// A cache of at most `max_size` bytes.
    pub fn new(max_size: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(max_size)
            .weigher(|key: &Key, entry: &Entry| {
                u32::try_from(key.size() + entry.size()).unwrap_or(u32::MAX)
            })
            .expire_after(ByKey)
            .build();
        let largest = usize::try_from(max_size / SHARE).unwrap_or(usize::MAX);
        Self { entries, largest }
    }

    /// Answers a statement of a `database` with a result that is no older than `ttl`: from memory, or
    /// executed on `pool` once for all who ask at the same time. When the result turns out to be too
    /// large, each of them executes it.
    ///
    /// # Errors
    /// Of the execution, shared by all who have waited for it.
    pub async fn execute(
        &self,
        database: &str,
        pool: &DatabasePool,
        statement: &Statement<'_>,
        ttl: Duration,
        sink: &mut (impl ResultSink + Send),
    ) -> Result<(CommandTag, CacheUse), Error> {
        let key = Key::new(database, statement, ttl);
        let execute = async {
            let mut collector = Collector::new(self.largest);
            let since = Instant::now();
            match pool.execute(statement, &mut collector).await {
                Ok(tag) => Ok(Entry::Result(Arc::new(collector.finish(since, tag)))),
                Err(_) if collector.is_full => Ok(Entry::TooLarge(since)),
                Err(error) => Err(error),
            }
        };
        let entry = self.entries.entry(key).or_try_insert_with(execute).await;
        let entry = entry.map_err(Error::Shared)?;
        let found = if entry.is_fresh() { CacheUse::Miss } else { CacheUse::Hit };
        match entry.into_value() {
            Entry::Result(result) => Ok((result.replay(sink)?, found)),
            Entry::TooLarge(_) => Ok((pool.execute(statement, sink).await?, CacheUse::TooLarge)),
        }
    }

    /// Bytes that are taken, about.
    pub fn size(&self) -> u64 {
        self.entries.weighted_size()
    }

    /// Results that are kept, about.
    pub fn len(&self) -> u64 {
        self.entries.entry_count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Key {
    fn new(database: &str, statement: &Statement<'_>, ttl: Duration) -> Self {
        let mut args = Vec::new();
        statement.args.iter().for_each(|arg| put_arg(&mut args, arg));
        Self {
            database: database.into(),
            sql: statement.sql.into(),
            settings: statement.settings.clone(),
            args: args.into(),
            limit: statement.limit,
            ttl,
        }
    }

    fn size(&self) -> usize {
        let settings = self.settings.iter().map(|(name, value)| name.len() + value.len());
        OVERHEAD + self.database.len() + self.sql.len() + self.args.len() + settings.sum::<usize>()
    }
}

impl Entry {
    fn size(&self) -> usize {
        match self {
            Self::Result(result) => result.rows.len() + result.ends.len() * size_of::<usize>(),
            Self::TooLarge(_) => 0,
        }
    }
}

/// Appends an argument so that different ones never look the same.
fn put_arg(out: &mut Vec<u8>, arg: &Arg) {
    let mut put = |kind: u8, bytes: &[u8]| {
        out.push(kind);
        out.extend_from_slice(&bytes.len().to_be_bytes());
        out.extend_from_slice(bytes);
    };
    match arg {
        Arg::Null => put(0, &[]),
        Arg::Bool(value) => put(1, &[u8::from(*value)]),
        Arg::Int(value) => put(2, &value.to_be_bytes()),
        Arg::UInt(value) => put(3, &value.to_be_bytes()),
        Arg::Float(value) => put(4, &value.to_bits().to_be_bytes()),
        Arg::Text(text) => put(5, text.as_bytes()),
        Arg::Binary(bytes) => put(6, bytes),
        Arg::List(items) => {
            put(7, &items.len().to_be_bytes());
            items.iter().for_each(|item| put_arg(out, item));
        }
        Arg::Map(entries) => {
            put(8, &entries.len().to_be_bytes());
            for (key, value) in entries {
                put_arg(out, &Arg::Text(key.clone()));
                put_arg(out, value);
            }
        }
    }
}

/// Collects a result up to a size.
struct Collector {
    columns: Option<Arc<Columns>>,
    rows: Vec<u8>,
    ends: Vec<usize>,
    limit: usize,
    is_full: bool,
}

impl Collector {
    fn new(limit: usize) -> Self {
        Self { columns: None, rows: Vec::new(), ends: Vec::new(), limit, is_full: false }
    }

    fn finish(mut self, since: Instant, tag: CommandTag) -> CachedResult {
        self.rows.shrink_to_fit();
        self.ends.shrink_to_fit();
        CachedResult { since, columns: self.columns, rows: self.rows, ends: self.ends, tag }
    }
}

impl ResultSink for Collector {
    fn begin(&mut self, columns: &Arc<Columns>) -> Result<(), SinkError> {
        self.columns = Some(Arc::clone(columns));
        self.rows.clear();
        self.ends.clear();
        Ok(())
    }

    fn row(&mut self, columns: &Columns, body: &[u8]) -> Result<(), SinkError> {
        Row::new(columns, body)?;
        let size = self.rows.len() + body.len() + (self.ends.len() + 1) * size_of::<usize>();
        if size > self.limit {
            self.is_full = true;
            return Err(SinkError::TooLarge { limit: self.limit });
        }
        self.rows.extend_from_slice(body);
        self.ends.push(self.rows.len());
        Ok(())
    }
}

impl CachedResult {
    /// Gives the result to a sink as if it came from the server.
    fn replay(&self, sink: &mut impl ResultSink) -> Result<CommandTag, Error> {
        let Some(columns) = &self.columns else { return Ok(self.tag.clone()) };
        let mut begin = 0;
        sink.begin(columns)?;
        for end in &self.ends {
            sink.row(columns, self.rows.get(begin..*end).unwrap_or_default())?;
            begin = *end;
        }
        Ok(self.tag.clone())
    }
}
