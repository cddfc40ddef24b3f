//! What a Worker serves, on both sides of the gate. It is made once per isolate.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use partyserver::host::failure::failed;
use partyserver::host::gate::AnyGate;
use partyserver::host::routes::Routes;
use wasm_bindgen::JsValue;
use worker_sys::types::DurableObjectState;

use crate::platform::{http, js};
use crate::room::AnyRoom;

/// What a Worker serves.
pub(crate) struct Site {
    pub(crate) routes: Routes,
    /// In the order of the routes.
    pub(crate) parties: Vec<Rc<dyn AnyParty>>,
    /// The binding of each party, in the same order.
    pub(crate) bindings: Vec<String>,
}

/// A party of any server: its gate in the Worker, its rooms in objects.
pub(crate) trait AnyParty {
    fn gate(&self) -> &dyn AnyGate;
    /// The room of an object.
    fn room(&self, name: Arc<str>, state: DurableObjectState) -> Rc<dyn AnyRoom>;
}

type Make = Box<dyn FnOnce(&JsValue) -> Result<Site, String>>;

thread_local! {
    static MAKE: RefCell<Option<Make>> = const { RefCell::new(None) };
    static SITE: OnceCell<Result<Rc<Site>, String>> = const { OnceCell::new() };
}

impl Site {
    /// Sets how the site is made from the platform's `env`.
    pub(crate) fn is_made_by(make: impl FnOnce(&JsValue) -> Result<Self, String> + 'static) {
        MAKE.set(Some(Box::new(make)));
    }

    /// The site. The error says what is wrong with the configuration.
    pub(crate) fn of(env: &JsValue) -> Result<Rc<Self>, String> {
        SITE.with(|site| {
            site.get_or_init(|| {
                let make = MAKE
                    .take()
                    .ok_or("main does not call serve, or what it serves has panicked")?;
                Ok(Rc::new(make(env)?))
            })
            .clone()
        })
    }

    /// The site, if it was made already.
    pub(crate) fn present() -> Option<Rc<Self>> {
        SITE.with(|site| site.get()?.clone().ok())
    }

    pub(crate) fn party(&self, name: &str) -> Option<&dyn AnyParty> {
        Some(&*self.parties[self.routes.party(name)?])
    }
}

/// The answer of a Worker whose configuration is wrong.
pub(crate) fn misconfigured(problem: &str) -> JsValue {
    let id = js::random_id();
    tracing::error!(%id, problem, "the configuration is wrong");
    http::response(failed(&id))
}
