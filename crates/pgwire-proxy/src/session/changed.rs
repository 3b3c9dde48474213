//! What a statement does to the session's settings, and whether a text still means here what it means
//! to other clients.

use pool_manager::classify::{Classification, SettingsEffect, StatementKind, touched_settings};

use super::attached::Attached;

/// Settings that are asked for by name in one question.
const MAX_TOUCHED: usize = 128;

impl Attached {
    /// Notes that a statement of this client is about to run.
    pub(super) fn will_run(&mut self, class: &Classification, sql: &[u8], client: u64) {
        self.connection.will_run(class, client);
        let sets = class.settings != SettingsEffect::None;
        if sets || class.kind == StatementKind::Set || (class.statements > 1 && !class.clean) {
            self.reads_otherwise = true;
            if changes_reading(sql) {
                // Nobody knows what later texts do.
                self.connection.taint();
            }
        }
        if sets {
            let touched = touched_settings(&String::from_utf8_lossy(sql));
            if touched.names.iter().any(|name| name == "seed") {
                // random() would repeat itself for whoever comes next.
                self.connection.taint();
            }
            let everything = class.settings == SettingsEffect::Any || touched.resets;
            self.touch(touched.names, everything);
        }
    }

    /// Notes that something is about to run that nobody has looked at.
    pub(super) fn will_run_anything(&mut self, client: u64) {
        self.connection.will_run_anything(client);
        self.touch([], true);
    }

    /// Notes that settings made in the transaction may be taken back: only everything tells then.
    pub(super) fn will_roll_back(&mut self) {
        if self.touched.is_some() {
            self.touch([], true);
        }
    }

    /// Notes that these settings may have been changed, or put back together with any others.
    pub(super) fn touch(&mut self, names: impl IntoIterator<Item = String>, everything: bool) {
        let question = self.touched.get_or_insert_default();
        question.everything |= everything;
        for name in names {
            if question.names.len() < MAX_TOUCHED && !question.names.contains(&name) {
                question.names.push(name);
            } else {
                question.everything |= question.names.len() >= MAX_TOUCHED;
            }
        }
    }

    /// Whether a text may mean something else here than to others: a temporary table may stand where
    /// they have another one, or a setting be in force until the transaction's end.
    pub(super) fn is_changed(&self) -> bool {
        self.connection.is_dirty() || self.touched.is_some() || self.reads_otherwise
    }

    /// Whether what others have prepared means the same to this client: it has changed nothing in the
    /// session, and is in no transaction when the server comes to it. A failed one has to say so,
    /// and in another nothing can be sent again that finds an old plan.
    pub(super) fn can_share(&self) -> bool {
        !self.is_changed() && !self.may_be_in_transaction()
    }
}

/// Whether a text, or a value in it, may change where strings end in the texts that follow.
pub(super) fn changes_reading(text: &[u8]) -> bool {
    const TELLING: [&str; 12] = [
        "standard_conforming_strings",
        "backslash_quote",
        "gbk",
        "gb18030",
        "big5",
        "sjis",
        "shift",
        "uhc",
        "johab",
        "mskanji",
        "win9",
        "windows9",
    ];
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    TELLING.iter().any(|word| text.contains(word))
}
