//! docs/monitoring.md and the examples name the metrics that there are, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use e2e::Setup;

use crate::scrape::{Scrape, served};

fn read(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(file)).unwrap()
}

/// Name and kind of every metric in the document's tables.
fn documented() -> BTreeMap<String, String> {
    let text = read("docs/monitoring.md");
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

/// What follows each prefix of ours in a text.
fn named(text: &str) -> BTreeSet<String> {
    let rest = text.split("roadrunner_pgpool_").skip(1);
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    rest.map(|rest| rest.chars().take_while(|c| is_part(*c)).collect()).collect()
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_name_only_metrics_that_exist() {
    let setup = Setup::with(&served()).await;
    let scrape = Scrape::of(&setup.server).await;
    let exists = |name: &str| {
        let full = format!("roadrunner_pgpool_{name}");
        let parts = ["_bucket", "_sum", "_count"].iter().filter_map(|part| full.strip_suffix(part));
        let mut histograms = parts.filter_map(|base| scrape.kinds.get(base));
        match scrape.kinds.get(&full).map(String::as_str) {
            // Of a histogram only its parts have values.
            Some(kind) => kind != "histogram",
            None => histograms.any(|kind| kind == "histogram"),
        }
    };
    for (file, least) in [("dashboard.json", 30), ("alerts.yml", 10)] {
        let names = named(&read(&format!("examples/monitoring/{file}")));
        let wrong: Vec<_> = names.iter().filter(|name| !exists(name)).collect();
        assert!(wrong.is_empty(), "{file} names {wrong:?}");
        assert!(names.len() >= least, "{file}: {names:?}");
    }
    let board: serde_json::Value =
        serde_json::from_str(&read("examples/monitoring/dashboard.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let charts = panels.iter().filter(|panel| panel["type"] != "row");
    for panel in charts {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            let asked = named(target["expr"].as_str().unwrap());
            assert!(!asked.is_empty(), "{target} asks for nothing of ours");
        }
    }
}
