//! Entry points for fuzzing: one a parser, each with what must hold for any bytes. Only in builds with
//! the feature `fuzzing`, and in the tests, which run each of them on a few thousand inputs.
#![allow(clippy::panic, reason = "a broken promise is what a fuzzer looks for")]

use bytes::BytesMut;

pub use crate::auth::fuzz::{scram_server, stored_password};
use crate::login::startup_settings;
use crate::message::HEADER_LEN;
use crate::message::frontend::{self, Bind, Header, Parse, Target};
use crate::message::startup::{self, Opening};
use crate::statement::context;

/// A packet before the session, and the settings in it.
pub fn startup_packet(packet: &[u8]) {
    let _ = startup::begins_session(packet);
    let Ok(Opening::Startup(startup)) = startup::read(packet) else { return };
    for (name, value) in &startup.parameters {
        assert!(!name.is_empty() && !name.contains('\0') && !value.contains('\0'));
    }
    if let Ok(settings) = startup_settings(&startup) {
        let _ = context(&settings);
    }
}

/// Messages of a client, one after the other, as a session cuts and reads them.
pub fn frontend_messages(mut bytes: &[u8]) {
    while let Header::Message { total, .. } = frontend::header(bytes) {
        assert!(total > HEADER_LEN - 1);
        let Some(message) = bytes.get(..total) else {
            frontend_body(bytes.get(HEADER_LEN..).unwrap_or_default());
            return;
        };
        frontend_body(message.get(HEADER_LEN..).unwrap_or_default());
        bytes = bytes.get(total..).unwrap_or_default();
    }
}

/// The body of a client's message, read as each kind.
fn frontend_body(body: &[u8]) {
    if let Some(parse) = Parse::read(body) {
        // Written again it is the same.
        let whole = [parse.name, b"\0", parse.sql, b"\0", parse.types].concat();
        assert_eq!(whole, body);
        if let Ok(name) = std::str::from_utf8(parse.name) {
            let mut out = BytesMut::new();
            frontend::put_parse(&mut out, name, parse.sql, parse.types);
            assert_eq!(out.get(HEADER_LEN..), Some(body));
            assert_eq!(frontend::header(&out), Header::Message { tag: b'P', total: out.len() });
        }
    }
    if let Some(bind) = Bind::read(body) {
        let values: usize = bind.values().map(|value| value.len() + 4).sum();
        assert!(values <= bind.rest.len(), "no value is read twice, or beyond the end");
        let mut out = BytesMut::new();
        frontend::put_bind(&mut out, bind.portal, bind.statement, bind.rest);
        assert_eq!(out.get(HEADER_LEN..), Some(body));
    }
    let _ = (Target::read(body), frontend::executed_portal(body));
    if let Some(sql) = frontend::query_text(body) {
        assert!(!sql.contains(&0));
    }
}

#[cfg(test)]
mod tests {
    use test_support::smoke;

    #[test]
    fn startup_packet() {
        let seeds: [&[u8]; 5] = [
            b"\0\x03\0\0user\0app\0database\0shop\0options\0-c work_mem=4MB --a-b=c\\ d\0\0",
            b"\0\x03\0\x02user\0app\0_pq_.x\0on\0search_path\0a,b\0\0",
            b"\x04\xd2\x16\x2e\0\0\0\x07\xff\xff\xff\xff",
            b"\x04\xd2\x16\x2f",
            b"\0\x02\0\0",
        ];
        smoke("startup_packet", &seeds, super::startup_packet);
    }

    #[test]
    fn frontend_messages() {
        let seeds: [&[u8]; 6] = [
            b"P\0\0\0\x17s\0SELECT $1\0\0\x01\0\0\0\x17B\0\0\0\x14\0s\0\0\0\0\x01\0\0\0\x011\0\0",
            b"D\0\0\0\x07Ss\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04H\0\0\0\x04",
            b"Q\0\0\0\x0dSELECT 1\0",
            b"C\0\0\0\x06P\0F\0\0\0\x0e\0\0\0\x01\0\0\0\0\0\0",
            b"d\0\0\0\x05ac\0\0\0\x04f\0\0\0\x06a\0X\0\0\0\x04",
            b"B\0\0\0\x1e\0\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\0",
        ];
        smoke("frontend_messages", &seeds, super::frontend_messages);
    }

    #[test]
    fn scram_server() {
        let seeds: [&[u8]; 3] = [
            b"n,,n=app,r=abc\nc=biws,r=N,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            b"y,,n=,r=abc\nc=eSws,r=N,p=AA==",
            b"p=tls-end-point,,n=,r=abc\nc=cD0=,r=N",
        ];
        smoke("scram_server", &seeds, super::scram_server);
    }

    #[test]
    fn stored_password() {
        let seeds: [&[u8]; 3] = [
            b"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
            b"md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            b"secret",
        ];
        smoke("stored_password", &seeds, super::stored_password);
    }
}
