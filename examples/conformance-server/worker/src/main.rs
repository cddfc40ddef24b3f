//! The conformance suite's parties on Workers.

use agents_oauth2_jwt_bearer::BearerAuthBuilder;
use partyserver_workers::Parties;

fn main() {
    partyserver_workers::serve(|env| {
        let build = |bearer: BearerAuthBuilder| bearer.build_on_web(partyserver_workers::spawn);
        conformance_server::parties(Parties::new(), |name| env.var(name), build)
    });
}
