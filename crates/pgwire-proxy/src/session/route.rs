//! Which server a client's next Query or batch goes to, where the database has replicas.
//!
//! It is decided while the client has no connection, from the messages that are there: a batch must
//! consist of reads up to its Sync, or begin with a transaction that is READ ONLY. A client that has
//! a replica's connection keeps it until what it does there has ended, and what comes next, and may
//! write, waits for that. The setting `pgpool.route` (auto, primary, replica) overrules all this; a
//! session in session mode goes by it alone.

use std::time::Instant;

use pool_manager::classify::{Classification, TransactionControl};
use pool_manager::{DatabasePool, Route, ServerError, Settings, SqlState, TransactionStatus};

use super::rate::begins_unit;
use super::{READ_AHEAD, Session};
use crate::database::{Database, Mode};
use crate::message::frontend::{self, Bind, Header, Parse, Target};
use crate::message::{HEADER_LEN, request};

/// The setting that clients overrule routing with. PostgreSQL keeps it for them as it keeps every
/// setting with a dot in its name.
const SETTING: &str = "pgpool.route";
/// Most portals of a batch that are told apart; more are not bound by reads alone.
const MAX_PORTALS: usize = 64;

/// Where a client's statements go, and since when its own writes matter.
pub(super) struct Routing {
    /// The replica that it gets its connection from, or has it from; `None`: the primary.
    replica: Option<DatabasePool>,
    /// When it has written last.
    wrote: Option<Instant>,
    /// What may write is under way.
    writes: bool,
}

/// What becomes of a message, as far as its server goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Routed {
    /// It can be taken.
    Here,
    /// What was sent before has to end first.
    Waits,
    /// The rest of its batch decides.
    NeedsMore,
}

/// What a Query or batch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Reads,
    Writes,
    /// It is not all there.
    Unfinished,
}

impl Routing {
    /// For a client of this database; `None` where there is one server.
    pub(super) fn new(database: &Database) -> Option<Box<Self>> {
        let several = database.backends().has_replicas();
        several.then(|| Box::new(Self { replica: None, wrote: None, writes: false }))
    }

    /// The replica that the client is to be served by, if it is one.
    pub(super) fn replica(&self) -> Option<&DatabasePool> {
        self.replica.as_ref()
    }
}

/// What the settings ask for; what they cannot ask for counts as nothing.
fn asked(settings: &Settings) -> Route {
    match settings.get(SETTING) {
        Some("primary") => Route::Primary,
        Some("replica") => Route::Replica,
        _ => Route::Auto,
    }
}

/// Whether transactions are serializable where nothing else is said, which no replica can do.
fn is_serializable(settings: &Settings) -> bool {
    settings.get("default_transaction_isolation").is_some_and(|level| level == "serializable")
}

impl Session {
    /// Finds the server for the message at the front of `rest`, whose end is there or not. A Query that
    /// is there has [a way of its own](Self::route_query), since it is read anyway.
    pub(super) fn route(&mut self, tag: u8, rest: &[u8], is_whole: bool) -> Routed {
        if !begins_unit(tag) || (is_whole && tag == request::QUERY) {
            return Routed::Here;
        }
        self.route_by(rest.len(), |session| match tag {
            request::FUNCTION_CALL => Plan::Writes,
            _ if !is_whole => Plan::Writes,
            _ => session.plan_batch(rest),
        })
    }

    /// Finds the server for a Query.
    pub(super) fn route_query(&mut self, sql: &[u8], class: &Classification) -> Routed {
        self.route_by(0, |session| match session.does(sql, class) {
            Does::Read | Does::BeginReading => Plan::Reads,
            Does::Write => Plan::Writes,
        })
    }

    /// Finds the server for what does what `plan` says, and has so many bytes up to now.
    fn route_by(&mut self, len: usize, plan: impl FnOnce(&Self) -> Plan) -> Routed {
        let Some(routing) = self.routing.as_deref() else { return Routed::Here };
        if self.lost.is_some() || self.is_inside_unit() {
            return Routed::Here;
        }
        if self.client.mode == Mode::Session {
            if self.server.is_none() {
                self.choose(false);
            }
            return Routed::Here;
        }
        let asked = asked(&self.client.wanted);
        let may_leave = asked == Route::Auto
            && self.client.database.backends().splits()
            && !is_serializable(&self.client.wanted);
        let plan = if may_leave { plan(self) } else { Plan::Writes };
        let Some(server) = self.server.as_deref() else {
            if plan == Plan::Unfinished && len < READ_AHEAD {
                self.needed = len + 1;
                return Routed::NeedsMore;
            }
            self.choose(plan == Plan::Reads);
            return Routed::Here;
        };
        let stays = plan == Plan::Reads || asked != Route::Auto;
        if routing.replica.is_some() && !stays && !server.is_free() {
            return Routed::Waits;
        }
        if routing.replica.is_none() && plan != Plan::Reads {
            self.begin_write();
        }
        Routed::Here
    }

    /// Whether the next message belongs to what has begun before it. Of a transaction that only the
    /// server knows to have begun or ended, nothing is known on a replica, and nothing needs to be
    /// on the primary.
    fn is_inside_unit(&self) -> bool {
        let Some(server) = self.server.as_deref() else { return false };
        server.batch.is_some() || server.copy.reads || server.status() != TransactionStatus::Idle
    }

    fn choose(&mut self, reads: bool) {
        let Some(routing) = self.routing.as_deref_mut() else { return };
        let backends = self.client.database.backends();
        let server = backends.server(asked(&self.client.wanted), routing.wrote, reads);
        let is_primary = std::ptr::eq(server, backends.primary());
        routing.replica = (!is_primary).then(|| server.clone());
        if !reads {
            self.begin_write();
        }
    }

