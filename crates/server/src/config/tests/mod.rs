//! Loading configurations: what is accepted, and what errors say.

mod documents;
mod errors;
mod loading;
mod rules;
mod sections;

use std::path::Path;

use super::{Config, ConfigError, LoadOptions};

/// A directory with configuration files.
struct Files(tempfile::TempDir);

impl Files {
    /// A directory whose `.rr.yaml` holds a text.
    fn new(main: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write(".rr.yaml", main);
        files
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Loads with overrides and environment variables.
    fn load(&self, overrides: &[&str], env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        self.with(overrides, env, Config::load)
    }

    fn with<T>(
        &self,
        overrides: &[&str],
        env: &[(&str, &str)],
        run: impl FnOnce(&LoadOptions<'_>) -> T,
    ) -> T {
        let lookup = |name: &str| {
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let mut options = LoadOptions::new(self.path().join(".rr.yaml"), &lookup);
        options.overrides = overrides.iter().map(|&text| text.to_owned()).collect();
        run(&options)
    }
}

/// The least configuration that serves.
const MINIMAL: &str = "
version: '3'
pgpool:
  backends:
    primary:
      dsn: postgres://app:hunter2@db/shop
";

/// A file with these lines under `pgpool:`, beside a primary.
fn with_section(lines: &str) -> String {
    format!("{MINIMAL}{}", indent(lines, 2))
}

/// A file with these lines under `pgpool.backends.primary:`.
fn with_primary(lines: &str) -> String {
    format!("version: '3'\npgpool:\n  backends:\n    primary:\n{}", indent(lines, 6))
}

fn indent(lines: &str, by: usize) -> String {
    lines.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

fn load(text: &str) -> Config {
    Files::new(text).load(&[], &[]).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The error that loading a text ends in, without the directory's name.
fn wrong(text: &str) -> String {
    wrong_with(text, &[], &[])
}

fn wrong_with(text: &str, overrides: &[&str], env: &[(&str, &str)]) -> String {
    let files = Files::new(text);
    match files.load(overrides, env) {
        Ok(_) => panic!("this was accepted:\n{text}"),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains("hunter2"), "{text}");
            text.replace(&format!("{}/", files.path().display()), "")
        }
    }
}
