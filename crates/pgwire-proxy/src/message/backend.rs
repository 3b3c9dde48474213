//! The server's messages as we write them ourselves.

use bytes::{BufMut, BytesMut};
use pool_manager::{Parameters, ServerError, TransactionStatus};

use super::{message, put_cstr, reply};

/// ReadyForQuery.
pub(crate) fn ready(out: &mut BytesMut, status: TransactionStatus) {
    let status = match status {
        TransactionStatus::Idle => b'I',
        TransactionStatus::InTransaction => b'T',
        TransactionStatus::Failed => b'E',
    };
    out.put_slice(&[reply::READY_FOR_QUERY, 0, 0, 0, 5, status]);
}

/// ParseComplete, CloseComplete and the other messages without a body.
pub(crate) fn bare(out: &mut BytesMut, tag: u8) {
    out.put_slice(&[tag, 0, 0, 0, 4]);
}

/// CommandComplete.
pub(crate) fn command_complete(out: &mut BytesMut, tag: &str) {
    message(out, reply::COMMAND_COMPLETE, |out| put_cstr(out, tag.as_bytes()));
}

/// ParameterStatus.
pub(crate) fn parameter_status(out: &mut BytesMut, name: &str, value: &str) {
    message(out, reply::PARAMETER_STATUS, |out| {
        put_cstr(out, name.as_bytes());
        put_cstr(out, value.as_bytes());
    });
}

/// A ParameterStatus for each parameter whose value differs from what the client has been told, but
/// for the `hidden` one.
pub(crate) fn changed_parameters(
    out: &mut BytesMut,
    told: &Parameters,
    now: &Parameters,
    hidden: Option<&str>,
) {
    for (name, value) in now {
        if told.get(name) != Some(value) && hidden != Some(name) {
            parameter_status(out, name, value);
        }
    }
}

/// BackendKeyData.
pub(crate) fn key_data(out: &mut BytesMut, key: &super::startup::CancelKey) {
    message(out, reply::BACKEND_KEY_DATA, |out| {
        out.put_i32(key.process_id);
        out.put_slice(&key.secret);
    });
}

/// NegotiateProtocolVersion: this is the minor version that will be spoken, and these options are
/// unknown.
pub(crate) fn negotiate_version(out: &mut BytesMut, minor: u16, unknown_options: &[&str]) {
    message(out, reply::NEGOTIATE_PROTOCOL_VERSION, |out| {
        out.put_u16(super::startup::PROTOCOL_MAJOR);
        out.put_u16(minor);
        out.put_u32(u32::try_from(unknown_options.len()).unwrap_or_default());
        for option in unknown_options {
            put_cstr(out, option.as_bytes());
        }
    });
}

/// Authentication, with its code and what follows it.
pub(crate) fn authentication(out: &mut BytesMut, code: u32, data: &[u8]) {
    message(out, reply::AUTHENTICATION, |out| {
        out.put_u32(code);
        out.put_slice(data);
    });
}

/// ErrorResponse.
pub(crate) fn error(out: &mut BytesMut, error: &ServerError) {
    report(out, reply::ERROR_RESPONSE, error);
}

/// NoticeResponse, with the fields of an error.
pub(crate) fn notice(out: &mut BytesMut, notice: &ServerError) {
    report(out, reply::NOTICE_RESPONSE, notice);
}

fn report(out: &mut BytesMut, tag: u8, error: &ServerError) {
    message(out, tag, |out| {
        let mut field = |kind: u8, text: &str| {
            out.put_u8(kind);
            put_cstr(out, text.as_bytes());
        };
        field(b'S', &error.severity);
        field(b'V', &error.severity);
        field(b'C', error.code.as_str());
        field(b'M', &error.message);
        let position = error.position.map(|position| position.to_string());
        for (kind, text) in [
            (b'D', error.detail.as_deref()),
            (b'H', error.hint.as_deref()),
            (b'P', position.as_deref()),
            (b's', error.schema.as_deref()),
            (b't', error.table.as_deref()),
            (b'c', error.column.as_deref()),
            (b'n', error.constraint.as_deref()),
            (b'R', error.routine.as_deref()),
        ] {
            if let Some(text) = text {
                field(kind, text);
            }
        }
        out.put_u8(0);
    });
}

#[cfg(test)]
mod tests {
    use pool_manager::SqlState;

    use super::super::HEADER_LEN;
    use super::*;

    fn written(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
        let mut out = BytesMut::new();
        write(&mut out);
        out.to_vec()
    }

    #[test]
    fn messages_have_their_length_in_front() {
        assert_eq!(written(|out| ready(out, TransactionStatus::Failed)), b"Z\0\0\0\x05E");
        assert_eq!(written(|out| command_complete(out, "SELECT 1")), b"C\0\0\0\x0dSELECT 1\0");
        assert_eq!(written(|out| bare(out, b'1')), b"1\0\0\0\x04");
        assert_eq!(written(|out| parameter_status(out, "a", "b")), b"S\0\0\0\x08a\0b\0");
        assert_eq!(written(|out| authentication(out, 5, b"salt")), b"R\0\0\0\x0c\0\0\0\x05salt");
        assert_eq!(
            written(|out| negotiate_version(out, 2, &["_pq_.x"])),
            b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0"
        );
    }

    #[test]
    fn an_error_read_back_is_the_same() {
        let mut original = ServerError::new(SqlState::SYNTAX_ERROR, "no\0t this");
        original.hint = Some("do that".to_owned());
        original.position = Some(7);
        original.constraint = Some("c".to_owned());
        let bytes = written(|out| error(out, &original));
        let read = ServerError::from_body(&bytes[HEADER_LEN..]);
        assert_eq!(read.message, "no");
        original.message = "no".to_owned();
        assert_eq!(read, original);
    }

    #[test]
    fn only_what_changed_is_told() {
        let told = Parameters::from([("a".to_owned(), "1".to_owned())]);
        let mut now = told.clone();
        now.insert("b".to_owned(), "2".to_owned());
        let bytes = written(|out| changed_parameters(out, &told, &now, None));
        assert_eq!(bytes, b"S\0\0\0\x08b\x002\0");
    }
}
