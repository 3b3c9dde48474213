//! `.env` files: `KEY=value` lines, as RoadRunner's `envfile` and `--dotenv` have them.

use std::collections::HashMap;
use std::iter::Peekable;
use std::str::Chars;

use super::env;

/// Reads the variables of a file.
///
/// `export KEY=value`, comments, single quotes (literal), double quotes (with escapes and
/// references) and values over several lines in quotes are understood. References see the
/// variables above them, then `outer`.
///
/// # Errors
/// The line, and what is wrong with it; never a value.
pub(crate) fn parse(
    text: &str,
    outer: &dyn Fn(&str) -> Option<String>,
) -> Result<HashMap<String, String>, (u32, &'static str)> {
    let mut reader = Reader { chars: text.chars().peekable(), line: 1 };
    let mut variables = HashMap::new();
    loop {
        reader.skip_blank();
        if reader.chars.peek().is_none() {
            return Ok(variables);
        }
        let line = reader.line;
        let (name, value) = reader.variable().map_err(|reason| (line, reason))?;
        let value = match value {
            Text::Literal(text) => text,
            Text::WithReferences(text) => {
                let get = |name: &str| variables.get(name).cloned().or_else(|| outer(name));
                env::expand(&text, &get).unwrap_or(text)
            }
        };
        variables.insert(name, value);
    }
}

enum Text {
    Literal(String),
    WithReferences(String),
}

struct Reader<'t> {
    chars: Peekable<Chars<'t>>,
    line: u32,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.chars.next();
        self.line += u32::from(next == Some('\n'));
        next
    }

    /// Skips white space, empty lines and comments.
    fn skip_blank(&mut self) {
        while let Some(c) = self.chars.peek().copied() {
            if c == '#' {
                self.rest_of_line();
            } else if c.is_whitespace() || c == '\u{feff}' {
                self.next();
            } else {
                return;
            }
        }
    }

    fn skip_spaces(&mut self) {
        while self.chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
    }

    fn rest_of_line(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.chars.next_if(|c| *c != '\n') {
            text.push(c);
        }
        text
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.chars.next_if(|c| !c.is_whitespace() && !matches!(c, '=' | ':')) {
            word.push(c);
        }
        word
    }

    fn variable(&mut self) -> Result<(String, Text), &'static str> {
        let mut name = self.word();
        self.skip_spaces();
        if name == "export" {
            name = self.word();
            self.skip_spaces();
        }
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if name.is_empty() || !name.bytes().all(good) {
            return Err("a variable's name is made of letters, digits and underscores");
        }
        if self.chars.next_if(|c| matches!(c, '=' | ':')).is_none() {
            return Err("a line must be of the form NAME=value");
        }
        self.skip_spaces();
        let value = match self.chars.peek() {
            Some('\'') => Text::Literal(self.quoted('\'')?),
            Some('"') => Text::WithReferences(self.quoted('"')?),
            _ => return Ok((name, Text::WithReferences(without_comment(&self.rest_of_line())))),
        };
        let after = self.rest_of_line();
        let after = after.trim();
        if !after.is_empty() && !after.starts_with('#') {
            return Err("something follows the closing quote");
        }
        Ok((name, value))
    }

    fn quoted(&mut self, quote: char) -> Result<String, &'static str> {
        self.next();
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                c if c == quote => return Ok(text),
                '\\' if quote == '"' => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    Some(c) => text.push(c),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err("the closing quote is missing")
    }
}

/// An unquoted value ends at ` #`.
fn without_comment(text: &str) -> String {
    let mut end = text.len();
    if text.starts_with('#') {
        end = 0;
    } else if let Some(at) = text.find(" #").into_iter().chain(text.find("\t#")).min() {
        end = at;
    }
    text.get(..end).unwrap_or(text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<HashMap<String, String>, (u32, &'static str)> {
        parse(text, &|name| (name == "OUTER").then(|| "outer".to_owned()))
    }

    #[test]
    fn every_form_of_line() {
        let variables = read(
            "# comment\n\nA=1\nexport B = two words # comment\nC='$A #literal'\nD=\"a\\n$A ${OUTER}\"\n\
             E=pa#ss\nF=\nG: yaml\nH=\"two\nlines\" # comment\r\nI=x${A}y\nJ=#empty\n",
        )
        .unwrap();
        for (name, value) in [
            ("A", "1"),
            ("B", "two words"),
            ("C", "$A #literal"),
            ("D", "a\n1 outer"),
            ("E", "pa#ss"),
            ("F", ""),
            ("G", "yaml"),
            ("H", "two\nlines"),
            ("I", "x1y"),
            ("J", ""),
        ] {
            assert_eq!(variables.get(name).map(String::as_str), Some(value), "{name}");
        }
    }

    #[test]
    fn errors_name_the_line_only() {
        assert_eq!(read("A=1\nB\n").unwrap_err().0, 2);
        assert_eq!(read("A=1\n\nB='x\n\n").unwrap_err(), (3, "the closing quote is missing"));
        assert_eq!(read("A='x' y").unwrap_err(), (1, "something follows the closing quote"));
        assert_eq!(read("a b=1").unwrap_err().0, 1);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[A-B=\"'\\\\ \n#$:]{0,60}|.{0,60}") {
            let _ = read(&text);
        }
    }
}
