//! The parties of a Worker.

use std::rc::Rc;

use http::request::Parts;
use partyserver::host::routes::Routes;
use partyserver::router::kebab_case;
use partyserver::{IntoServer, PartyOptions, PartyRegistry, Request, Response};

use crate::party::Party;
use crate::site::{AnyParty, Site};

/// The parties of a Worker. Each party needs a binding to a namespace of Durable
/// Objects. The binding's name in kebab-case must be the party's name: `PrivateChat` or
/// `PRIVATE_CHAT` for `private-chat`. The same holds for the name of the class.
pub struct Parties {
    routes: Routes,
    parties: Vec<Rc<dyn AnyParty>>,
}

impl Parties {
    /// No parties yet, under the prefix `parties`.
    pub fn new() -> Self {
        Self {
            routes: Routes::new(),
            parties: Vec::new(),
        }
    }

    /// Registers a party with the default options. `factory` makes the server
    /// of a room; it is called once more for the party's gate.
    #[must_use]
    pub fn party<S: IntoServer>(self, name: &str, factory: impl Fn() -> S + 'static) -> Self {
        self.party_with(name, PartyOptions::new(), factory)
    }

    /// Registers a party.
    #[must_use]
    pub fn party_with<S: IntoServer>(
        mut self,
        name: &str,
        options: PartyOptions,
        factory: impl Fn() -> S + 'static,
    ) -> Self {
        let factory = move || factory().into_server();
        let name = self.routes.register(name);
        let party = Party::new(name, options, factory);
        self.parties.push(Rc::new(party));
        self
    }

    /// The application's own answers, for every path that does not lead to a room.
    /// Default: 404.
    #[must_use]
    pub fn fallback<F, R>(mut self, answer: F) -> Self
    where
        F: Fn(Request) -> R + 'static,
        R: Future<Output = Response> + 'static,
    {
        self.routes.set_fallback(answer);
        self
    }

    /// Changes the head of each request before it is routed. Use it for rooms at paths
    /// of your own (PartySocket's `basePath`), by changing the URI. The URI is absolute
    /// here, and internal headers are gone. If you set a path alone, the scheme and the
    /// authority are kept.
    #[must_use]
    pub fn rewrite(mut self, rewrite: impl Fn(&mut Parts) + 'static) -> Self {
        self.routes.set_rewrite(rewrite);
        self
    }

    /// The site that is served, or what is wrong with it.
    pub(crate) fn build(self, namespaces: &[String]) -> Result<Site, String> {
        if let Some(name) = self.routes.duplicate() {
            return Err(format!("two parties are named {name:?}"));
        }
        let binding = |party: &Rc<dyn AnyParty>| {
            let name = party.gate().name();
            let binding = namespaces.iter().find(|own| kebab_case(own) == **name);
            binding.cloned().ok_or_else(|| {
                format!("the party {name:?} has no binding to a namespace of Durable Objects")
            })
        };
        Ok(Site {
            bindings: self.parties.iter().map(binding).collect::<Result<_, _>>()?,
            routes: self.routes,
            parties: self.parties,
        })
    }
}

/// Lets a function register the same parties with every host.
impl PartyRegistry for Parties {
    fn party_with<S: IntoServer>(
        self,
        name: &str,
        options: PartyOptions,
        factory: impl Fn() -> S + 'static,
    ) -> Self {
        self.party_with(name, options, factory)
    }

    fn fallback<F, R>(self, answer: F) -> Self
    where
        F: Fn(Request) -> R + 'static,
        R: Future<Output = Response> + 'static,
    {
        self.fallback(answer)
    }

    fn rewrite(self, rewrite: impl Fn(&mut Parts) + 'static) -> Self {
        self.rewrite(rewrite)
    }
}

impl Default for Parties {
    fn default() -> Self {
        Self::new()
    }
}
