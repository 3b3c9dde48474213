//! The extended protocol of the console: the same commands, which have no parameters. Whatever
//! PgBouncer says of it, most drivers speak nothing else.

use bytes::BytesMut;
use pool_manager::{SqlState, TransactionStatus};

use super::command::Command;
use super::session::{Form, State, Task};
use super::show;
use super::table::{Columns, Kind, put_description};
use super::{Fault, fault};
use crate::message::frontend::Parse;
use crate::message::{backend, message, reply, request, take, take_cstr};

/// Most statements, and most portals, of a client.
const MAX_NAMES: usize = 64;

/// A command that is bound.
pub(super) struct Portal {
    command: Command,
    /// Those of its result, as Bind has them.
    pub(super) formats: Vec<i16>,
}

/// Does what a message of the extended protocol says.
pub(super) fn message_taken(state: &mut State, tag: u8, body: &[u8]) -> Result<Task, Fault> {
    if tag == request::SYNC {
        state.skips = false;
        state.portals.clear();
        backend::ready(&mut state.output, TransactionStatus::Idle);
        return Ok(Task::Done);
    }
    if state.skips {
        return Ok(Task::Done);
    }
    match tag {
        request::PARSE => parse(state, body),
        request::BIND => bind(state, body),
        request::DESCRIBE => describe(state, body),
        request::EXECUTE => execute(state, body),
        request::CLOSE => close(state, body),
        request::FLUSH => Ok(Task::Done),
        _ => Err(fault(
            SqlState::FEATURE_NOT_SUPPORTED,
            "the admin console has no COPY and no function calls; SHOW HELP lists its commands",
        )),
    }
}

fn parse(state: &mut State, body: &[u8]) -> Result<Task, Fault> {
    let parse = Parse::read(body).ok_or_else(unreadable)?;
    let command = state.read(parse.sql)?;
    if state.statements.len() >= MAX_NAMES && !state.statements.contains_key(parse.name) {
        return Err(too_many("statements"));
    }
    state.statements.insert(parse.name.to_vec(), command);
    backend::bare(&mut state.output, reply::PARSE_COMPLETE);
    Ok(Task::Done)
}

fn bind(state: &mut State, mut body: &[u8]) -> Result<Task, Fault> {
    let portal = take_cstr(&mut body).ok_or_else(unreadable)?;
    let name = take_cstr(&mut body).ok_or_else(unreadable)?;
    let command = state.statements.get(name).cloned().ok_or_else(|| {
        fault(SqlState::INVALID_STATEMENT_NAME, "there is no such prepared statement")
    })?;
    formats(&mut body).ok_or_else(unreadable)?;
    let values = take(&mut body).map(u16::from_be_bytes).ok_or_else(unreadable)?;
    if values > 0 {
        let text = "a command of the admin console has no parameters; write its values into it";
        return Err(fault(SqlState::FEATURE_NOT_SUPPORTED, text));
    }
    let formats = formats(&mut body).filter(|_| body.is_empty()).ok_or_else(unreadable)?;
    if state.portals.len() >= MAX_NAMES {
        return Err(too_many("portals"));
    }
    state.portals.insert(portal.to_vec(), Portal { command, formats });
    backend::bare(&mut state.output, reply::BIND_COMPLETE);
    Ok(Task::Done)
}

/// A number of formats, and those.
fn formats(body: &mut &[u8]) -> Option<Vec<i16>> {
    let count = u16::from_be_bytes(take(body)?);
    (0..count).map(|_| take(body).map(i16::from_be_bytes)).collect()
}

fn describe(state: &mut State, body: &[u8]) -> Result<Task, Fault> {
    let (kind, name) = target(body)?;
    let (command, formats) = match kind {
        b'S' => (state.statements.get(name), Vec::new()),
        _ => match state.portals.get(name) {
            Some(portal) => (Some(&portal.command), portal.formats.clone()),
            None => (None, Vec::new()),
        },
    };
    let command = command.ok_or_else(unknown)?;
    let columns = columns(command);
    if kind == b'S' {
        message(&mut state.output, reply::PARAMETER_DESCRIPTION, put_none);
    }
    match columns {
        Some(columns) => put_description(&mut state.output, columns, &formats),
        None => backend::bare(&mut state.output, reply::NO_DATA),
    }
    Ok(Task::Done)
}

fn put_none(out: &mut BytesMut) {
    out.extend_from_slice(&[0, 0]);
}

fn columns(command: &Command) -> Option<Columns> {
    match command {
        Command::Show(topic) => Some(show::columns(*topic)),
        Command::ShowSetting("client_encoding", _) => Some(&[("client_encoding", Kind::Text)]),
        Command::ShowSetting("transaction_isolation", _) => {
            Some(&[("transaction_isolation", Kind::Text)])
        }
        Command::ShowSetting(..) => Some(&[("standard_conforming_strings", Kind::Text)]),
        _ => None,
    }
}

fn execute(state: &mut State, mut body: &[u8]) -> Result<Task, Fault> {
    let name = take_cstr(&mut body).ok_or_else(unreadable)?;
    let portal = state.portals.get(name).ok_or_else(unknown)?;
    Ok(Task::Run(portal.command.clone(), Form::Extended(name.to_vec())))
}

fn close(state: &mut State, body: &[u8]) -> Result<Task, Fault> {
    let (kind, name) = target(body)?;
    if kind == b'S' {
        state.statements.remove(name);
    } else {
        state.portals.remove(name);
    }
    backend::bare(&mut state.output, reply::CLOSE_COMPLETE);
    Ok(Task::Done)
}

/// Statement or portal, and its name.
fn target(body: &[u8]) -> Result<(u8, &[u8]), Fault> {
    let (kind, mut rest) = body.split_first().ok_or_else(unreadable)?;
    let name = take_cstr(&mut rest).ok_or_else(unreadable)?;
    Ok((*kind, name))
}

fn unreadable() -> Fault {
    fault(SqlState::PROTOCOL_VIOLATION, "invalid message format")
}

fn unknown() -> Fault {
    fault(SqlState::INVALID_CURSOR_NAME, "there is no such statement or portal")
}

fn too_many(what: &str) -> Fault {
    let text = format!("a client of the admin console has at most {MAX_NAMES} {what}");
    fault(SqlState::PROGRAM_LIMIT_EXCEEDED, text)
}
