//! docs/monitoring.md names the metrics that there are, and no other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use e2e::Setup;

use crate::scrape::{Scrape, served};

/// Name and kind of every metric in the document's tables.
fn documented() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/monitoring.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let name = cells.next()?.trim_matches('`');
        let kind = cells.next()?;
        ["counter", "gauge", "histogram"]
            .contains(&kind)
            .then(|| (format!("roadrunner_pgpool_{name}"), kind.to_owned()))
    })
    .collect()
}

#[tokio::test]
async fn the_document_has_every_metric_and_no_other() {
    let setup = Setup::with(&served()).await;
    let scrape = Scrape::of(&setup.server).await;
    let documented = documented();
    for (name, kind) in &scrape.kinds {
        assert_eq!(documented.get(name), Some(kind), "{name} in docs/monitoring.md");
    }
    for name in documented.keys() {
        assert!(scrape.kinds.contains_key(name), "{name} is in docs/monitoring.md only");
    }
    assert!(documented.len() > 30, "{documented:?}");
}
