//! Extracts the program from the README, so that the README always compiles.

use std::path::Path;
use std::{env, fs};

fn main() {
    let readme = "../../README.md";
    println!("cargo::rerun-if-changed={readme}");
    let text = fs::read_to_string(readme).expect("the README is readable");
    let program = text
        .split_once("```rust\n")
        .and_then(|(_, rest)| rest.split_once("```"))
        .map(|(program, _)| program)
        .expect("the README has a Rust program");
    let folder = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&folder).join("readme.rs"), program).expect("OUT_DIR is writable");
}
