//! The one call of a Worker's `main`.

use wasm_bindgen::JsValue;

use crate::parties::Parties;
use crate::platform::{js, log};
use crate::site::Site;

/// Why a Worker can't serve. One line, for the operator.
pub type SetupError = Box<dyn std::error::Error>;

/// The variables and secrets of a Worker.
pub struct Env(JsValue);

impl Env {
    /// The text of a variable or secret. `None` if there is none, or if the binding is
    /// not a text.
    pub fn var(&self, name: &str) -> Option<String> {
        js_sys::Reflect::get(&self.0, &name.into())
            .ok()?
            .as_string()
    }
}

/// Serves parties. `main` calls it once; a second call replaces the first.
///
/// `make` runs at the first request of an isolate. If it fails, the cause is logged,
/// and every request is answered with 500 and the id of that log line, because a Worker
/// can't refuse to start.
pub fn serve(make: impl FnOnce(&Env) -> Result<Parties, SetupError> + 'static) {
    log::init();
    Site::is_made_by(|env| {
        let parties = make(&Env(env.clone())).map_err(|error| error.to_string())?;
        parties.build(&js::namespaces(env))
    });
}
