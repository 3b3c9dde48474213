//! Loading: file, included files, environment and overrides become a [`Config`].

use std::io::Read;
use std::path::{Path, PathBuf};

use super::de;
use super::env::Environment;
use super::error::ConfigError;
use super::overrides::Override;
use super::schema;
use super::tree::{Node, Scalar, Value};
use super::types::{Config, SetKey};
use super::unset::UnsetReference;
use super::{dotenv, unset, yaml};

/// The only version of configuration files that RoadRunner has now.
const VERSION: &str = "3";

/// Largest file that is read, in bytes.
const MAX_FILE_SIZE: u64 = 4 << 20;

/// What to load, and with what around it.
pub struct LoadOptions<'a> {
    /// The configuration file.
    pub path: PathBuf,
    /// Overrides, `key.path=value` each, in the order given.
    pub overrides: Vec<String>,
    /// A file of environment variables (`--dotenv`); else the variable `DOTENV_PATH` names one.
    pub dotenv: Option<PathBuf>,
    /// Answers for environment variables.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> LoadOptions<'a> {
    /// A file, without overrides.
    pub fn new(path: impl Into<PathBuf>, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { path: path.into(), overrides: Vec::new(), dotenv: None, env }
    }
}

impl Config {
    /// Reads a configuration as RoadRunner does, and checks it.
    ///
    /// The file must have `version: '3'` and a section `pgpool`. `include` names files, relative
    /// to the main one, whose settings replace the main file's (as in RoadRunner); `envfile` and
    /// `dotenv` add environment variables below those of the process. References to variables
    /// are expanded in every value. Overrides come last.
    ///
    /// # Errors
    /// The first thing that is wrong: file, line, key, reason. No secret is repeated.
    pub fn load(options: &LoadOptions<'_>) -> Result<Self, ConfigError> {
        Self::load_noting(options).map(|(config, _)| config)
    }

    /// As [`Config::load`], with the references to variables that are not set.
    pub(crate) fn load_noting(
        options: &LoadOptions<'_>,
    ) -> Result<(Self, Vec<UnsetReference>), ConfigError> {
        let root = read_tree(options)?;
        let file = shown(&options.path);
        let Some(section) = root.get("pgpool") else {
            return Err(ConfigError::file(
                file,
                "there is no section pgpool; the least one is\npgpool:\n  backends:\n    \
                 primary:\n      dsn: postgres://user:password@host:5432/dbname",
            ));
        };
        let mut config: Self = de::from_node(section)
            .map_err(|error| explain(&error.within(schema::limits), &file))?;
        config.validate().map_err(|error| {
            let error = unset::explain(section, error);
            let key = if error.key.is_empty() { String::new() } else { format!(".{}", error.key) };
            let place = section.place_of(&error.key);
            ConfigError::key(place, format!("pgpool{key}"), error.reason)
        })?;
        section.each_leaf("pgpool", &mut |key, place| {
            config.set_keys.push(SetKey { key: key.to_owned(), place: place.to_string() });
        });
        Ok((config, unset::references(section)))
    }
}

/// The whole configuration as one tree, references expanded and overrides applied.
fn read_tree(options: &LoadOptions<'_>) -> Result<Node, ConfigError> {
    let overrides = options
        .overrides
        .iter()
        .map(|text| Override::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    let mut root = read_yaml(&options.path)?;
    let env = environment(options, &root)?;
    root.expand(&env);
    let version = version(&root, &options.path)?;
    for file in included(&root)? {
        let path = beside(&options.path, &file);
        let mut other = read_yaml(&path)?;
        other.expand(&env);
        if self::version(&other, &path)? != version {
            return Err(version_error(&other, &path, "must be the one of the main file"));
        }
        root.merge(other);
    }
    for set in &overrides {
        set.apply(&mut root, &env)?;
    }
    Ok(root)
}

/// The environment for references: the process, then `--dotenv`, then `envfile`.
fn environment<'a>(options: &LoadOptions<'a>, root: &Node) -> Result<Environment<'a>, ConfigError> {
    let mut env = Environment::new(options.env);
    let named = || env.get("DOTENV_PATH").map(PathBuf::from);
    if let Some(path) = options.dotenv.clone().or_else(named) {
        add_env_file(&mut env, &path)?;
    }
    if let Some(node) = root.get("envfile") {
        let Value::Scalar(Scalar { text, .. }) = &node.value else {
            return Err(ConfigError::key(&node.place, "envfile", "must name a file"));
        };
        let file = env.expand(text).unwrap_or_else(|| text.clone());
        if !file.is_empty() {
            add_env_file(&mut env, &beside(&options.path, &file))?;
        }
    }
    Ok(env)
}

