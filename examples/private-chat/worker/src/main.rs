//! Private chat rooms on Workers.

use agents_oauth2_jwt_bearer::AuthOptions;
use partyserver_workers::Parties;
use private_chat::Page;

fn main() {
    partyserver_workers::serve(|env| {
        let options = AuthOptions::builder()
            .variables(|name| env.var(name))
            .build_on_web(partyserver_workers::spawn)?;
        let page = Page {
            issuer: env.var("OIDC_ISSUER_URL").unwrap_or_default(),
            audience: env.var("OIDC_AUDIENCE").unwrap_or_default(),
            client_id: env.var("OIDC_CLIENT_ID"),
        };
        Ok(private_chat::parties(Parties::new(), options, page))
    });
}
