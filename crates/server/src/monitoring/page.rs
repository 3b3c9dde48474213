//! The page for people: one file with everything in it, made of three beside this one. The browser is told
//! to run and load nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use ring::digest;

use super::routes::{Answer, of_type};

const FRAME: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The page and what it may do.
pub(super) struct Page {
    html: String,
    policy: Option<HeaderValue>,
}

impl Page {
    pub(super) fn new() -> Self {
        let html = FRAME.replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT);
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        Self { html, policy: HeaderValue::try_from(policy).ok() }
    }

    pub(super) fn answer(&self) -> Answer {
        let mut answer = of_type(StatusCode::OK, "text/html; charset=utf-8", self.html.clone());
        if let Some(policy) = &self.policy {
            answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy.clone());
        }
        answer
    }
}

/// How a policy names a text that stands in the page.
fn hash(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    format!("sha256-{}", STANDARD.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_all_that_it_needs_and_nothing_else_is_allowed() {
        let page = Page::new();
        assert!(page.html.contains(STYLE) && page.html.contains(SCRIPT));
        for elsewhere in ["http://", "https://", " src=", "@import", "url("] {
            assert!(!page.html.contains(elsewhere), "{elsewhere}");
        }
        let policy = page.policy.unwrap();
        let policy = policy.to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
            "{policy}"
        );
    }
}