fn add_env_file(env: &mut Environment<'_>, path: &Path) -> Result<(), ConfigError> {
    let text = read_text(path)?;
    let variables = dotenv::parse(&text, &|name| env.get(name)).map_err(|(line, reason)| {
        ConfigError { line: Some(line), ..ConfigError::file(shown(path), reason) }
    })?;
    env.add_file(variables);
    Ok(())
}

/// The version of a file, checked.
fn version(root: &Node, path: &Path) -> Result<String, ConfigError> {
    let wrong = |reason: &str| version_error(root, path, reason);
    match root.get("version").map(|node| &node.value) {
        None | Some(Value::Null) => {
            Err(wrong("is missing; RoadRunner's configuration starts with version: '3'"))
        }
        Some(Value::Scalar(scalar)) if scalar.text != VERSION => {
            Err(wrong("only version: '3' is supported"))
        }
        Some(Value::Scalar(scalar)) if scalar.plain => {
            Err(wrong("must be a text, as RoadRunner demands: version: '3'"))
        }
        Some(Value::Scalar(scalar)) => Ok(scalar.text.clone()),
        Some(Value::List(_) | Value::Map(_)) => Err(wrong("must be a text: version: '3'")),
    }
}

fn version_error(root: &Node, path: &Path, reason: &str) -> ConfigError {
    match root.get("version") {
        Some(node) => ConfigError::key(&node.place, "version", reason),
        None => ConfigError { key: "version".into(), ..ConfigError::file(shown(path), reason) },
    }
}

/// The files that `include` names. Included files include no others, as in RoadRunner.
fn included(root: &Node) -> Result<Vec<String>, ConfigError> {
    let Some(node) = root.get("include") else { return Ok(Vec::new()) };
    de::from_node(node).map_err(|_| {
        ConfigError::key(&node.place, "include", "must be a list of files: - pgpool.yaml")
    })
}

/// A path as seen from the directory of the main file.
fn beside(main: &Path, file: &str) -> PathBuf {
    match main.parent() {
        Some(directory) => directory.join(file),
        None => PathBuf::from(file),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn read_yaml(path: &Path) -> Result<Node, ConfigError> {
    yaml::parse(&read_text(path)?, &shown(path))
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let failed = |error: std::io::Error| {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            std::io::ErrorKind::PermissionDenied => "this file may not be read".to_owned(),
            _ => format!("this file cannot be read: {error}"),
        };
        ConfigError::file(shown(path), reason)
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        let reason = format!("this file has more than {} MiB", MAX_FILE_SIZE >> 20);
        return Err(ConfigError::file(shown(path), reason));
    }
    String::from_utf8(bytes).map_err(|_| ConfigError::file(shown(path), "this file is not UTF-8"))
}

/// A misfit between tree and types, with the whole path and, for a stray key, where it belongs.
fn explain(error: &de::DeError, file: &str) -> ConfigError {
    let dot = if error.path.is_empty() { "" } else { "." };
    let key = format!("pgpool{dot}{}", error.path);
    let elsewhere = if error.is_stray { schema::place_for(&key) } else { None };
    let reason = match elsewhere {
        Some(place) => format!("unknown key here; did you mean {place}?"),
        None => error.message(),
    };
    match &error.place {
        Some(place) => ConfigError::key(place, key, reason),
        None => ConfigError { key, ..ConfigError::file(file, reason) },
    }
}
