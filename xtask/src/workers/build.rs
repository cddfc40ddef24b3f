//! A Worker from its crate: the wasm module, its bindings, and the shim.

use std::fmt;
use std::path::{Path, PathBuf};

use wasm_bindgen_cli_support::Bindgen;

use super::config;
use super::wrangler::Wrangler;
use crate::process::run;
use crate::setup::{self, WASM};
use crate::{Result, workspace::Workspace};

/// The result of a build.
pub(crate) struct Built {
    module: usize,
    script: usize,
    /// The size of module and script, compressed by gzip.
    compressed: usize,
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "module {} B, script {} B, together {} B by gzip -9",
            self.module, self.script, self.compressed
        )
    }
}

pub(crate) fn build(workspace: &Workspace, example: &str) -> Result<Built> {
    let wrangler = Wrangler::read(&source(workspace, example))?;
    setup::wasm_target()?;
    let package = format!("{example}-worker");
    run(&mut workspace.cargo(&[
        "rustc",
        "--package",
        &package,
        "--profile",
        PROFILE,
        "--target",
        WASM,
        "--locked",
        "--",
        // After a panic the shim resets the stack to its top.
        "-Clink-arg=--export=__stack_pointer",
    ]))?;
    let module = workspace
        .target
        .join(WASM)
        .join(PROFILE)
        .join(format!("{package}.wasm"));
    let folder = super::folder(workspace, example);
    std::fs::create_dir_all(&folder)?;
    let mut output = Bindgen::new()
        .input_path(module)
        .no_modules(true)
        .map_err(|error| error.to_string())?
        .out_name("index")
        .typescript(false)
        .omit_default_module_path(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate_output()
        .map_err(|error| error.to_string())?;
    let module = output.wasm_mut().emit_wasm();
    let shim = std::fs::read_to_string(
        workspace
            .root
            .join("crates/partyserver-workers/src/platform/shim.mjs"),
    )?;
    let script = script(output.js(), &shim, &wrangler);
    std::fs::write(folder.join("index_bg.wasm"), &module)?;
    std::fs::write(folder.join("index.js"), &script)?;
    std::fs::write(folder.join("config.capnp"), config::text(&wrangler))?;
    Ok(Built {
        module: module.len(),
        script: script.len(),
        compressed: compressed(&folder.join("index_bg.wasm"))?
            + compressed(&folder.join("index.js"))?,
    })
}

/// The folder of a Worker's `wrangler.jsonc`: that of an example, or of the measured
/// Worker.
fn source(workspace: &Workspace, name: &str) -> PathBuf {
    let example = workspace.root.join("examples").join(name);
    if example.exists() {
        example
    } else {
        workspace.root.join("proof").join(name)
    }
}

/// The one script: the bindings, which can be made again for a new memory, the shim,
/// and a class for each kind of Durable Object.
fn script(bindings: &str, shim: &str, wrangler: &Wrangler) -> String {
    let classes = wrangler.objects.iter().map(|(_, class)| {
        format!("export class {class} extends DurableRoom {{\n  static party = {class:?};\n}}\n")
    });
    let classes: String = classes.collect();
    format!(
        "import module from \"./index_bg.wasm\";\n\n\
         function bind() {{\n{bindings}\n  const raw = wasm_bindgen.initSync({{ module }});\n  \
         return {{ glue: wasm_bindgen, raw }};\n}}\n\n{shim}\n{classes}"
    )
}

fn compressed(file: &Path) -> Result<usize> {
    let mut gzip = std::process::Command::new("gzip");
    let output = gzip.args(["-9", "-c"]).arg(file).output()?;
    if output.status.success() {
        Ok(output.stdout.len())
    } else {
        Err("gzip failed".into())
    }
}

const PROFILE: &str = "workers";
