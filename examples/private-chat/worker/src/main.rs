//! Private chat rooms on Workers.

use agents_oauth2_jwt_bearer::{AuthOptions, BearerAuth};
use partyserver_workers::Parties;
use private_chat::Page;

fn main() {
    partyserver_workers::serve(|env| {
        let bearer = BearerAuth::builder()
            .variables(|name| env.var(name))
            .build_on_web(partyserver_workers::spawn)?;
        let options = AuthOptions::new(bearer);
        let page = Page::from_variables(|name| env.var(name))?;
        Ok(private_chat::parties(Parties::new(), options, page))
    });
}
