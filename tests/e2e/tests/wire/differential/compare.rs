//! What must be equal in the replies of PostgreSQL and of the proxy in front of it, and the few
//! things that need not be.
//!
//! | difference | why |
//! |---|---|
//! | file, line and routine in errors | errors of ours, and those in which a name is put right, have none |
//! | oids of tables | the two sides work on two databases |
//! | order of the ParameterStatus in front of one ReadyForQuery | PostgreSQL promises none |
//! | whether a Sync in the middle of the data of a COPY is answered | it depends on when the server finds an error in the data |
//! | Parse and Close of a statement that are sent before the server has said that it reads the data of a COPY | what has to be answered here is not known to be out of place |
//! | a setting that only extensions know is empty, not NULL, once somebody has set it | so it is within a session, too |
//! | a setting of an application's own that is made out of sight (in a function, a DO, a Query of megabytes) does not last | the server lists those to nobody |
//! | a Sync or Flush with a body, which none has | within a COPY PostgreSQL does not look at it, elsewhere it does |
//! | what comes of a batch that Terminate or a wrong length cuts off | nobody listens |
//! | in a failed transaction a statement's own error gives way to that of the transaction | its connection need not have the statement, and cannot prepare it then |
//! | DEALLOCATE of a name, prepared under a name itself or run again | the name is looked up by Parse, not by Execute |
//! | the words of error 25006, in a transaction READ ONLY | a replica says that it recovers |

use test_support::wire::{Reply, WireFault};

/// How a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With the last row and its ReadyForQuery.
    Reached,
    /// The server closed the connection.
    Closed,
    /// Not at all.
    Silence,
}

/// How a conversation went.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Replies {
    replies: Vec<Reply>,
    end: End,
}

impl Replies {
    pub(super) fn new(replies: Vec<Reply>, end: End) -> Self {
        let mut replies: Vec<Reply> = replies.into_iter().map(normalised).collect();
        for run in replies.chunk_by_mut(|a, b| a.tag == b'S' && b.tag == b'S') {
            run.sort_by(|a, b| a.body.cmp(&b.body));
        }
        Self { replies, end }
    }

    /// Whether the proxy's replies are what they must be when these are PostgreSQL's; `leaves`: the
    /// client may have left before all was done.
    pub(super) fn allow(&self, proxy: &Self, leaves: bool) -> bool {
        if leaves && (self.end, proxy.end) == (End::Closed, End::Closed) {
            return self.replies.starts_with(&proxy.replies)
                || proxy.replies.starts_with(&self.replies);
        }
        let is_same = |(a, b): (&Reply, &Reply)| {
            a == b || (a.tag == b'E' && has_code(b, "25P02")) || both_have_code(a, b, "25006")
        };
        self.end == proxy.end
            && self.end != End::Silence
            && self.replies.len() == proxy.replies.len()
            && self.replies.iter().zip(&proxy.replies).all(is_same)
    }
}

fn has_code(reply: &Reply, code: &str) -> bool {
    reply.error().is_some_and(|fault| fault.code() == code)
}

fn both_have_code(one: &Reply, other: &Reply, code: &str) -> bool {
    has_code(one, code) && has_code(other, code)
}

impl std::fmt::Debug for Replies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for reply in &self.replies {
            writeln!(f, "    {reply:?}")?;
        }
        writeln!(f, "    ({:?})", self.end)
    }
}

fn normalised(mut reply: Reply) -> Reply {
    if let Some(WireFault(mut fields)) = reply.fault() {
        fields.retain(|kind, _| !matches!(kind, 'F' | 'L' | 'R'));
        let texts = fields.iter().map(|(kind, text)| format!("{kind}{text}\0"));
        reply.body = texts.collect::<String>().into_bytes();
    }
    if reply.tag == b'T' {
        hide_table_oids(&mut reply.body);
    }
    reply
}

/// In a RowDescription.
fn hide_table_oids(body: &mut [u8]) {
    let mut at = 2;
    while at < body.len() {
        let name = body[at..].iter().position(|byte| *byte == 0).unwrap();
        at += name + 1;
        body[at..at + 4].fill(0);
        at += 18;
    }
}
