//! The client's messages, written byte by byte. It lets the caller write what no driver would.
//!
//! Source: PostgreSQL documentation, "Frontend/Backend Protocol", "Message Formats".

/// Any message after startup.
#[must_use]
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(length(body.len()));
    bytes.extend(body);
    bytes
}

/// A packet without a type byte: startup and its relatives.
#[must_use]
pub fn packet(body: &[u8]) -> Vec<u8> {
    let mut bytes = length(body.len()).to_vec();
    bytes.extend(body);
    bytes
}

fn length(body: usize) -> [u8; 4] {
    u32::try_from(body + 4).expect("a message of a test").to_be_bytes()
}

/// A startup message of protocol 3.`minor`.
#[must_use]
pub fn startup(minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = vec![0, 3];
    body.extend(minor.to_be_bytes());
    for (name, value) in parameters {
        body.extend(cstr(name));
        body.extend(cstr(value));
    }
    body.push(0);
    packet(&body)
}

/// SSLRequest.
#[must_use]
pub fn ssl_request() -> Vec<u8> {
    packet(&80_877_103_u32.to_be_bytes())
}

/// GSSENCRequest.
#[must_use]
pub fn gss_request() -> Vec<u8> {
    packet(&80_877_104_u32.to_be_bytes())
}

/// CancelRequest, with what BackendKeyData held.
#[must_use]
pub fn cancel_request(key: &[u8]) -> Vec<u8> {
    packet(&[&80_877_102_u32.to_be_bytes(), key].concat())
}

/// Query.
#[must_use]
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &cstr(sql))
}

/// Parse, with the oids of the first parameters' types.
#[must_use]
pub fn parse_typed(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = [cstr(name), cstr(sql)].concat();
    body.extend(count(types.len()));
    body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
    message(b'P', &body)
}

/// Parse without parameter types.
#[must_use]
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    parse_typed(name, sql, &[])
}

/// Bind of texts, results as texts.
#[must_use]
pub fn bind(portal: &str, statement: &str, parameters: &[Option<&str>]) -> Vec<u8> {
    let mut body = [cstr(portal), cstr(statement)].concat();
    body.extend(count(0));
    body.extend(count(parameters.len()));
    for parameter in parameters {
        match parameter {
            Some(text) => {
                body.extend(u32::try_from(text.len()).expect("a short text").to_be_bytes());
                body.extend(text.as_bytes());
            }
            None => body.extend((-1_i32).to_be_bytes()),
        }
    }
    body.extend(count(0));
    message(b'B', &body)
}

/// Describe of a prepared statement.
#[must_use]
pub fn describe_statement(name: &str) -> Vec<u8> {
    message(b'D', &target(b'S', name))
}

/// Describe of a portal.
#[must_use]
pub fn describe_portal(name: &str) -> Vec<u8> {
    message(b'D', &target(b'P', name))
}

/// Close of a prepared statement.
#[must_use]
pub fn close_statement(name: &str) -> Vec<u8> {
    message(b'C', &target(b'S', name))
}

/// Close of a portal.
#[must_use]
pub fn close_portal(name: &str) -> Vec<u8> {
    message(b'C', &target(b'P', name))
}

/// Execute of at most `limit` rows, 0 for all.
#[must_use]
pub fn execute(portal: &str, limit: i32) -> Vec<u8> {
    message(b'E', &[cstr(portal), limit.to_be_bytes().to_vec()].concat())
}

/// Sync.
#[must_use]
pub fn sync() -> Vec<u8> {
    message(b'S', &[])
}

/// Flush.
#[must_use]
pub fn flush() -> Vec<u8> {
    message(b'H', &[])
}

/// Terminate.
#[must_use]
pub fn terminate() -> Vec<u8> {
    message(b'X', &[])
}

/// CopyData.
#[must_use]
pub fn copy_data(data: &[u8]) -> Vec<u8> {
    message(b'd', data)
}

/// CopyDone.
#[must_use]
pub fn copy_done() -> Vec<u8> {
    message(b'c', &[])
}

/// CopyFail.
#[must_use]
pub fn copy_fail(why: &str) -> Vec<u8> {
    message(b'f', &cstr(why))
}

/// FunctionCall with text arguments and a text result.
#[must_use]
pub fn function_call(oid: u32, arguments: &[&str]) -> Vec<u8> {
    let mut body = oid.to_be_bytes().to_vec();
    body.extend(count(0));
    body.extend(count(arguments.len()));
    for argument in arguments {
        body.extend(u32::try_from(argument.len()).expect("a short text").to_be_bytes());
        body.extend(argument.as_bytes());
    }
    body.extend(count(0));
    message(b'F', &body)
}

fn count(number: usize) -> [u8; 2] {
    u16::try_from(number).expect("few of them").to_be_bytes()
}

fn target(kind: u8, name: &str) -> Vec<u8> {
    let mut body = vec![kind];
    body.extend(cstr(name));
    body
}

pub(super) fn cstr(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}