    fn begin_write(&mut self) {
        if let Some(routing) = self.routing.as_deref_mut()
            && routing.replica.is_none()
            && self.client.database.backends().follows_writes()
        {
            routing.writes = true;
            routing.wrote = Some(Instant::now());
        }
    }

    /// What the client had the server do has ended, in whatever way.
    pub(super) fn note_write(&mut self) {
        let is_idle = self.status() == TransactionStatus::Idle;
        if let Some(routing) = self.routing.as_deref_mut().filter(|routing| routing.writes) {
            routing.writes = !is_idle;
            routing.wrote = Some(Instant::now());
            self.client.database.backends().note_write();
        }
    }

    /// Why a statement cannot have its connection kept for it: its client would write there, and
    /// cannot.
    pub(super) fn refuse_to_keep_replica(&self, what: &str) -> Option<ServerError> {
        let routing = self.routing.as_deref()?;
        if routing.replica.is_none() || asked(&self.client.wanted) != Route::Auto {
            return None;
        }
        let message = format!("{what} cannot be kept on a replica, where this transaction is");
        let mut error = ServerError::new(SqlState::FEATURE_NOT_SUPPORTED, message);
        error.hint = Some(format!("Begin it READ WRITE, or SET {SETTING} = 'primary' before it."));
        Some(error)
    }

    fn is_read(&self, sql: &[u8], class: &Classification) -> bool {
        let backends = self.client.database.backends();
        std::str::from_utf8(sql).is_ok_and(|sql| backends.is_read(sql, class))
    }

    /// What the messages up to a Sync do. Before a Sync or a Flush no client may wait for an answer,
    /// so that what is missing can be waited for.
    fn plan_batch(&self, mut rest: &[u8]) -> Plan {
        let mut batch = Batch::default();
        loop {
            let (tag, total) = match frontend::header(rest) {
                Header::Message { tag, total } => (tag, total),
                Header::Incomplete => return Plan::Unfinished,
                Header::UnknownType(_) | Header::BadLength => return Plan::Writes,
            };
            let Some((message, behind)) = rest.split_at_checked(total) else {
                return Plan::Unfinished;
            };
            rest = behind;
            let body = message.get(HEADER_LEN..).unwrap_or_default();
            let goes_on = match tag {
                request::SYNC => return Plan::Reads,
                request::PARSE => self.plan_parse(body, &mut batch),
                request::BIND => self.plan_bind(body, &mut batch),
                request::EXECUTE => batch.executes(body),
                request::DESCRIBE | request::CLOSE => match Target::read(body) {
                    Some(Target::Statement(name)) => batch.find(self, name).is_some(),
                    Some(Target::Portal(_)) => true,
                    None => false,
                },
                _ => false,
            };
            if batch.begins_reading {
                return Plan::Reads;
            }
            if !goes_on {
                return Plan::Writes;
            }
        }
    }

    fn plan_parse<'a>(&self, body: &'a [u8], batch: &mut Batch<'a>) -> bool {
        let Some(parse) = Parse::read(body) else { return false };
        let class = match &self.client.last_unnamed {
            Some(last) if last.says(parse.sql, parse.types) => last.class,
            _ => self.client.database.judge(parse.sql),
        };
        let does = self.does(parse.sql, &class);
        batch.parsed = Some((parse.name, does));
        does != Does::Write
    }

    fn plan_bind<'a>(&self, body: &'a [u8], batch: &mut Batch<'a>) -> bool {
        let Some(bind) = Bind::read(body) else { return false };
        let Some(does) = batch.find(self, bind.statement) else { return false };
        batch.bound.retain(|(portal, _)| *portal != bind.portal);
        batch.bound.push((bind.portal, does));
        does != Does::Write && batch.bound.len() <= MAX_PORTALS
    }

    fn does(&self, sql: &[u8], class: &Classification) -> Does {
        if begins_reading(class) {
            Does::BeginReading
        } else if self.is_read(sql, class) {
            Does::Read
        } else {
            Does::Write
        }
    }
}

/// What a statement of a batch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Read,
    BeginReading,
    Write,
}

/// What is known of a batch from its messages up to here.
#[derive(Default)]
struct Batch<'a> {
    /// The statement that it has prepared last.
    parsed: Option<(&'a [u8], Does)>,
    /// Its portals.
    bound: Vec<(&'a [u8], Does)>,
    /// A transaction begins that is READ ONLY: whatever comes belongs to it.
    begins_reading: bool,
}

impl Batch<'_> {
    /// What the statement of a name does, if there is one.
    fn find(&self, session: &Session, name: &[u8]) -> Option<Does> {
        if let Some((_, does)) = self.parsed.filter(|(parsed, _)| *parsed == name) {
            return Some(does);
        }
        let statement = session.client.names.get(name)?;
        Some(session.does(&statement.sql, &statement.class))
    }

    /// Whether an Execute is of something that reads.
    fn executes(&mut self, body: &[u8]) -> bool {
        let portal = frontend::executed_portal(body);
        let bound = self.bound.iter().find(|(bound, _)| Some(*bound) == portal);
        let does = bound.map_or(Does::Write, |(_, does)| *does);
        self.begins_reading = does == Does::BeginReading;
        does != Does::Write
    }
}

/// Whether the statement is a BEGIN READ ONLY, and nothing else.
fn begins_reading(class: &Classification) -> bool {
    class.statements == 1 && class.transaction == TransactionControl::Begin { read_only: true }
}
