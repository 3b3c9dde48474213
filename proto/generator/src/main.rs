//! Writes the Rust code for `pgpool.proto`: messages that serde, too, can read and write, so that
//! they become the same requests as those of the other codecs.
//! Arguments: the directory of the file, and the directory to write to.

use std::error::Error;
use std::path::PathBuf;

/// Messages that are in JSON what they hold.
const TRANSPARENT: [&str; 3] = ["Row", "List", "Document"];
/// Its own conversion is in `value.rs`.
const VALUE: &str = "Value";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let (source, target) = arguments.next().zip(arguments.next()).ok_or("two directories")?;
    let file = source.join("pgpool.proto");
    let text = std::fs::read_to_string(&file)?;
    let mut config = prost_build::Config::new();
    config.btree_map(["."]).disable_comments(["."]).out_dir(target);
    config.message_attribute(".", "#[derive(serde::Serialize, serde::Deserialize)]");
    for name in text.lines().filter_map(|line| line.strip_prefix("message ")?.split(' ').next()) {
        let attribute = match name {
            VALUE => "#[serde(into = \"serde_json::Value\", from = \"serde_json::Value\")]",
            name if TRANSPARENT.contains(&name) => "#[serde(transparent)]",
            _ => "#[serde(default)]",
        };
        config.message_attribute(format!(".pgpool.v1.{name}"), attribute);
    }
    config.compile_protos(&[file], &[source])?;
    Ok(())
}
