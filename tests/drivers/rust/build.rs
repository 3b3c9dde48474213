//! Tells the programs the versions of the drivers, which are in the lock file, and of the compiler.

use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = fs::read_to_string("Cargo.lock").expect("Cargo.lock is readable");
    for (variable, package) in [("DRIVER_TOKIO_POSTGRES", "tokio-postgres"), ("DRIVER_SQLX", "sqlx")] {
        let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \"")).expect("it is in there");
        let version = rest.split('"').next().unwrap_or_default();
        println!("cargo::rustc-env={variable}={version}");
    }
    let rustc = env::var("RUSTC").expect("cargo says it");
    let output = Command::new(rustc).arg("--version").output().expect("rustc runs");
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("cargo::rustc-env=DRIVER_RUST={}", words.split(' ').nth(1).unwrap_or_default());
}
