//! The parties of a Worker.

use std::rc::Rc;

use http::StatusCode;
use http::request::Parts;
use partyserver::router::{Router, kebab_case};
use partyserver::{BoxFuture, IntoServer, PartyOptions, PartyRegistry, Request, Response, answer};

use crate::party::{AnyParty, Party};

/// The parties of a Worker. Each needs a binding to a namespace of Durable
/// Objects whose name in kebab-case is the party's: `PrivateChat` or
/// `PRIVATE_CHAT` for `private-chat`; the class is bound likewise.
pub struct Parties {
    router: Router,
    parties: Vec<Rc<dyn AnyParty>>,
    fallback: Fallback,
    rewrite: Rewrite,
}

pub(crate) type Fallback = Box<dyn Fn(Request) -> BoxFuture<'static, Response>>;
pub(crate) type Rewrite = Box<dyn Fn(&mut Parts)>;

/// What a Worker serves.
pub(crate) struct Site {
    pub(crate) router: Router,
    pub(crate) parties: Vec<Rc<dyn AnyParty>>,
    /// The binding of each party.
    pub(crate) bindings: Vec<String>,
    pub(crate) fallback: Fallback,
    pub(crate) rewrite: Rewrite,
}

impl Site {
    pub(crate) fn party(&self, name: &str) -> Option<&Rc<dyn AnyParty>> {
        self.parties.iter().find(|party| **party.name() == *name)
    }
}

impl Parties {
    /// No parties yet, under the prefix `parties`.
    pub fn new() -> Self {
        let not_found = || answer::text(StatusCode::NOT_FOUND, "Not found");
        Self {
            router: Router::new("parties"),
            parties: Vec::new(),
            fallback: Box::new(move |_| Box::pin(std::future::ready(not_found()))),
            rewrite: Box::new(|_| {}),
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
        let (_, name) = self.router.register(name);
        let factory = Box::new(move || factory().into_server());
        self.parties
            .push(Rc::new(Party::new(name, options, factory)));
        self
    }

    /// The application's own answers: to paths that are no room's. Default: 404.
    #[must_use]
    pub fn fallback<F, R>(mut self, answer: F) -> Self
    where
        F: Fn(Request) -> R + 'static,
        R: Future<Output = Response> + 'static,
    {
        self.fallback = Box::new(move |request| Box::pin(answer(request)));
        self
    }

    /// Changes the head of each request before anything looks at it: for rooms
    /// at paths of your own (PartySocket's `basePath`), by changing the URI.
    #[must_use]
    pub fn rewrite(mut self, rewrite: impl Fn(&mut Parts) + 'static) -> Self {
        self.rewrite = Box::new(rewrite);
        self
    }

    /// What is served, or what is wrong with it.
    pub(crate) fn build(self, namespaces: &[String]) -> Result<Site, String> {
        let mut bindings = Vec::new();
        for (index, party) in self.parties.iter().enumerate() {
            let name = party.name();
            if self.parties[..index]
                .iter()
                .any(|other| other.name() == name)
            {
                return Err(format!("two parties are named {name:?}"));
            }
            let binding = namespaces
                .iter()
                .find(|binding| kebab_case(binding) == **name);
            let binding = binding.ok_or_else(|| {
                format!("the party {name:?} has no binding to a namespace of Durable Objects")
            })?;
            bindings.push(binding.clone());
        }
        Ok(Site {
            router: self.router,
            parties: self.parties,
            bindings,
            fallback: self.fallback,
            rewrite: self.rewrite,
        })
    }
}

/// For functions that register the same parties with every host.
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
