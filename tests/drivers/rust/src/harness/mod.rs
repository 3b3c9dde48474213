//! Runs the behaviours of a driver and prints one line for each. Knows no driver.

pub mod common;

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::fmt::Debug;
use std::process::ExitCode;

pub type Failure = Box<dyn Error + Send + Sync>;
pub type Outcome<T = ()> = Result<T, Failure>;

/// A client's own settings, and another's.
pub const SETTINGS: [[(&str, &str); 3]; 2] = [
    [
        ("application_name", "tea"),
        ("search_path", "pg_catalog, public"),
        ("TimeZone", "Asia/Tokyo"),
    ],
    [("application_name", "milk"), ("search_path", "public"), ("TimeZone", "America/Lima")],
];

/// The driver has no such feature.
#[derive(Debug)]
pub struct Skip(pub &'static str);

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Skip {}

/// What differs from one client to another.
#[derive(Clone, Debug, Default)]
pub struct Login {
    pub wrong_password: bool,
    /// `application_name` and what goes into `options`.
    pub settings: Vec<(&'static str, &'static str)>,
    pub verify_certificate: bool,
}

/// What the behaviours need that are the same for all drivers. Each value is cast to text, since
/// drivers disagree about which types are which.
pub trait Client {
    /// Executes a statement, or several, without arguments.
    async fn execute(&mut self, sql: &str) -> Outcome;
    /// The first column of each row.
    async fn texts(&mut self, sql: &str) -> Outcome<Vec<Option<String>>>;
}

/// A driver under test.
pub trait Driver {
    type Client: Client;
    /// Begins the names of its tables.
    const NAME: &'static str;
    async fn open(login: Login) -> Outcome<Self::Client>;
    fn sqlstate(error: &Failure) -> Option<String>;
}

pub fn mode() -> String {
    variable("MODE")
}

pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// How many server connections the database has.
pub fn connections() -> usize {
    variable("CONNECTIONS").parse().unwrap_or(3)
}

/// Whether clients of this database are moved from one server connection to another.
pub fn shared() -> bool {
    mode() != "session"
}

/// How many server connections a client has had after a walk.
pub fn walked_all() -> usize {
    if shared() { connections() } else { 1 }
}

pub async fn connect<D: Driver>() -> Outcome<D::Client> {
    D::open(Login::default()).await
}

/// A table's name that no other driver or mode uses.
pub fn word<D: Driver>(word: &str) -> String {
    format!("drivers_{}_{}_{word}", D::NAME, mode())
}

pub async fn table<D: Driver>(
    client: &mut D::Client,
    name: &str,
    columns: &str,
) -> Outcome<String> {
    let name = word::<D>(name);
    client.execute(&format!("DROP TABLE IF EXISTS {name}")).await?;
    client.execute(&format!("CREATE TABLE {name} ({columns})")).await?;
    Ok(name)
}

pub fn same<T: PartialEq + Debug>(found: T, expected: T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    let short = |value: &T| format!("{value:?}").chars().take(200).collect::<String>();
    Err(format!("expected {}, found {}", short(&expected), short(&found)).into())
}

pub fn fails<D: Driver, T>(sqlstate: &str, outcome: Outcome<T>) -> Outcome {
    let Err(error) = outcome else { return Err(format!("no error, expected {sqlstate}").into()) };
    match D::sqlstate(&error) {
        Some(found) if found == sqlstate => Ok(()),
        _ => Err(format!("expected {sqlstate}, found: {error}").into()),
    }
}

pub async fn text<C: Client>(client: &mut C, sql: &str) -> Outcome<String> {
    let found = client.texts(sql).await?;
    match found.as_slice() {
        [Some(text)] => Ok(text.clone()),
        other => Err(format!("not one value: {other:?}").into()),
    }
}

pub async fn numbers<C: Client>(client: &mut C, table: &str) -> Outcome<Vec<i32>> {
    let found = client.texts(&format!("SELECT n::text FROM {table} ORDER BY {table}.n")).await?;
    found.iter().map(|n| Ok(n.as_deref().unwrap_or_default().parse()?)).collect()
}

/// Calls the action on each server connection where clients share them; its different results.
pub async fn walk<D: Driver, T: Ord>(
    mut action: impl AsyncFnMut() -> Outcome<T>,
) -> Outcome<BTreeSet<T>> {
    let mut found = BTreeSet::new();
    if !shared() {
        for _ in 0..3 {
            found.insert(action().await?);
        }
        return Ok(found);
    }
    let mut holders = Vec::new();
    for _ in 0..connections() {
        holders.push(connect::<D>().await?);
    }
    for holder in &mut holders {
        holder.execute("BEGIN").await?;
    }
    for holder in &mut holders {
        holder.execute("ROLLBACK").await?;
        found.insert(action().await?);
        holder.execute("BEGIN").await?;
    }
    for holder in &mut holders {
        holder.execute("ROLLBACK").await?;
    }
    Ok(found)
}

/// Runs the behaviours that the arguments name.
pub async fn run(title: &str, behaviour: impl AsyncFn(&str) -> Outcome) -> ExitCode {
    println!("# {title}");
    let mut code = ExitCode::SUCCESS;
    for name in env::args().skip(1) {
        match behaviour(&name).await {
            Ok(()) => println!("ok {name}"),
            Err(error) => match error.downcast_ref::<Skip>() {
                Some(skip) => println!("skip {name}: {skip}"),
                None => {
                    code = ExitCode::FAILURE;
                    println!("not ok {name}: {}", chain(error.as_ref()).replace('\n', " "));
                }
            },
        }
    }
    code
}

/// The error and what is behind it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
