//! One client of the console: simple and extended protocol over the same commands.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pool_manager::{ServerError, SqlState, TransactionStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::act::act;
use super::command::{self, Command};
use super::extended::{self, Portal};
use super::show;
use super::table::{Cell, Kind, Table, put_description, put_rows};
use super::{Fault, Rank, fault};
use crate::message::frontend::{Header, header};
use crate::message::{HEADER_LEN, backend, request};
use crate::proxy::Proxy;
use crate::signals::Registration;
use crate::stream::ClientStream;

/// The console's databases.
const NAMES: [&str; 2] = ["pgbouncer", "pgpool"];
/// Longest message, its header included.
const MAX_MESSAGE: usize = 64 * 1024;
/// Room made for reading.
const READ_CHUNK: usize = 1024;
/// How long a client may take to receive an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether a database of that name is the console.
pub(crate) fn is_console(name: &str) -> bool {
    NAMES.contains(&name)
}

/// A client of the console, let in.
pub(crate) struct Console {
    pub(crate) stream: ClientStream,
    /// What it has sent after its startup message.
    pub(crate) input: BytesMut,
    pub(crate) registration: Registration,
    pub(crate) user: Box<str>,
    pub(crate) rank: Rank,
}

/// What it has prepared, and what has been said and not sent.
pub(super) struct State {
    pub(super) proxy: Arc<Proxy>,
    pub(super) rank: Rank,
    user: Box<str>,
    pub(super) output: BytesMut,
    pub(super) statements: HashMap<Vec<u8>, Command>,
    pub(super) portals: HashMap<Vec<u8>, Portal>,
    /// After an error everything up to Sync is passed over.
    pub(super) skips: bool,
}

/// Why a session is over.
enum End {
    /// The client has gone, or does not read.
    Gone,
    /// It is told this.
    Told(Fault),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// What is done with a message.
pub(super) enum Task {
    /// Nothing more.
    Done,
    /// A command has to run: the text of a Query, or a portal.
    Run(Command, Form),
}

/// How a command's result is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Simple,
    /// By name of the portal.
    Extended(Vec<u8>),
}

/// Serves a client of the console until it leaves.
pub(crate) async fn serve(proxy: Arc<Proxy>, console: Console) {
    let Console { stream, input, registration, user, rank } = console;
    tracing::info!(user = %user, rank = ?rank, "admin console opened");
    let state = State {
        proxy,
        rank,
        user,
        output: BytesMut::new(),
        statements: HashMap::new(),
        portals: HashMap::new(),
        skips: false,
    };
    let mut talk = Talk { stream, input, registration, state };
    if let Err(End::Told(mut error)) = talk.go_on().await {
        "FATAL".clone_into(&mut error.severity);
        backend::error(&mut talk.state.output, &error);
        let _ = talk.send().await;
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), talk.stream.shutdown()).await;
}

struct Talk {
    stream: ClientStream,
    input: BytesMut,
    registration: Registration,
    state: State,
}

impl Talk {
    async fn go_on(&mut self) -> Result<(), End> {
        loop {
            let (tag, body) = self.message().await?;
            if tag == request::TERMINATE {
                return Ok(());
            }
            match self.state.take(tag, &body) {
                Ok(Task::Done) => {}
                Ok(Task::Run(command, form)) => self.run(command, &form).await?,
                Err(error) => self.state.fail(&error, tag == request::QUERY),
            }
            if matches!(tag, request::QUERY | request::SYNC | request::FLUSH) {
                self.send().await?;
            }
        }
    }

    /// The next message, whole.
    async fn message(&mut self) -> Result<(u8, BytesMut), End> {
        loop {
            match header(&self.input) {
                Header::Message { tag, total } if total <= MAX_MESSAGE => {
                    if self.input.len() >= total {
                        let mut message = self.input.split_to(total);
                        message.advance(HEADER_LEN);
                        return Ok((tag, message));
                    }
                }
                Header::Incomplete => {}
                Header::Message { .. } | Header::BadLength => {
                    return Err(breach(format!("a command has at most {MAX_MESSAGE} bytes here")));
                }
                Header::UnknownType(tag) => {
                    return Err(breach(format!("invalid frontend message type {tag}")));
                }
            }
            if self.input.is_empty() {
                // An idle client holds no buffer.
                self.input = BytesMut::new();
            }
            self.input.reserve(READ_CHUNK);
            tokio::select! {
                read = self.stream.read_buf(&mut self.input) => if read? == 0 {
                    return Err(End::Gone);
                },
                ended = interrupted(&self.registration, true) => return Err(ended),
            }
        }
    }

