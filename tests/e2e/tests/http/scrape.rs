//! Reading what Prometheus gets.

use std::collections::BTreeMap;

use e2e::TestServer;
use serde_json::{Value, json};

/// The configuration that serves metrics and status at one address.
pub(crate) fn served() -> Value {
    json!({"monitoring": {
        "prometheus": {"enabled": true, "address": "127.0.0.1:0"},
        "status": {"address": "127.0.0.1:0"},
        "interval": "20ms",
    }})
}

/// One scrape.
#[derive(Debug)]
pub(crate) struct Scrape {
    /// By name with labels, as they stand there.
    pub(crate) samples: BTreeMap<String, f64>,
    /// What kind each metric is.
    pub(crate) kinds: BTreeMap<String, String>,
}

impl Scrape {
    pub(crate) async fn of(server: &TestServer) -> Self {
        let reply = server.get("/metrics").await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.field("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        Self::read(&reply.body)
    }

    pub(crate) fn read(text: &str) -> Self {
        let (mut samples, mut kinds) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {name}");
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let before = samples.insert(name.to_owned(), value.parse().unwrap());
                assert!(before.is_none(), "twice: {name}");
            }
        }
        Self { samples, kinds }
    }

    /// The value of the only sample of this name, without the common prefix, whose labels have these.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.find(name, labels);
        assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
        found[0].1
    }

    pub(crate) fn find(&self, name: &str, labels: &[(&str, &str)]) -> Vec<(&str, f64)> {
        let name = format!("roadrunner_pgpool_{name}");
        let wanted = |sample: &str| {
            sample.split('{').next() == Some(&name)
                && labels
                    .iter()
                    .all(|(label, value)| sample.contains(&format!("{label}=\"{value}\"")))
        };
        self.samples
            .iter()
            .filter(|(it, _)| wanted(it))
            .map(|(it, value)| (&**it, *value))
            .collect()
    }
}
