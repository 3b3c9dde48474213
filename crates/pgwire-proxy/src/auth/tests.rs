//! Every way of proving who one is, with right and wrong answers.

use futures_util::FutureExt;
use pool_manager::Secret;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::password;

use super::*;

const MODES: [AuthMode; 3] = [AuthMode::Password, AuthMode::Md5, AuthMode::ScramSha256];

fn users(mode: AuthMode, stored: &str) -> Users {
    let credential = Credential::stored("app", &Secret::new(stored)).unwrap();
    Users::new(mode, [User::new("app".to_owned(), Some(credential))], None).unwrap()
}

fn begin(users: &Users, user: &str) -> Exchange {
    // Nothing is looked up, so that nothing is waited for.
    users.claim(user, None).now_or_never().unwrap().unwrap().exchange
}

/// Answers as libpq would, and tells whether the client was let in.
fn logs_in(users: &Users, user: &str, given: &str) -> bool {
    let mut exchange = begin(users, user);
    let mut scram = ScramSha256::new(given.as_bytes(), ChannelBinding::unsupported());
    let mut step = exchange.start();
    loop {
        let answer = match step {
            Step::Ask(3, _) => [given.as_bytes(), b"\0"].concat(),
            Step::Ask(5, salt) => {
                let hash = md5_hash(user.as_bytes(), given.as_bytes(), salt.try_into().unwrap());
                [hash.as_bytes(), b"\0"].concat()
            }
            Step::Ask(10, mechanisms) => {
                assert_eq!(mechanisms, b"SCRAM-SHA-256\0\0");
                let message = scram.message();
                let len = u32::try_from(message.len()).unwrap().to_be_bytes();
                [b"SCRAM-SHA-256\0", &len[..], message].concat()
            }
            Step::Ask(11, first) => {
                scram.update(&first).unwrap();
                scram.message().to_vec()
            }
            Step::Ask(code, _) => panic!("unknown code {code}"),
            Step::Accepted(None) => return true,
            Step::Accepted(Some((12, last))) => return scram.finish(&last).is_ok(),
            Step::Accepted(Some((code, _))) => panic!("unknown code {code}"),
            Step::Denied | Step::Unknown => return false,
            Step::Malformed(why) => panic!("{why}"),
        };
        step = exchange.answer(&answer);
    }
}

#[test]
fn the_right_password_gets_in_by_every_mode_and_stored_form() {
    let forms =
        ["secret".to_owned(), password::md5(b"secret", "app"), password::scram_sha_256(b"secret")];
    for mode in MODES {
        for stored in &forms {
            if mode == AuthMode::ScramSha256 && stored.starts_with("md5") {
                continue;
            }
            let users = users(mode, stored);
            assert!(logs_in(&users, "app", "secret"), "{mode:?} {stored}");
            for (user, wrong) in
                [("app", "Secret"), ("app", ""), ("other", "secret"), ("", "secret")]
            {
                assert!(!logs_in(&users, user, wrong), "{mode:?} {stored} {user} {wrong}");
            }
        }
    }
}

#[test]
fn an_empty_password_is_nobodys() {
    for mode in MODES {
        let credential = Credential::plain(Secret::new(""));
        let users =
            Users::new(mode, [User::new("app".to_owned(), Some(credential))], None).unwrap();
        if mode == AuthMode::Password {
            assert!(!logs_in(&users, "app", ""));
        }
    }
}

#[test]
fn trust_asks_for_a_known_name_and_none_for_nothing() {
    assert!(logs_in(&users(AuthMode::Trust, "x"), "app", ""));
    assert!(!logs_in(&users(AuthMode::Trust, "x"), "other", ""));
    assert!(logs_in(&users(AuthMode::None, "x"), "other", ""));
}

#[test]
fn unknown_users_are_asked_the_same_questions() {
    for mode in MODES {
        let users = users(mode, "secret");
        let kind = |user| match begin(&users, user).start() {
            Step::Ask(code, data) => (code, data.len()),
            other => panic!("{other:?}"),
        };
        assert_eq!(kind("app"), kind("other"), "{mode:?}");
    }
    let verifier = password::scram_sha_256(b"secret");
    let mixed = users(AuthMode::Md5, &verifier);
    let kind = |user| match begin(&mixed, user).start() {
        Step::Ask(code, _) => code,
        other => panic!("{other:?}"),
    };
    assert_eq!((kind("app"), kind("other")), (10, 10));
    let users = users(AuthMode::Password, &verifier);
    assert!(begin(&users, "app").is_slow() && begin(&users, "other").is_slow());
}

#[test]
fn malformed_answers_are_told_from_wrong_ones() {
    for (mode, answers) in [
        (AuthMode::Password, [&b"secret"[..], b"a\0b\0", b""]),
        (AuthMode::Md5, [&b"md5"[..], b"\xff\0", b""]),
        (
            AuthMode::ScramSha256,
            [&b"SCRAM-SHA-1\0\0\0\0\x01x"[..], b"SCRAM-SHA-256\0\0\0\0\x09x", b""],
        ),
    ] {
        for answer in answers {
            let step = begin(&users(mode, "secret"), "app").answer(answer);
            assert!(matches!(step, Step::Malformed(_)), "{mode:?} {answer:?}: {step:?}");
        }
    }
}