    /// Runs a command, unless its client cancels it or goes away.
    async fn run(&mut self, command: Command, form: &Form) -> Result<(), End> {
        let tag = command.tag();
        if !command.only_looks() {
            tracing::info!(user = %self.state.user, command = tag, "admin command");
        }
        let done = match command {
            Command::Show(topic) => {
                let table = show::table(&self.state.proxy, topic);
                self.state.answer(&table, tag, form);
                return Ok(());
            }
            Command::ShowSetting(name, value) => {
                let table = setting(name, value);
                self.state.answer(&table, tag, form);
                return Ok(());
            }
            Command::Empty => {
                backend::bare(&mut self.state.output, crate::message::reply::EMPTY_QUERY_RESPONSE);
                self.state.ready_after(form);
                return Ok(());
            }
            command => {
                let proxy = Arc::clone(&self.state.proxy);
                let act = act(&proxy, command);
                tokio::select! {
                    done = act => done,
                    ended = interrupted(&self.registration, false) => match ended {
                        End::Told(error) if error.code == SqlState::QUERY_CANCELED => Err(error),
                        end => return Err(end),
                    },
                    () = gone(&mut self.stream, &mut self.input) => return Err(End::Gone),
                }
            }
        };
        match done {
            Ok(said) => {
                said.iter().for_each(|line| self.state.notice(line));
                backend::command_complete(&mut self.state.output, tag);
                self.state.ready_after(form);
            }
            Err(error) => self.state.fail(&error, *form == Form::Simple),
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), End> {
        let sending = async {
            self.stream.write_all(&self.state.output).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(PATIENCE, sending).await.map_err(|_| End::Gone)??;
        self.state.output = BytesMut::new();
        Ok(())
    }
}

impl State {
    fn take(&mut self, tag: u8, body: &[u8]) -> Result<Task, Fault> {
        if tag != request::QUERY {
            return extended::message_taken(self, tag, body);
        }
        self.skips = false;
        let text = body.strip_suffix(b"\0").unwrap_or(body);
        let command = self.read(text)?;
        Ok(Task::Run(command, Form::Simple))
    }

    /// Reads a command that its user may give.
    pub(super) fn read(&self, text: &[u8]) -> Result<Command, Fault> {
        let text = std::str::from_utf8(text).map_err(|_| {
            fault(SqlState::CHARACTER_NOT_IN_REPERTOIRE, "a command is text in UTF-8")
        })?;
        let command = command::parse(text)?;
        if self.rank == Rank::Admin || command.only_looks() {
            return Ok(command);
        }
        let tag = command.tag();
        Err(fault(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("{tag} is for users in proxy.admin_users; those in proxy.stats_users may SHOW"),
        ))
    }

    /// Tells a table, and in the simple protocol what its columns are.
    fn answer(&mut self, table: &Table, tag: &str, form: &Form) {
        let formats = match form {
            Form::Simple => {
                put_description(&mut self.output, table.columns, &[]);
                Vec::new()
            }
            Form::Extended(name) => {
                self.portals.get(name).map(|portal| portal.formats.clone()).unwrap_or_default()
            }
        };
        put_rows(&mut self.output, table, &formats);
        backend::command_complete(&mut self.output, tag);
        self.ready_after(form);
    }

    fn ready_after(&mut self, form: &Form) {
        if *form == Form::Simple {
            backend::ready(&mut self.output, TransactionStatus::Idle);
        }
    }

    fn fail(&mut self, error: &ServerError, is_simple: bool) {
        backend::error(&mut self.output, error);
        if is_simple {
            backend::ready(&mut self.output, TransactionStatus::Idle);
        } else {
            self.skips = true;
        }
    }

    fn notice(&mut self, line: &str) {
        let mut notice = ServerError::new(SqlState::SUCCESSFUL_COMPLETION, line);
        "NOTICE".clone_into(&mut notice.severity);
        backend::notice(&mut self.output, &notice);
    }
}

/// A setting of PostgreSQL's, as it answers SHOW.
fn setting(name: &'static str, value: &str) -> Table {
    let columns = match name {
        "client_encoding" => &[("client_encoding", Kind::Text)],
        "transaction_isolation" => &[("transaction_isolation", Kind::Text)],
        _ => &[("standard_conforming_strings", Kind::Text)],
    };
    Table { columns, rows: vec![vec![Cell::from(value)]] }
}

fn breach(message: String) -> End {
    End::Told(fault(SqlState::PROTOCOL_VIOLATION, message))
}

/// Resolves when the process ends, or when what runs is to be cancelled; an idle client has nothing
/// that could be.
async fn interrupted(registration: &Registration, is_idle: bool) -> End {
    let (code, message) = poll_fn(|cx| {
        let signals = &registration.signals;
        signals.register(cx.waker());
        if signals.ends() {
            let message = "terminating connection due to administrator command";
            return Poll::Ready((SqlState::ADMIN_SHUTDOWN, message));
        }
        if signals.take_cancels().is_some() && !is_idle {
            let message = "canceling statement due to user request";
            return Poll::Ready((SqlState::QUERY_CANCELED, message));
        }
        Poll::Pending
    })
    .await;
    End::Told(fault(code, message))
}

/// Resolves when the client has closed its connection. What it sends meanwhile is kept, and not
/// more than one message of it.
async fn gone(stream: &mut ClientStream, input: &mut BytesMut) {
    while input.len() < MAX_MESSAGE {
        input.reserve(READ_CHUNK);
        match stream.read_buf(input).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
    std::future::pending::<()>().await;
}
